import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import { EventEmitter } from 'node:events';
import { InterconnectError } from '../../../src/endpoint/index.js';
import type { Connection } from '../../../src/endpoint/index.js';
import { Dialing } from '../../../src/nest/server/dialing.js';
import { InterconnectServer } from '../../../src/nest/index.js';
import { ManualClock } from '../../support/sim/manual-clock.js';
import { deferred, until } from '../../support/nest/async.js';
import { LogRecorder } from '../../support/nest/log-recorder.js';

class FakeConnection extends EventEmitter {
  readonly drain = jest.fn(async (_options: { timeout: number }) => {});
  readonly close = jest.fn(async () => {});
  wasOfUse = false;
}

/** Each `connect()` waits for the test to decide. */
class FakeClient {
  readonly attempts: ReturnType<typeof deferred<Connection>>[] = [];
  readonly close = jest.fn(async () => {});
  private readonly callbacks: ((connection: Connection) => void)[] = [];

  on(_event: 'connect', callback: (connection: Connection) => void): void {
    this.callbacks.push(callback);
  }

  connect(): Promise<Connection> {
    const attempt = deferred<Connection>();
    this.attempts.push(attempt);
    return attempt.promise;
  }

  /** Its own event, without anybody having asked. */
  tell(connection: FakeConnection): void {
    for (const callback of this.callbacks) callback(asConnection(connection));
  }
}

function asConnection(connection: FakeConnection): Connection {
  return connection as unknown as Connection;
}

let clock: ManualClock;
let client: FakeClient;
let dialing: Dialing;
let served: Connection[];
let statuses: string[];
let warnings: string[];
let errors: unknown[];

beforeEach(() => {
  clock = new ManualClock();
  client = new FakeClient();
  served = [];
  statuses = [];
  warnings = [];
  errors = [];
  const told = {
    onConnection: (connection: Connection) => void served.push(connection),
    onStatus: (status: string) => void statuses.push(status),
    onError: (error: unknown) => void errors.push(error),
    onWarning: (_kind: string, message: string) => void warnings.push(message),
    onStranger: () => undefined,
    onDrop: () => undefined,
  };
  dialing = new Dialing({ connect: client }, told, clock);
});

async function connected(): Promise<FakeConnection> {
  const connection = new FakeConnection();
  client.attempts.at(-1)?.resolve(asConnection(connection));
  await until(() => served.includes(asConnection(connection)));
  return connection;
}

async function opened(): Promise<FakeConnection> {
  const opening = dialing.open();
  const connection = await connected();
  await opening;
  return connection;
}

/** Milliseconds until the next attempt. */
async function pauseOf(end: () => void): Promise<number> {
  const before = client.attempts.length;
  end();
  await until(() => clock.pending > 0);
  const start = clock.now();
  while (client.attempts.length === before) clock.advance(1);
  return clock.now() - start;
}

