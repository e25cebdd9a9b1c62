import { describe, expect, it } from '@jest/globals';
import { connect, type Connection, type ListenerOptions } from 'nestjs-interconnect/core';
import { Capability, Code, FrameType } from '../../../src/wire/index.js';
import { afterTest } from '../../support/after-test.js';
import { listening, tcpAddressOf } from '../../support/peers/connected.js';
import { failure, next, turn, until } from '../../support/events.js';
import { FaultyWire } from '../../support/peers/faulty-wire.js';
import { ManualClock } from '../../support/sim/manual-clock.js';
import { RawListener, type RawPeer } from '../../support/peers/raw-peer.js';

/** A clock that remembers how long the pauses were, and lets each of them pass at once when told to. */
class PauseClock extends ManualClock {
  readonly pauses: number[] = [];

  override setAlarm(delay: number, callback: () => void): () => void {
    this.pauses.push(delay);
    return super.setAlarm(delay, callback);
  }
}

const quiet = { idleTimeout: 0 };

/** A connection whose listener is gone, and its clock. */
async function abandoned(
  reconnect: object,
  chance: number,
): Promise<{ connection: Connection; clock: PauseClock; port: number }> {
  const clock = new PauseClock();
  clock.chance = chance;
  const listener = await listening({ resumeTimeout: 0 });
  const { port } = tcpAddressOf(listener);
  const connection = await connect({ host: '127.0.0.1', port, clock, reconnect, ...quiet });
  afterTest(() => connection.close());
  const detached = next(connection, 'detach');
  const [acceptor] = listener.connections;
  acceptor?.socket.destroy();
  await listener.close();
  await detached;
  return { connection, clock, port };
}

/** A connection whose other side is written by hand, and lets its dialer resume each time. */
async function resumable(reconnect: object = {}) {
  const clock = new PauseClock();
  clock.chance = 1;
  const raw = await RawListener.listen();
  const connecting = connect({ ...raw.address, clock, reconnect, ...quiet });
  let peer: RawPeer | undefined = await raw.accepted();
  const token = { token: Buffer.alloc(32, 7), ttl: 60_000 };
  await peer.welcome({ caps: Capability.RESUME, token });
  const connection = await connecting;
  afterTest(() => connection.close());
  let opened = 0;

  const resumed = async (): Promise<RawPeer> => {
    const next_ = await raw.accepted();
    const isResumed = next(connection, 'resume');
    await next_.welcome({ caps: Capability.RESUME, resumed: 0 });
    await isResumed;
    return next_;
  };
  /** The next socket, on which so many frames of the listener arrive. */
  const socket = async (pushes: number): Promise<RawPeer> => {
    const current = peer ?? (await resumed());
    peer = undefined;
    for (let count = 0; count < pushes; count++) {
      opened += 1;
      current.send({ type: FrameType.OPEN, session: 2 * opened, meta: { name: 'push' } });
    }
    await until(() => connection.machine.received === opened);
    return current;
  };
  return { connection, clock, accepted: socket };
}

/** Lets the next pause pass, until the attempt that follows it has failed or ended all. */
async function attempt(clock: PauseClock, connection: Connection): Promise<void> {
  const { length } = clock.pauses;
  clock.advance(clock.pauses.at(-1) ?? 0);
  await until(() => clock.pauses.length > length || connection.status !== 'detached');
}

