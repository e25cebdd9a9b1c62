import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller, Inject } from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { firstValueFrom } from 'rxjs';
import {
  Code,
  InterconnectClient,
  InterconnectContext,
  InterconnectError,
  InterconnectException,
  InterconnectModule,
  InterconnectPeer,
  InterconnectRecordBuilder,
  InterconnectServer,
} from '../../../src/nest/index.js';
import type {
  BroadcastOutcome,
  InterconnectServerOptions,
  InterconnectStatus,
} from '../../../src/nest/index.js';
import { certificates } from '../../support/peers/certificates.js';
import { ManualClock } from '../../support/sim/manual-clock.js';
import { deferred, failureOf, until } from '../../support/nest/async.js';
import { LogRecorder } from '../../support/nest/log-recorder.js';
import { Loopback, createMicroservice } from '../../support/nest/loopback.js';

/** What the listening application handles. */
@Controller()
class HubController {
  readonly seen: string[] = [];
  callers: InterconnectPeer[] = [];

  @MessagePattern('transfer')
  async transfer(@Payload() data: Buffer, @Ctx() context: InterconnectContext): Promise<Buffer> {
    this.callers.push(context.getCaller());
    const client = context.getClient();
    const sum = await client.request('checksum', data);
    await firstValueFrom(client.emit('progress', Buffer.from('100')));
    return sum;
  }

  @MessagePattern('who')
  who(@Ctx() context: InterconnectContext): Buffer {
    return Buffer.from(context.getCaller().identity);
  }
}

/** What a device handles, which nobody can reach. */
@Controller()
class DeviceController {
  readonly seen: string[] = [];
  gate: Promise<void> | undefined;

  @MessagePattern('checksum')
  checksum(@Payload() data: Buffer): Buffer {
    return Buffer.from([data.reduce((a, b) => a + b, 0)]);
  }

  @EventPattern('progress')
  progress(@Payload() data: Buffer): void {
    this.seen.push(data.toString());
  }

  @MessagePattern('slow')
  async slow(@Payload() data: Buffer): Promise<Buffer> {
    this.seen.push('slow');
    await this.gate;
    return data;
  }
}

const open: { close(): Promise<unknown> }[] = [];
let hub: Loopback;

async function startHub(options: InterconnectServerOptions = {}): Promise<void> {
  hub = await Loopback.start({ controllers: [HubController], server: options });
}

async function startDevice(options: InterconnectServerOptions): Promise<InterconnectServer> {
  const server = new InterconnectServer(options);
  const app = await createMicroservice(server, { controllers: [DeviceController] });
  open.push(app);
  await app.listen();
  devices.set(server, app.get(DeviceController));
  return server;
}

function toHub(): { host: string; port: number } {
  return { host: '127.0.0.1', port: hub.port };
}

const devices = new Map<InterconnectServer, DeviceController>();

beforeEach(() => devices.clear());
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
  await hub.close();
});

describe('ctx.getClient()', () => {
  it('calls the handlers of the caller, while he waits', async () => {
    await startHub();
    const client = new InterconnectClient(toHub());
    open.push(client);
    const device = await startDevice({ connect: client });

    expect(await client.request('transfer', Buffer.from([1, 2, 3]))).toEqual(Buffer.from([6]));

    expect(devices.get(device)?.seen).toEqual(['100']);
    expect(hub.server.peers.size).toBe(1);
  });

  it('is the same for every message of a connection, and stays usable afterwards', async () => {
    await startHub();
    const client = new InterconnectClient(toHub());
    open.push(client);
    await startDevice({ connect: client });
    await client.request('transfer', Buffer.from([1]));
    await client.request('transfer', Buffer.from([2]));

    const [one, two] = hub.app.get(HubController).callers;

    expect(one).toBe(two);
    expect(one?.client).toBe(two?.client);
    expect(await one?.client.request('checksum', Buffer.from([7]))).toEqual(Buffer.from([7]));
    await one?.client.close();
    expect(await one?.client.request('checksum', Buffer.from([8]))).toEqual(Buffer.from([8]));
  });

  it("fails with Nest's sentence where the caller handles nothing", async () => {
    await startHub();

    const error = await failureOf(
      InterconnectException,
      hub.client().send('transfer', Buffer.alloc(0)),
    );

    expect(error.code).toBe(Code.FAILED);
    expect(error.reason).toBe(
      'There is no matching message handler defined in the remote service.',
    );
  });

  it('speaks JSON where the server does', async () => {
    await startHub({ encoding: 'json' });
    const device = await startDevice({ connect: toHub(), encoding: 'json' });

    await hub.server.peers.broadcast('progress', 'text');

    expect(devices.get(device)?.seen).toEqual(['text']);
  });
});

