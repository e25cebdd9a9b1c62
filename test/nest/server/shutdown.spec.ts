import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { Controller, Inject, Injectable, Module } from '@nestjs/common';
import type {
  BeforeApplicationShutdown,
  DynamicModule,
  OnModuleDestroy,
  Type,
} from '@nestjs/common';
import { EventPattern, MessagePattern, Payload, Transport } from '@nestjs/microservices';
import type { MicroserviceOptions } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import {
  InterconnectClient,
  InterconnectError,
  InterconnectModule,
  InterconnectRecordBuilder,
  InterconnectServer,
} from '../../../src/nest/index.js';
import type { InterconnectServerOptions } from '../../../src/nest/index.js';
import { ManualClock } from '../../support/sim/manual-clock.js';
import { deferred, failureOf, until } from '../../support/nest/async.js';
import { LogRecorder } from '../../support/nest/log-recorder.js';
import { Loopback, createMicroservice, portOf } from '../../support/nest/loopback.js';

/** What a handler needs, and what ends in `onModuleDestroy`. */
@Injectable()
class Database implements OnModuleDestroy {
  isOpen = true;

  onModuleDestroy(): void {
    this.isOpen = false;
  }
}

@Module({ providers: [Database], exports: [Database] })
class DatabaseModule {}

@Controller()
class SlowController {
  readonly gate = deferred();
  readonly begun: string[] = [];
  readonly ended: string[] = [];
  private readonly database: Database;

  constructor(@Inject(Database) database: Database) {
    this.database = database;
  }

  @MessagePattern('echo')
  echo(@Payload() data: Buffer): Buffer {
    return data;
  }

  @MessagePattern('slow')
  async slow(@Payload() data: Buffer): Promise<Buffer> {
    this.begun.push(data.toString());
    await this.gate.promise;
    this.ended.push(data.toString());
    return Buffer.from(this.database.isOpen ? 'stored' : 'lost');
  }

  @EventPattern('slow event')
  async slowEvent(@Payload() data: Buffer): Promise<void> {
    await this.slow(data);
  }
}

const open: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

function keep<T extends { close(): Promise<unknown> }>(resource: T): T {
  open.push(resource);
  return resource;
}

function isDraining(server: InterconnectServer): boolean {
  return [...server.peers].every((peer) => peer.connection.status === 'draining');
}

async function start(options: InterconnectServerOptions = {}): Promise<Loopback> {
  return keep(
    await Loopback.start({
      controllers: [SlowController],
      imports: [DatabaseModule],
      server: options,
    }),
  );
}

