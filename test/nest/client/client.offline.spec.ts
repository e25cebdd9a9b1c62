import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { firstValueFrom, lastValueFrom, timeout as within } from 'rxjs';
import {
  Code,
  InterconnectError,
  InterconnectRecordBuilder,
  InterconnectStatus,
} from '../../../src/nest/index.js';
import type {
  InterconnectClient,
  InterconnectClientOptions,
  WhenOffline,
} from '../../../src/nest/index.js';
import { ManualClock } from '../../support/sim/manual-clock.js';
import { failure, failureOf, until } from '../../support/nest/async.js';
import { Loopback, portOf } from '../../support/nest/loopback.js';

const bytes = Buffer.from('bytes');

@Controller()
class EchoController {
  @MessagePattern('echo')
  echo(@Payload() data: Buffer): Buffer {
    return data;
  }

  @EventPattern('event')
  event(@Payload() _data: Buffer): void {}
}

let loopback: Loopback;
let clock: ManualClock;
let token: string;

beforeEach(async () => {
  token = '';
  clock = new ManualClock();
  loopback = await Loopback.start({
    controllers: [EchoController],
    server: {
      authenticate: (handshake) =>
        handshake.data.toString() === token
          ? handshake.accept()
          : handshake.reject(Code.FORBIDDEN, 'expired'),
    },
  });
});
afterEach(() => loopback.close());

/** On the test's clock. */
function client(options: InterconnectClientOptions = {}): InterconnectClient {
  return loopback.client({ clock, idleTimeout: 0, ...options });
}

/** Time passes, and what falls due meanwhile has its turns. */
async function pass(milliseconds: number): Promise<void> {
  for (let left = milliseconds; left > 0; left -= 50) {
    clock.advance(Math.min(50, left));
    for (let turns = 0; turns < 5; turns++) await new Promise((resolve) => setImmediate(resolve));
  }
}

let mutes: (() => void)[] = [];

afterEach(() => {
  for (const end of mutes) end();
  mutes = [];
});

/** The port of a server that takes sockets and says nothing. */
async function mute(): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  mutes.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return portOf(server.address());
}

/** Errors of those that have failed so far. */
function watch(...calls: Promise<unknown>[]): unknown[] {
  const failed: unknown[] = [];
  for (const call of calls) call.catch((error: unknown) => failed.push(error));
  return failed;
}

describe('a call that waits for the first connection', () => {
  const record = () => new InterconnectRecordBuilder(bytes).setTimeout(500).build();
  const patient = { messageTimeout: 500 };

  it.each<[string, InterconnectClientOptions, (each: InterconnectClient) => Promise<unknown>]>([
    ['request()', {}, (each) => each.request('echo', bytes, { timeout: 500 })],
    ['send()', {}, (each) => firstValueFrom(each.send('echo', record()))],
    ['emit()', {}, (each) => lastValueFrom(each.emit('event', record()))],
    ['the client', patient, (each) => each.request('echo', bytes)],
  ])('has its own time: that of %s', async (_of, options, call) => {
    const port = await mute();
    const failed = watch(call(client({ port, ...options })));

    clock.advance(499);
    await new Promise((resolve) => setImmediate(resolve));
    expect(failed).toEqual([]);
    clock.advance(1);
    await until(() => failed.length === 1);

    expect(failed).toMatchObject([{ code: 'IC_ERR_TIMEOUT', executed: 'no' }]);
    expect((failed[0] as Error).message).toContain(`No connection to 127.0.0.1:${port} for 500 ms`);
  });

  it('is cancelled by its signal, and by whoever unsubscribes', async () => {
    const port = await mute();
    const controller = new AbortController();
    const { signal } = controller;
    const waiting = failure(client({ port }).request('echo', bytes, { signal }));

    controller.abort();
    expect(await waiting).toMatchObject({ code: 'IC_ERR_CANCELLED', executed: 'no' });

    const late = firstValueFrom(
      client({ port })
        .send('echo', bytes)
        .pipe(within({ first: 1 })),
    );
    expect(await late.catch((error: Error) => error.name)).toBe('TimeoutError');
  });

  it('has five seconds by default, as connect() has', async () => {
    const port = await mute();
    const asked = client({ port });
    const failed = watch(asked.request('echo', bytes), asked.connect());

    clock.advance(4999);
    await new Promise((resolve) => setImmediate(resolve));
    expect(failed).toEqual([]);
    clock.advance(1);
    await until(() => failed.length === 2);

    expect(failed).toMatchObject(failed.map(() => ({ code: 'IC_ERR_OFFLINE', executed: 'no' })));
  });

  it('goes out if the server starts meanwhile', async () => {
    const { port } = loopback;
    await loopback.app.close();
    const asked = client();
    const answer = asked.request('echo', bytes);
    await pass(2000);

    const other = await Loopback.start({ controllers: [EchoController], server: { port } });
    await pass(2000);

    expect(await answer).toEqual(bytes);
    await asked.close();
    await other.close();
  });

  it('fails at once where waiting does not mend it, and dials again only after a pause', async () => {
    token = 'other';
    clock.chance = 1;
    const asked = client();

    const [one, other] = await Promise.all([
      failureOf(InterconnectError, asked.request('echo', bytes)),
      failureOf(InterconnectError, asked.send('echo', bytes)),
    ]);
    const early = await failureOf(InterconnectError, asked.request('echo', bytes));
    token = '';
    clock.advance(100);

    for (const error of [one, other, early]) {
      expect(error).toMatchObject({
        code: 'IC_ERR_CONNECTION_REJECTED',
        status: Code.FORBIDDEN,
        reason: 'expired',
        executed: 'no',
      });
    }
    expect(await asked.request('echo', bytes)).toEqual(bytes);
  });
});