describe('the peers of a server', () => {
  it('are who is connected, by id, until they go', async () => {
    await startHub();
    const told: string[] = [];
    hub.server.on('peer', (peer) => told.push(`came ${hub.server.peers.get(peer.id) === peer}`));
    hub.server.on('peerGone', (peer, error) =>
      told.push(`went ${hub.server.peers.get(peer.id) === peer} ${error?.code}`),
    );
    const client = hub.client();
    expect([...hub.server.peers]).toEqual([]);

    await client.connect();
    await until(() => hub.server.peers.size === 1);
    const [peer] = hub.server.peers;
    expect(hub.server.peers.get(peer?.id ?? '')).toBe(peer);
    expect(peer?.peer.address).toBe('127.0.0.1');
    expect(peer).toMatchObject({ identity: '' });

    await client.close();
    await until(() => hub.server.peers.size === 0);
    expect(told).toEqual(['came true', 'went false undefined']);
  });

  it('are found by the principal that authenticate gave, the latest first', async () => {
    await startHub({
      authenticate: (handshake) => handshake.accept(undefined, handshake.data.toString()),
    });
    const connect = (name: string) => ({ ...toHub(), data: Buffer.from(name) });
    await startDevice({ connect: connect('red') });
    await startDevice({ connect: connect('blue') });
    const latest = await startDevice({ connect: connect('red') });
    const { peers } = hub.server;

    await peers.find('red')?.client.request('checksum', Buffer.from([1]));
    const called = peers.find('red');

    expect([...peers].map(({ identity }) => identity)).toEqual(['red', 'blue', 'red']);
    expect(peers.all('red')).toHaveLength(2);
    expect(peers.find('green')).toBeUndefined();
    await hub.server.peers.broadcast('progress', Buffer.from('x'), called ? [called] : []);
    expect(devices.get(latest)?.seen).toEqual(['x']);
  });

  it('keep their identity over a lost socket', async () => {
    await startHub({
      authenticate: (handshake) => handshake.accept(undefined, handshake.data.toString()),
    });
    await startDevice({
      connect: { ...toHub(), data: Buffer.from('red'), reconnect: { minDelay: 1 } },
    });
    const [peer] = hub.server.peers;

    peer?.connection.socket.destroy();

    expect(await peer?.client.request('checksum', Buffer.from([5]))).toEqual(Buffer.from([5]));
    expect(hub.server.peers.find('red')).toBe(peer);
  });

  it('tell why they have gone, where they were lost', async () => {
    await startHub({ resumeTimeout: 0 });
    const gone = new Promise((resolve) =>
      hub.server.on('peerGone', (_peer, error) => resolve(error)),
    );
    const client = hub.client({ reconnect: false });
    await client.connect();

    client.unwrap().destroy();

    expect(await gone).toBeInstanceOf(InterconnectError);
  });

  it('are told when they can be called already, and their sessions are served', async () => {
    await startHub();
    const answered: Promise<string>[] = [];
    hub.server.on('peer', ({ client }) =>
      answered.push(client.request('checksum', Buffer.from([6])).then(([sum]) => String(sum))),
    );

    await startDevice({ connect: toHub() });

    expect(await Promise.all(answered)).toEqual(['6']);
  });

  it('may have listeners that throw: the server says so', async () => {
    await startHub();
    const errors: unknown[] = [];
    hub.server.on('error', (error) => errors.push(error));
    hub.server.on('peer', ({ connection }) =>
      connection.on('session', () => {
        throw new Error('listener broke');
      }),
    );

    await hub
      .client()
      .request('who', Buffer.alloc(0))
      .catch(() => undefined);

    await until(() => errors.length > 0);
    expect(errors).toEqual([new Error('listener broke')]);
    expect(hub.log.find('error', 'listener broke')).toHaveLength(1);
  });

  it('have clients that know how their connection is', async () => {
    await startHub();
    const caller = hub.client({ reconnect: { minDelay: 1 } });
    const connection = await caller.connect();
    await until(() => hub.server.peers.size === 1);
    const client = hub.server.peers.all()[0]?.client;
    const told: unknown[] = [];
    client?.status.subscribe((status) => told.push(status));
    client?.on('close', (error) => told.push(error));

    expect(await client?.connect()).toBe(hub.server.peers.all()[0]?.connection);
    connection.socket.destroy();
    await until(() => told.length === 3 && connection.status === 'open');
    await caller.close();

    await until(() => told.length === 5);
    expect(told).toEqual(['connected', 'reconnecting', 'connected', 'disconnected', undefined]);
  });

  it('have clients that know it also where they are made too late', async () => {
    await startHub();
    const caller = hub.client();
    await caller.connect();
    await until(() => hub.server.peers.size === 1);
    const [peer] = hub.server.peers;

    await caller.close();
    await until(() => hub.server.peers.size === 0);

    expect(await firstValueFrom(peer!.client.status)).toBe('disconnected');
  });

  it('are called by their principal rather than by their certificate', async () => {
    const { ca, server, client } = await certificates();
    await startHub({
      tlsOptions: { ...server, ca, requestCert: true },
      authenticate: (handshake) => handshake.accept(undefined, 'red'),
    });
    const caller = new InterconnectClient({ ...toHub(), tlsOptions: { ca, ...client } });
    open.push(caller);

    expect((await caller.request('who', Buffer.alloc(0))).toString()).toBe('red');
  });

  it('are called by the name of their certificate, if it was verified', async () => {
    const { ca, server, client } = await certificates();
    await startHub({ tlsOptions: { ...server, ca, requestCert: true } });
    const caller = new InterconnectClient({ ...toHub(), tlsOptions: { ca, ...client } });
    open.push(caller);

    expect((await caller.request('who', Buffer.alloc(0))).toString()).toBe('replica-7');
  });

  it('are not called by the name of a certificate that nobody has verified', async () => {
    const { ca, strangeCa, server, client } = await certificates();
    await startHub({
      tlsOptions: { ...server, ca: strangeCa, requestCert: true, rejectUnauthorized: false },
    });
    const caller = new InterconnectClient({ ...toHub(), tlsOptions: { ca, ...client } });
    open.push(caller);

    expect((await caller.request('who', Buffer.alloc(0))).toString()).toBe('');
  });

  it('have five seconds for a broadcast, or as many as it says', async () => {
    const clock = new ManualClock();
    await startHub({ clock });
    const device = await startDevice({ connect: { ...toHub(), clock } });
    const { promise, resolve } = deferred();
    const controller = devices.get(device);
    if (controller !== undefined) controller.gate = promise;
    const [peer] = hub.server.peers;
    const outcomeOf = async (data: unknown, timeout?: number) => {
      const broadcast = hub.server.peers.broadcast('slow', data, undefined, { timeout });
      const started = clock.now();
      let outcomes: readonly BroadcastOutcome[] | undefined;
      void broadcast.then((all) => (outcomes = all));
      await until(() => {
        if (outcomes === undefined) clock.advance(250);
        return outcomes !== undefined;
      });
      return { outcomes, took: clock.now() - started };
    };

    for (const [data, timeout, took] of [
      [Buffer.from('x'), undefined, 5000],
      [Buffer.from('x'), 500, 500],
      [new InterconnectRecordBuilder(Buffer.from('x')).setTimeout(1000).build(), undefined, 1000],
    ] as const) {
      const result = await outcomeOf(data, timeout);
      expect(result.took).toBeGreaterThanOrEqual(took);
      expect(result.took).toBeLessThanOrEqual(took + 500);
      expect(result.outcomes).toMatchObject([{ peer, error: { code: 'IC_ERR_TIMEOUT' } }]);
    }
    resolve();
  });

  it('have failed at once in a broadcast if they have no socket', async () => {
    await startHub();
    await startDevice({
      connect: { ...toHub(), reconnect: { minDelay: 60_000, maxDelay: 60_000 } },
    });
    const here = await startDevice({ connect: toHub() });
    const [absent] = hub.server.peers;
    absent?.connection.socket.destroy();
    await until(() => absent?.connection.status === 'detached');

    const outcomes = await hub.server.peers.broadcast('progress', Buffer.from('x'));

    expect(outcomes).toMatchObject([
      { peer: absent, error: { code: 'IC_ERR_OFFLINE', executed: 'no' } },
      { error: undefined },
    ]);
    expect(devices.get(here)?.seen).toEqual(['x']);
  });

  it('get a broadcast, each outcome by itself', async () => {
    await startHub();
    const first = await startDevice({ connect: toHub() });
    const second = await startDevice({ connect: toHub() });
    await hub.client().connect();
    await until(() => hub.server.peers.size === 3);

    const outcomes = await hub.server.peers.broadcast('progress', Buffer.from('all'));

    expect(devices.get(first)?.seen).toEqual(['all']);
    expect(devices.get(second)?.seen).toEqual(['all']);
    expect(outcomes.map(({ peer }) => peer)).toEqual([...hub.server.peers]);
    expect(outcomes.map(({ error }) => error instanceof InterconnectException)).toEqual([
      false,
      false,
      true,
    ]);
    const [one] = hub.server.peers;
    expect(
      await hub.server.peers.broadcast('progress', Buffer.from('one'), one ? [one] : []),
    ).toHaveLength(1);
    expect(devices.get(second)?.seen).toEqual(['all']);
  });
});