describe('the pauses between attempts to come back', () => {
  it.each([
    [1, [100, 200, 400, 800, 1000, 1000, 1000]],
    [0.5, [50, 100, 200, 400, 500, 500, 500]],
    [0, [0, 0, 0, 0, 0, 0, 0]],
  ])('double up to the longest, of which chance takes %d [IC-17.12]', async (chance, pauses) => {
    const reconnect = { minDelay: 100, maxDelay: 1000 };
    const { connection, clock } = await abandoned(reconnect, chance);

    while (clock.pauses.length < pauses.length) await attempt(clock, connection);

    expect(clock.pauses).toEqual(pauses);
    await connection.close();
    expect(clock.pending).toBe(0);
  });

  it('are short again after a connection that lasted, and long after one that did not', async () => {
    const clock = new PauseClock();
    clock.chance = 1;
    const listener = await listening(quiet);
    const connection = await connect({ ...tcpAddressOf(listener), clock, ...quiet });
    afterTest(() => connection.close());
    const lose = async (after: number): Promise<void> => {
      clock.advance(after);
      connection.socket.destroy();
      await next(connection, 'detach');
      clock.advance(clock.pauses.at(-1) ?? 0);
      await until(() => connection.status === 'open');
    };

    for (const after of [0, 9999, 100, 10_000, 5]) await lose(after);

    expect(clock.pauses).toEqual([100, 200, 400, 100, 200]);
  });

  it('are short again after a socket on which something was acknowledged [IC-17.13]', async () => {
    const clock = new PauseClock();
    clock.chance = 1;
    const listener = await listening({ idleTimeout: 0 });
    listener.on('connection', (accepted) => {
      accepted.on('session', (session) => {
        session.on('message', (message) => message.accept());
        session.accept();
      });
    });
    const connection = await connect({ ...tcpAddressOf(listener), clock, ...quiet });
    afterTest(() => connection.close());
    const session = connection.openSession('s');
    const lose = async (calls: number): Promise<void> => {
      for (let call = 0; call < calls; call++) await session.send(Buffer.from('x'));
      connection.socket.destroy();
      await next(connection, 'detach');
      clock.advance(clock.pauses.at(-1) ?? 0);
      await until(() => connection.status === 'open');
    };

    for (const calls of [1, 1, 0, 0, 0, 1, 0, 0]) await lose(calls);

    // What was sent last is acknowledged by the resume itself.
    expect(clock.pauses).toEqual([100, 100, 100, 200, 400, 100, 100, 200]);
  });

  it('are short again when only the other side has sent something [IC-17.13]', async () => {
    const { connection, clock, accepted } = await resumable();

    for (const pushes of [1, 1, 0, 1]) {
      const peer = await accepted(pushes);
      peer.socket.destroy();
      await next(connection, 'detach');
      clock.advance(clock.pauses.at(-1) ?? 0);
    }

    expect(clock.pauses).toEqual([100, 100, 200, 100]);
  });

  it('grow while nothing is acknowledged, however much is written again [IC-17.13]', async () => {
    const { connection, clock, accepted } = await resumable();
    void failure(connection.openSession('s', { timeout: 0 }).send(Buffer.alloc(1000)));

    for (let round = 0; round < 5; round++) {
      const peer = await accepted(0);
      await peer.frame(FrameType.SEND);
      peer.socket.destroy();
      await next(connection, 'detach');
      clock.advance(clock.pauses.at(-1) ?? 0);
    }

    expect(clock.pauses).toEqual([100, 200, 400, 800, 1600]);
  });

  it.each([
    [0, 10_000, 5000],
    [1, 10_000, 10_000],
    [0, 100, 1000],
    [1, 100, 1000],
  ])(
    'are long for who is told that somebody else goes on: chance %d, at most %d ms [IC-17.14]',
    async (chance, maxDelay, pause) => {
      const { connection, clock, accepted } = await resumable({ maxDelay });
      clock.chance = chance;

      for (let round = 0; round < 3; round++) {
        const peer = await accepted(1);
        peer.send({ type: FrameType.CLOSE, meta: { code: Code.SUPERSEDED } });
        await next(connection, 'detach');
        clock.advance(clock.pauses.at(-1) ?? 0);
      }

      expect(clock.pauses).toEqual([pause, pause, pause]);
    },
  );

  it('end when there is a listener again', async () => {
    const { connection, clock, port } = await abandoned({ minDelay: 10 }, 0.5);
    for (let round = 0; round < 3; round++) await attempt(clock, connection);
    expect(connection.status).toBe('detached');

    await listening({ port });
    await attempt(clock, connection);

    expect(connection.status).toBe('open');
  });
});

