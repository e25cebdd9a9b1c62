import type { INestMicroservice } from '@nestjs/common';
import type { MicroserviceOptions } from '@nestjs/microservices';
import { InterconnectClient, InterconnectServer } from '../nest/index.js';
import type { InterconnectClientOptions, InterconnectServerOptions } from '../nest/index.js';
import { InterconnectTestAddress } from './test-address.js';

/** What `Test.createTestingModule(…).compile()` resolves with is one. */
export interface MicroserviceFactory {
  createNestMicroservice(options: MicroserviceOptions): INestMicroservice;
}

/** Beside the address, which the pair has of its own. */
export interface InterconnectPairOptions {
  readonly server?: Omit<InterconnectServerOptions, 'host' | 'port' | 'path' | 'connect'>;
  readonly client?: Omit<InterconnectClientOptions, 'host' | 'port' | 'path' | 'addresses'>;
  /** Before the application listens: global enhancers, hooks. */
  readonly configure?: (app: INestMicroservice, server: InterconnectServer) => void;
}

/**
 * An application that serves, and a client of it, connected by all that connects them in earnest but a port:
 *
 * ```ts
 * const module = await Test.createTestingModule({ controllers: [ReplicaController] }).compile();
 * const pair = await InterconnectPair.start(module);
 * expect(await pair.client.request('replicate', chunk)).toEqual(chunk);
 * await pair.close();
 * ```
 */
export class InterconnectPair<Data = unknown> {
  /** The application. */
  readonly app: INestMicroservice;
  /** Its strategy. */
  readonly server: InterconnectServer;
  /** Connected already. */
  readonly client: InterconnectClient<Data>;
  private readonly address: InterconnectTestAddress;
  private readonly others: InterconnectClient[] = [];

  private constructor(
    app: INestMicroservice,
    server: InterconnectServer,
    client: InterconnectClient<Data>,
    address: InterconnectTestAddress,
  ) {
    this.app = app;
    this.server = server;
    this.client = client;
    this.address = address;
  }

  static async start(
    module: MicroserviceFactory,
    options: InterconnectPairOptions = {},
  ): Promise<InterconnectPair> {
    const address = await InterconnectTestAddress.create();
    const { path } = address;
    try {
      const server = new InterconnectServer({ ...options.server, path });
      const app = module.createNestMicroservice({ strategy: server });
      options.configure?.(app, server);
      await app.listen();
      const client = new InterconnectClient<unknown>({ ...options.client, path });
      const pair = new InterconnectPair(app, server, client, address);
      await client.connect();
      return pair;
    } catch (error) {
      await address.dispose();
      throw error;
    }
  }

  /** Another client of the same server, to be closed with the pair. */
  createClient(options: InterconnectPairOptions['client'] = {}): InterconnectClient {
    const client = new InterconnectClient({ ...options, path: this.address.path });
    this.others.push(client);
    return client;
  }

  /** Ends both sides; nothing of them is left. */
  async close(): Promise<void> {
    await Promise.all([this.client, ...this.others].map((client) => client.close()));
    await this.app.close();
    await this.address.dispose();
  }
}