describe('close()', () => {
  it('lets what runs end, and its caller learn of it', async () => {
    const loopback = await start();
    const controller = loopback.app.get(SlowController);
    const client = loopback.client();
    const answer = client.request('slow', Buffer.from('a'));
    await until(() => controller.begun.length === 1);

    const closed = loopback.server.close();
    controller.gate.resolve();

    expect(await answer).toEqual(Buffer.from('stored'));
    await closed;
    expect(() => loopback.server.unwrap()).toThrow('Not initialized');
  });

  it('lets one-way events end', async () => {
    const loopback = await start();
    const controller = loopback.app.get(SlowController);
    const event = new InterconnectRecordBuilder(Buffer.from('e')).setOneWay().build();
    loopback.client().emit('slow event', event);
    await until(() => controller.begun.length === 1);
    let isClosed = false;

    const closed = loopback.server.close().then(() => (isClosed = true));
    await until(() => isDraining(loopback.server));
    expect(isClosed).toBe(false);
    controller.gate.resolve();
    await closed;

    expect(controller.ended).toEqual(['e']);
  });

  it('cuts off what takes longer than shutdownTimeout: nobody knows whether it ran', async () => {
    const clock = new ManualClock();
    const loopback = await start({ clock, shutdownTimeout: 3_000 });
    const controller = loopback.app.get(SlowController);
    const failed = failureOf(
      InterconnectError,
      loopback.client({ reconnect: false }).request('slow', Buffer.from('a')),
    );
    await until(() => controller.begun.length === 1);
    const closed = loopback.server.close();
    await until(() => isDraining(loopback.server));

    clock.advance(2_999);
    expect(loopback.server.peers.size).toBe(1);
    clock.advance(1);

    expect(await failed).toMatchObject({ executed: 'maybe' });
    await closed;
    controller.gate.resolve();
  });

  it('gives nothing any time with shutdownTimeout 0', async () => {
    const loopback = await start({ shutdownTimeout: 0 });
    const controller = loopback.app.get(SlowController);
    const failed = failureOf(
      InterconnectError,
      loopback.client({ reconnect: false }).request('slow', Buffer.from('a')),
    );
    await until(() => controller.begun.length === 1);

    await loopback.server.close();

    expect(await failed).toMatchObject({ executed: 'maybe' });
    controller.gate.resolve();
  });

  it('does not wait where nothing runs, whoever is connected', async () => {
    // Time stands still: whatever waited for it would wait for ever.
    const loopback = await start({ clock: new ManualClock() });
    await loopback.client().request('echo', Buffer.from('x'));
    await loopback.client({ reconnect: false }).connect();

    await loopback.server.close();
    await loopback.server.close();

    expect(loopback.server.peers.size).toBe(0);
  });

  it.each([-1, 0.5, 2 ** 31])('refuses a shutdownTimeout that is none: %p', async (value) => {
    const server = new InterconnectServer({ port: 0, shutdownTimeout: value });

    const error = await new Promise((resolve) => void server.listen(resolve));

    expect(error).toMatchObject({
      code: 'IC_ERR_OPTION',
      message: `shutdownTimeout must be an integer from 0 to 2147483647, and is ${value}.`,
    });
  });
});

describe('listen, close, listen', () => {
  it('serves again, on the same instance and for the same clients', async () => {
    const loopback = await start({ port: 0 });
    const client = loopback.client({ reconnect: { minDelay: 1, maxDelay: 5 } });
    await client.request('echo', Buffer.from('x'));

    for (let round = 0; round < 2; round++) {
      await loopback.server.close();
      const address = await new Promise<unknown>(
        (resolve) => void loopback.server.listen((error, bound) => resolve(error ?? bound)),
      );
      const other = loopback.client({ port: portOf(address) });
      expect(await other.request('echo', Buffer.from('y'))).toEqual(Buffer.from('y'));
    }
  });
});

describe('an application that is restarted under load', () => {
  it('loses no call, and runs none twice', async () => {
    const ran: string[] = [];
    @Controller()
    class CountingController {
      @MessagePattern('count')
      async count(@Payload() data: Buffer): Promise<Buffer> {
        ran.push(data.toString());
        await new Promise((resolve) => setImmediate(resolve));
        return data;
      }
    }
    async function serve(port: number) {
      const server = new InterconnectServer({ host: '127.0.0.1', port });
      const app = await createMicroservice(server, { controllers: [CountingController] });
      return { app, port: portOf(await app.listen()) };
    }
    const first = await serve(0);
    const { port } = first;
    let { app } = first;
    const client = keep(
      new InterconnectClient({
        host: '127.0.0.1',
        port,
        reconnect: { minDelay: 1, maxDelay: 5 },
      }),
    );
    let sent = 0;
    const load = { isOver: false };
    const answers: string[] = [];
    const callers = Array.from({ length: 8 }, async () => {
      while (!load.isOver) {
        const text = String((sent += 1));
        answers.push((await client.request('count', Buffer.from(text))).toString());
      }
    });

    for (let restart = 0; restart < 3; restart++) {
      const before = answers.length;
      await until(() => answers.length > before + 50);
      await app.close();
      ({ app } = await serve(port));
    }
    const before = answers.length;
    await until(() => answers.length > before + 50);
    load.isOver = true;
    await Promise.all(callers);
    await app.close();

    expect(answers).toHaveLength(sent);
    expect(new Set(ran).size).toBe(sent);
    expect(ran).toHaveLength(sent);
  });
});