describe('a call while the server is away', () => {
  async function abandoned(options: InterconnectClientOptions = {}): Promise<InterconnectClient> {
    const asked = client(options);
    const connection = await asked.connect();
    await asked.request('echo', bytes);
    await loopback.server.close();
    await until(() => connection.status === 'detached');
    await until(() => connection.outage !== undefined);
    return asked;
  }

  it('fails as the client says, and says why', async () => {
    const asked = await abandoned({ whenOffline: 1000 });
    const failed = watch(asked.request('echo', bytes), firstValueFrom(asked.send('echo', bytes)));

    await pass(1000);
    await until(() => failed.length === 2);

    const { port } = loopback;
    expect(failed[0]).toMatchObject({
      code: 'IC_ERR_OFFLINE',
      executed: 'no',
      message: `No connection to 127.0.0.1:${port} for 1.0 s: connect ECONNREFUSED 127.0.0.1:${port}.`,
      cause: { code: 'IC_ERR_CONNECT' },
    });
    expect(asked.outage?.error).toMatchObject({ code: 'IC_ERR_CONNECT' });
    const further = watch(asked.request('echo', bytes));
    await new Promise((resolve) => setImmediate(resolve));
    expect(further).toHaveLength(1);
  });

  it.each<[string, (each: InterconnectClient, value: WhenOffline) => Promise<unknown>]>([
    [
      'request()',
      (each, whenOffline) => each.request('echo', bytes, { whenOffline, timeout: 60_000 }),
    ],
    [
      'a record',
      (each, value) => {
        const builder = new InterconnectRecordBuilder(bytes).setTimeout(60_000);
        return firstValueFrom(each.send('echo', builder.setWhenOffline(value).build()));
      },
    ],
    [
      'a request() with a record',
      (each, whenOffline) => {
        const record = new InterconnectRecordBuilder(bytes).setTimeout(60_000).build();
        return each.request('echo', record, { whenOffline });
      },
    ],
  ])('has its own choice: by %s', async (_by, call) => {
    const asked = await abandoned({ whenOffline: 1000 });
    const hasty = watch(call(asked, 'fail'));
    const patient = watch(call(asked, 3000));
    const stoic = watch(call(asked, 'wait'));
    await new Promise((resolve) => setImmediate(resolve));
    expect(hasty).toHaveLength(1);

    await pass(2950);
    expect([patient.length, stoic.length]).toEqual([0, 0]);
    await pass(100);
    await until(() => patient.length === 1);
    await pass(10_000);

    expect(stoic).toEqual([]);
  });

  it('finds the server back, as status and events tell', async () => {
    const { port } = loopback;
    const asked = await abandoned({ whenOffline: 1000 });
    const told: string[] = [];
    asked.status.subscribe((status) => told.push(status));
    asked.on('offline', ({ code }) => told.push(`event ${code}`));
    asked.on('reconnect', () => told.push('reconnect'));
    await pass(1000);
    await failure(asked.request('echo', bytes));

    const { log } = loopback;
    const other = await Loopback.start({ controllers: [EchoController], server: { port } });
    await pass(10_000);

    await until(() => told.includes('reconnect'));
    expect(log.find('warn', `No connection to 127.0.0.1:${port}: connect ECONN`)).toHaveLength(1);
    expect(log.find('warn', 'Calls fail at once until it is back.')).toHaveLength(1);
    expect(other.log.find('warn', `127.0.0.1:${port} again, after`)).toHaveLength(1);
    expect(told).toEqual([
      InterconnectStatus.RECONNECTING,
      InterconnectStatus.OFFLINE,
      'event IC_ERR_OFFLINE',
      InterconnectStatus.CONNECTED,
      'reconnect',
    ]);
    expect(await asked.request('echo', bytes)).toEqual(bytes);
    expect(asked.outage).toBeUndefined();
    await asked.close();
    await other.close();
  });

  it('waits as the client says if the server calls it', async () => {
    const asked = client();
    const connection = await asked.connect();
    await until(() => loopback.server.peers.size === 1);
    const [peer] = loopback.server.peers;
    if (peer === undefined) throw new Error('There is no peer.');
    connection.socket.destroy();
    await until(() => peer.connection.status === 'detached');

    const hasty = failureOf(
      InterconnectError,
      peer.client.request('push', bytes, { whenOffline: 'fail' }),
    );

    expect(await hasty).toMatchObject({ code: 'IC_ERR_OFFLINE', executed: 'no' });
  });
});

describe('a token that expires', () => {
  it('is given anew for each attempt, and what waits goes out', async () => {
    token = 'one';
    const asked = client({ data: async () => Buffer.from(token) });
    const connection = await asked.connect();

    token = 'two';
    connection.socket.destroy();
    await until(() => connection.status === 'detached');
    const waiting = asked.request('echo', bytes);
    await pass(100);

    expect(await waiting).toEqual(bytes);
    expect(connection.status).toBe('open');
    const { log, port } = loopback;
    expect(log.find('warn', `127.0.0.1:${port} has lost its socket`)).toHaveLength(1);
    expect(log.find('warn', `127.0.0.1:${port} again, after 0.1 s`)).toHaveLength(1);
  });
});

describe('setWhenOffline', () => {
  it.each([-1, 0.5, 'never', undefined])('takes no %p', (value) => {
    expect(() => new InterconnectRecordBuilder().setWhenOffline(value as WhenOffline)).toThrow(
      TypeError,
    );
  });
});
