import type { DynamicModule, INestMicroservice, Type } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { InterconnectClient, InterconnectServer } from '../../../src/nest/index.js';
import type {
  InterconnectClientOptions,
  InterconnectServerOptions,
  TcpAddress,
} from '../../../src/nest/index.js';
import { LogRecorder } from './log-recorder.js';

export interface LoopbackOptions {
  readonly controllers?: readonly Type[];
  readonly imports?: readonly (Type | DynamicModule)[];
  readonly providers?: readonly Type[];
  readonly server?: InterconnectServerOptions;
  /** Called before `listen()`, for example to add global enhancers or hooks. */
  readonly configure?: (app: INestMicroservice, server: InterconnectServer) => void;
}

/** A microservice on a free port of this machine, and its clients. `close()` closes all of them. */
export class Loopback {
  readonly app: INestMicroservice;
  readonly server: InterconnectServer;
  readonly port: number;
  readonly log: LogRecorder;
  private readonly clients: InterconnectClient[] = [];

  private constructor(
    app: INestMicroservice,
    server: InterconnectServer,
    port: number,
    log: LogRecorder,
  ) {
    this.app = app;
    this.server = server;
    this.port = port;
    this.log = log;
  }

  static async start(options: LoopbackOptions = {}): Promise<Loopback> {
    const server = new InterconnectServer({ host: '127.0.0.1', port: 0, ...options.server });
    const app = await createMicroservice(server, options);
    // Install the recorder only now, because Nest's testing module installs its own logger.
    const log = LogRecorder.install();
    options.configure?.(app, server);
    const port = portOf(await app.listen());
    return new Loopback(app, server, port, log);
  }

  /** A client that has not connected yet. `close()` closes it too: pending calls of the test then fail at once. */
  client(options: InterconnectClientOptions = {}): InterconnectClient {
    const where = { host: '127.0.0.1', port: this.port };
    const client = new InterconnectClient({ ...where, shutdownTimeout: 0, ...options });
    this.clients.push(client);
    return client;
  }

  async close(): Promise<void> {
    await Promise.all(this.clients.map((client) => client.close()));
    await this.app.close();
  }
}

export async function createMicroservice(
  strategy: InterconnectServer,
  options: LoopbackOptions = {},
): Promise<INestMicroservice> {
  const module = await Test.createTestingModule({
    controllers: [...(options.controllers ?? [])],
    imports: [...(options.imports ?? [])],
    providers: [...(options.providers ?? [])],
  }).compile();
  return module.createNestMicroservice({ strategy });
}

/** `app.listen()` resolves with the bound address, although its type does not say so. */
export function portOf(address: unknown): number {
  if (isAddress(address)) return address.port;
  throw new Error(`Not an address with a port: ${JSON.stringify(address)}`);
}

function isAddress(value: unknown): value is TcpAddress {
  return typeof value === 'object' && value !== null && 'port' in value;
}
