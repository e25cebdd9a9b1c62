import type { INestMicroservice } from '@nestjs/common';
import type { MicroserviceOptions } from '@nestjs/microservices';
import { MemoryNetwork } from '../endpoint/index.js';
import { InterconnectClient, InterconnectServer } from '../nest/index.js';
import type { InterconnectClientOptions, InterconnectServerOptions } from '../nest/index.js';

/** A part of the testing module that `Test.createTestingModule(…).compile()` resolves with. */
export interface MicroserviceFactory {
  createNestMicroservice(options: MicroserviceOptions): INestMicroservice;
}

/** The options of a pair. The pair has a network of its own. */
export interface InterconnectPairOptions {
  readonly server?:
    | Omit<
        InterconnectServerOptions,
        'host' | 'port' | 'path' | 'network' | 'tlsOptions' | 'connect'
      >
    | undefined;
  readonly client?:
    | Omit<
        InterconnectClientOptions,
        'host' | 'port' | 'path' | 'network' | 'tlsOptions' | 'addresses'
      >
    | undefined;
  /** Called before the application listens, to add global enhancers or hooks. */
  readonly configure?: ((app: INestMicroservice, server: InterconnectServer) => void) | undefined;
}

const AT_ONCE = { shutdownTimeout: 0 };

/**
 * An application that serves, and a client of it. Their connection is a real one, but without sockets of the system:
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
  /** The application's strategy. */
  readonly server: InterconnectServer;
  /** A client that is already connected. */
  readonly client: InterconnectClient<Data>;
  /** The network between the two. After `pair.network.cut()` they reconnect. */
  readonly network: MemoryNetwork;
  private readonly others: InterconnectClient[] = [];

  private constructor(
    app: INestMicroservice,
    server: InterconnectServer,
    client: InterconnectClient<Data>,
    network: MemoryNetwork,
  ) {
    this.app = app;
    this.server = server;
    this.client = client;
    this.network = network;
  }

  static async start(
    module: MicroserviceFactory,
    options: InterconnectPairOptions = {},
  ): Promise<InterconnectPair> {
    const network = new MemoryNetwork();
    const server = new InterconnectServer({ ...options.server, network });
    const app = module.createNestMicroservice({ strategy: server });
    options.configure?.(app, server);
    const client = new InterconnectClient<unknown>({ ...AT_ONCE, ...options.client, network });
    const pair = new InterconnectPair(app, server, client, network);
    try {
      await app.listen();
      await client.connect();
      return pair;
    } catch (error) {
      await pair.close();
      throw error;
    }
  }

  /** Another client of the same server. `close()` closes it too. */
  createClient(options: InterconnectPairOptions['client'] = {}): InterconnectClient {
    const client = new InterconnectClient({ ...AT_ONCE, ...options, network: this.network });
    this.others.push(client);
    return client;
  }

  /** Closes both sides. The `shutdownTimeout` of the clients is 0 by default, so pending calls fail at once. */
  async close(): Promise<void> {
    await Promise.all([this.client, ...this.others].map((client) => client.close()));
    await this.app.close();
  }
}