describe('a hybrid application', () => {
  const ours = InterconnectModule.forRoot({ server: { host: '127.0.0.1', port: 0 } });

  async function hybrid(
    imports: (Type | DynamicModule)[] = [ours, DatabaseModule],
    strategy?: InterconnectServer,
    more: MicroserviceOptions[] = [],
  ) {
    const log = LogRecorder.install();
    const module = await Test.createTestingModule({
      imports,
      controllers: [SlowController],
    }).compile();
    const app = keep(module.createNestApplication());
    const server: InterconnectServer = strategy ?? app.get<InterconnectServer>(InterconnectServer);
    app.connectMicroservice<MicroserviceOptions>({ strategy: server });
    for (const each of more) app.connectMicroservice<MicroserviceOptions>(each);
    await app.startAllMicroservices();
    await app.init();
    const client = keep(
      new InterconnectClient({ host: '127.0.0.1', port: portOf(server.unwrap().address()) }),
    );
    return { app, server, client, log, controller: app.get(SlowController) };
  }

  it.each([
    ['imported before', [DatabaseModule, ours], undefined],
    ['imported after', [ours, DatabaseModule], undefined],
    ['global', [{ ...ours, global: true }, DatabaseModule], undefined],
    ['made with new', [ours, DatabaseModule], { host: '127.0.0.1', port: 0 }],
  ])('keeps what the handlers need until they have ended: %s', async (_how, imports, options) => {
    const strategy = options && new InterconnectServer(options);
    const { app, server, client, controller } = await hybrid(imports, strategy);
    const answer = client.request('slow', Buffer.from('a'));
    await until(() => controller.begun.length === 1);

    const closed = app.close();
    await until(() => isDraining(server));
    controller.gate.resolve();

    expect(await answer).toEqual(Buffer.from('stored'));
    await closed;
  });

  it('keeps it for each of several servers, beside those of other transports', async () => {
    const others = [0, 1].map(() => new InterconnectServer({ host: '127.0.0.1', port: 0 }));
    const { app, client, controller } = await hybrid([DatabaseModule, ours], undefined, [
      ...others.map((strategy) => ({ strategy })),
      { transport: Transport.TCP, options: { host: '127.0.0.1', port: 0 } },
    ]);
    const clients = others.map((server) =>
      keep(new InterconnectClient({ host: '127.0.0.1', port: portOf(server.unwrap().address()) })),
    );
    const answers = [client, ...clients].map((each) => each.request('slow', Buffer.from('a')));
    await until(() => controller.begun.length === 3);

    const closed = app.close();
    await until(() => others.every((server) => isDraining(server)));
    controller.gate.resolve();

    expect(await Promise.all(answers)).toEqual(answers.map(() => Buffer.from('stored')));
    await closed;
  });

  it('stops before the port of the application closes, where the strategy is but a provider', async () => {
    const strategy = new InterconnectServer({ host: '127.0.0.1', port: 0 });
    let hasStopped = false;
    @Module({ providers: [{ provide: InterconnectServer, useValue: strategy }] })
    class StrategyModule implements BeforeApplicationShutdown {
      beforeApplicationShutdown(): void {
        hasStopped = strategy.peers.size === 0;
      }
    }
    const { app, client } = await hybrid([StrategyModule, DatabaseModule]);
    await client.request('echo', Buffer.from('a'));
    expect(strategy.peers.size).toBe(1);

    await app.close();

    expect(hasStopped).toBe(true);
  });

  it('ends in order when a signal comes', async () => {
    const { app, server, client, controller } = await hybrid();
    app.enableShutdownHooks(['SIGUSR2']);
    const answer = client.request('slow', Buffer.from('a'));
    await until(() => controller.begun.length === 1);
    // When it is done, Nest sends the signal to its own process again, which ends by it.
    const { promise: ended, resolve: end } = deferred<unknown>();
    const kill = jest.spyOn(process, 'kill').mockImplementation((_id, signal) => {
      end(signal);
      return true;
    });

    process.emit('SIGUSR2', 'SIGUSR2');
    await until(() => isDraining(server));
    controller.gate.resolve();

    expect(await answer).toEqual(Buffer.from('stored'));
    expect(await ended).toBe('SIGUSR2');
    expect(server.peers.size).toBe(0);
    kill.mockRestore();
  });
});