describe('a dialer that cannot come back', () => {
  it('gives up after as many rounds as it was told', async () => {
    const { connection, clock } = await abandoned({ attempts: 3 }, 0.5);
    const closed = next(connection, 'close');
    const waiting = connection.openSession('s', { timeout: 0 });
    const unsent = waiting.send(Buffer.from('x'), { timeout: 0 });
    void unsent.catch(() => undefined);

    while (connection.status === 'detached') await attempt(clock, connection);

    expect(clock.pauses).toHaveLength(3);
    const [error] = await closed;
    expect(error).toMatchObject({ code: 'IC_ERR_CONNECTION_LOST' });
    expect(error?.message).toContain('ECONNREFUSED');
    await expect(unsent).rejects.toMatchObject({ code: 'IC_ERR_CONNECTION_LOST', executed: 'no' });
    expect(clock.pending).toBe(0);
  });

  it.each([Code.UNAUTHENTICATED, Code.FORBIDDEN])(
    'gives up when it is refused by code %d twice in a row',
    async (code) => {
      const { connection, clock, refusals, refuseBy } = await refusable();
      const closed = next(connection, 'close');

      refuseBy(code);
      connection.socket.destroy();
      await next(connection, 'detach');
      while (connection.status === 'detached') await attempt(clock, connection);

      expect(refusals()).toBe(2);
      expect((await closed)[0]?.message).toContain('not you');
      await until(() => clock.pending === 0);
    },
  );

  it('goes on where it is refused for want of room, however often', async () => {
    const { connection, clock, refusals, refuseBy } = await refusable();

    refuseBy(Code.OVERLOADED);
    connection.socket.destroy();
    await next(connection, 'detach');
    for (let round = 0; round < 10; round++) await attempt(clock, connection);
    expect([refusals(), connection.status]).toEqual([10, 'detached']);
    refuseBy(undefined);
    await attempt(clock, connection);

    expect(connection.status).toBe('open');
  });

  it('is not refused twice in a row where something else came between', async () => {
    const { connection, clock, refusals, refuseBy } = await refusable();

    connection.socket.destroy();
    await next(connection, 'detach');
    for (const code of [Code.UNAUTHENTICATED, Code.OVERLOADED, Code.UNAUTHENTICATED]) {
      refuseBy(code);
      await attempt(clock, connection);
    }

    expect([refusals(), connection.status]).toEqual([3, 'detached']);
  });
});

async function refusable() {
  let code: number | undefined;
  let count = 0;
  const authenticate: ListenerOptions['authenticate'] = (handshake) => {
    if (code === undefined) return handshake.accept();
    count += 1;
    handshake.reject(code, 'not you');
  };
  const clock = new PauseClock();
  const listener = await listening({ authenticate });
  const connection = await connect({ ...tcpAddressOf(listener), clock, ...quiet });
  afterTest(() => connection.close());
  const refuseBy = (next_: number | undefined): void => void (code = next_);
  return { connection, clock, refusals: () => count, refuseBy };
}

describe('several addresses', () => {
  it('are tried in turn, beginning with the last that was good', async () => {
    const clock = new PauseClock();
    const [one, two] = [await listening(quiet), await listening(quiet)];
    const addresses = [one, two].map(tcpAddressOf);
    const connection = await connect({ addresses, clock, ...quiet });
    afterTest(() => connection.close());
    expect([one.connections.size, two.connections.size]).toEqual([1, 0]);
    const lose = async (): Promise<void> => {
      connection.socket.destroy();
      await next(connection, 'detach');
      clock.advance(10_000);
      await until(() => connection.status === 'open');
    };

    const [acceptor] = one.connections;
    const gone = acceptor && next(acceptor, 'detach');
    connection.socket.destroy();
    await gone;
    await one.close();
    await until(() => connection.status === 'detached');
    clock.advance(10_000);
    await until(() => connection.status === 'open');
    expect(two.connections.size).toBe(1);

    await listening({ port: addresses[0]?.port ?? 0, ...quiet });
    await lose();
    expect(two.connections.size).toBe(1);
  });

  it('of which one is silent are left for the next after the time of a handshake', async () => {
    const clock = new PauseClock();
    const good = await listening(quiet);
    const wire = await FaultyWire.before(tcpAddressOf(good));
    wire.isDead = true;
    const addresses = [wire.address, tcpAddressOf(good)];

    const connecting = connect({ addresses, clock, handshakeTimeout: 500, ...quiet });
    const strand = await wire.strand(0);
    await until(() => strand.kept > 0);
    clock.advance(499);
    await turn();
    expect(good.connections.size).toBe(0);
    clock.advance(1);

    const connection = await connecting;
    afterTest(() => connection.close());
    expect(good.connections.size).toBe(1);
    await until(() => strand.isOver);
  });
});