describe('Dialing', () => {
  it('serves each connection once, whoever brings it', async () => {
    const opening = dialing.open();
    const connection = new FakeConnection();
    client.tell(connection);
    client.attempts[0]?.resolve(asConnection(connection));
    await opening;

    const other = new FakeConnection();
    client.tell(other);

    expect(served).toEqual([connection, other]);
  });

  it('serves nothing before it is opened, and after an opening that failed', async () => {
    client.tell(new FakeConnection());
    const opening = dialing.open();
    client.attempts[0]?.reject(new Error('nobody'));
    await expect(opening).rejects.toThrow('nobody');

    client.tell(new FakeConnection());

    expect(served).toEqual([]);
  });

  it('does not take the end of a former connection for that of its own', async () => {
    const former = await opened();
    const connection = new FakeConnection();
    client.tell(connection);

    former.emit('close');

    expect(clock.pending).toBe(0);
    expect(statuses).toEqual(['connected', 'connected']);
  });

  it('tells when the socket is lost, and when there is another', async () => {
    const connection = await opened();

    connection.emit('status', 'detached');
    connection.emit('status', 'open');

    expect(statuses).toEqual(['connected', 'reconnecting', 'connected']);
  });

  it('waits at most ten seconds, and not at all long again after a connection that lasted', async () => {
    let connection = await opened();
    const pauses: number[] = [];
    for (let round = 0; round < 9; round += 1) {
      const ended = connection;
      pauses.push(await pauseOf(() => ended.emit('close')));
      connection = await connected();
    }
    clock.advance(10_000);
    pauses.push(await pauseOf(() => connection.emit('close')));

    // The clock's chance is one half.
    expect(pauses).toEqual([50, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 50]);
  });

  it('waits not at all long again after a connection that was of use', async () => {
    let connection = await opened();
    const pauses: number[] = [];
    for (const wasOfUse of [false, false, true, true, false]) {
      const ended = connection;
      ended.wasOfUse = wasOfUse;
      pauses.push(await pauseOf(() => ended.emit('close')));
      connection = await connected();
    }

    expect(pauses).toEqual([50, 100, 50, 50, 100]);
  });

  it('tries on when an attempt fails, of which its client tells, and waits longer', async () => {
    const connection = await opened();
    const first = await pauseOf(() => connection.emit('close'));

    const second = await pauseOf(() => client.attempts.at(-1)?.reject(new Error('nobody')));

    expect([first, second]).toEqual([50, 100]);
    expect(warnings).toEqual([]);
    await connected();
  });

  it('gives up where no further attempt can help, and says so', async () => {
    const connection = await opened();
    await pauseOf(() => connection.emit('close'));
    const error = new InterconnectError('IC_ERR_OPTION', 'port');

    client.attempts.at(-1)?.reject(error);
    await until(() => errors.length > 0);

    expect(errors).toEqual([error]);
    expect(clock.pending).toBe(0);
  });

  it('ends with its pauses, its connection and its client', async () => {
    const connection = await opened();
    await dialing.close(7_000);
    expect(connection.drain.mock.calls).toEqual([[{ timeout: 7_000 }]]);
    expect(client.close).toHaveBeenCalledTimes(1);
    connection.emit('close');
    expect(clock.pending).toBe(0);

    const next = await opened();
    next.emit('close');
    expect(clock.pending).toBe(1);
    await dialing.close(7_000);

    expect(clock.pending).toBe(0);
  });

  it('gives nothing any time when there is none', async () => {
    const connection = await opened();

    await dialing.close(0);

    expect(connection.drain).not.toHaveBeenCalled();
    expect(connection.close).toHaveBeenCalledTimes(1);
    expect(client.close).toHaveBeenCalledTimes(1);
  });

  it('forgets an attempt that fails when it is closed already', async () => {
    const connection = await opened();
    await pauseOf(() => connection.emit('close'));
    await dialing.close(0);

    client.attempts.at(-1)?.reject(new Error('closed'));
    await new Promise((resolve) => setImmediate(resolve));

    expect(warnings).toEqual([]);
    expect(clock.pending).toBe(0);
  });
});

describe('a server that connects', () => {
  it('fails to listen when close() overtakes it, though it waits for nothing', async () => {
    const server = new InterconnectServer({ connect: { waitForConnection: false }, clock });
    const callback = jest.fn();

    const listening = server.listen(callback);
    await server.close();
    await listening;

    expect(callback.mock.calls).toEqual([[expect.objectContaining({ code: 'IC_ERR_CLOSED' })]]);
  });

  it('is not disturbed by the failure of an attempt to listen that it has given up', async () => {
    const server = new InterconnectServer({ connect: client, clock });
    const callback = jest.fn();
    const first = server.listen(callback);
    await server.close();
    const second = server.listen(callback);

    client.attempts[0]?.reject(new Error('given up'));
    await first;
    client.attempts[1]?.resolve(asConnection(new FakeConnection()));
    await second;

    expect(callback.mock.calls).toEqual([[new Error('given up')], [undefined, undefined]]);
    await server.close();
  });

  it('closes without a word to its caller, whatever its client makes of it', async () => {
    const log = LogRecorder.install();
    const server = new InterconnectServer({ connect: client, clock });
    const listening = server.listen(() => {});
    client.attempts[0]?.reject(new Error('nobody'));
    await listening;
    void server.listen(() => {});
    client.close.mockRejectedValueOnce(new Error('cannot close'));

    await expect(server.close()).resolves.toBeUndefined();

    expect(log.find('error', 'cannot close')).toHaveLength(1);
  });
});