describe('a server that connects', () => {
  it('serves the same controllers, and shows what it has underneath', async () => {
    await startHub();
    const statuses: InterconnectStatus[] = [];
    const device = await startDevice({ connect: toHub() });
    device.status.subscribe((status) => statuses.push(status));

    expect(
      await hub.server.peers.all()[0]?.client.request('checksum', Buffer.from([1, 1])),
    ).toEqual(Buffer.from([2]));
    expect(device.unwrap()).toMatchObject({ remotePort: hub.port });
    expect(device.peers.size).toBe(1);

    await device.close();
    expect(statuses).toEqual(['connected', 'draining', 'disconnected']);
    expect(() => device.unwrap()).toThrow('Not initialized');
  });

  it('fails to listen where there is nobody, and may try again', async () => {
    await startHub();
    const { port } = hub;
    await hub.app.close();
    const connect = { host: '127.0.0.1', port, whenOffline: 'fail' } as const;
    const server = new InterconnectServer({ connect });
    const app = await createMicroservice(server, { controllers: [DeviceController] });
    open.push(app);

    await expect(app.listen()).rejects.toMatchObject({
      code: 'IC_ERR_OFFLINE',
      cause: { code: 'IC_ERR_CONNECT' },
    });
    await startHub({ port });
    await app.listen();

    expect(hub.server.peers.size).toBe(1);
  });

  it('keeps trying in the background, where it is told to', async () => {
    const clock = new ManualClock();
    await startHub();
    const { port } = hub;
    await hub.app.close();
    const device = await startDevice({
      connect: { host: '127.0.0.1', port, waitForConnection: false },
      clock,
    });
    const log = LogRecorder.install();
    clock.advance(0);
    await until(() => log.find('warn', 'No connection to').length > 0);
    expect(device.peers.size).toBe(0);

    await startHub({ port });

    await until(() => device.peers.size === 1);
  });

  it('comes back when the other side has closed the connection, ever later', async () => {
    const clock = new ManualClock();
    await startHub();
    const statuses: InterconnectStatus[] = [];
    const device = await startDevice({ connect: toHub(), clock });
    device.status.subscribe((status) => statuses.push(status));

    for (const pause of [50, 100, 200]) {
      const [peer] = hub.server.peers;
      await peer?.connection.close();
      await until(() => device.peers.size === 0);
      clock.advance(pause - 1);
      expect(clock.pending).toBe(1);
      clock.advance(1);
      await until(() => hub.server.peers.size === 1);
    }

    const [peer] = hub.server.peers;
    expect(await peer?.client.request('checksum', Buffer.from([3]))).toEqual(Buffer.from([3]));
    const back = ['reconnecting', 'connected'];
    expect(statuses).toEqual(['connected', ...back, ...back, ...back]);
  });

  it('waits as long as its options say', async () => {
    const clock = new ManualClock();
    await startHub();
    const reconnect = { minDelay: 10, maxDelay: 15 };
    const device = await startDevice({ connect: { ...toHub(), reconnect }, clock });

    for (const pause of [5, 7.5, 7.5]) {
      await hub.server.peers.all()[0]?.connection.close();
      await until(() => device.peers.size === 0);
      clock.advance(pause - 0.5);
      expect(clock.pending).toBe(1);
      clock.advance(0.5);
      await until(() => hub.server.peers.size === 1);
    }
  });

  it('does not come back after close()', async () => {
    await startHub();
    const device = await startDevice({ connect: toHub() });
    await device.close();
    await until(() => hub.server.peers.size === 0);

    await device.close();
    expect(device.peers.size).toBe(0);
  });

  it('lets what runs end before it goes', async () => {
    await startHub();
    const device = await startDevice({ connect: toHub() });
    const { promise, resolve } = deferred();
    const controller = devices.get(device);
    if (controller !== undefined) controller.gate = promise;
    const slow = hub.server.peers.all()[0]?.client.request('slow', Buffer.from('x'));
    await until(() => controller?.seen.length === 1);

    const closed = device.close();
    resolve();

    expect(await slow).toEqual(Buffer.from('x'));
    await closed;
  });

  it('refuses the options of a listener, by name', async () => {
    await startHub();
    const server = new InterconnectServer({ connect: toHub(), port: 5000, authenticate: () => {} });

    const error = await new Promise((resolve) => void server.listen(resolve));

    expect(error).toBeInstanceOf(InterconnectError);
    expect(error).toMatchObject({
      code: 'IC_ERR_OPTION',
      message: expect.stringContaining('beside connect: port, authenticate'),
    });
  });

  it('may share the connection of the client that the module provides', async () => {
    await startHub();
    const server = await createModuleServer();

    expect(hub.server.peers.size).toBe(1);
    const [peer] = hub.server.peers;
    expect(await peer?.client.request('checksum', Buffer.from([4]))).toEqual(Buffer.from([4]));
    expect(server.peers.size).toBe(1);
  });

  async function createModuleServer(): Promise<InterconnectServer> {
    @Controller()
    class SharingController extends DeviceController {
      @Inject(InterconnectClient) readonly client!: InterconnectClient;
    }
    const { Test } = await import('@nestjs/testing');
    const module = await Test.createTestingModule({
      imports: [InterconnectModule.forRoot({ client: toHub(), serveOverClient: true })],
      controllers: [SharingController],
    }).compile();
    const strategy = module.get(InterconnectServer);
    const app = module.createNestMicroservice({ strategy });
    open.push(app);
    await app.listen();
    expect((await app.get(SharingController).client.request('who', Buffer.alloc(0))).length).toBe(
      0,
    );
    return strategy;
  }
});
