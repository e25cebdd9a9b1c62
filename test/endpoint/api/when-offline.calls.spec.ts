import { describe, expect, it } from '@jest/globals';
import { connect, type WhenOffline } from 'nestjs-interconnect/core';
import { FrameType } from '../../../src/wire/index.js';
import { afterTest } from '../../support/after-test.js';
import { listening, tcpAddressOf } from '../../support/peers/connected.js';
import { failure, next, turn, until } from '../../support/events.js';
import { ManualClock } from '../../support/sim/manual-clock.js';
import { abandoned, age, bytes, raw, send, watch, quiet } from '../../support/peers/offline.js';
import { RawListener } from '../../support/peers/raw-peer.js';

describe('the choice of one call', () => {
  it.each([
    [5000, 'fail', 0],
    [5000, 1000, 1000],
    [5000, 7000, 7000],
    [1000, 'wait', Infinity],
    ['wait', 1000, 1000],
    ['fail', 2000, 2000],
  ] as const)('of the connection %p, %p of the call', async (ofConnection, ofCall, limit) => {
    const { connection, session, clock, lose } = await abandoned({ whenOffline: ofConnection });
    await lose();
    const failed = watch(send(session, ofCall));

    await age(clock, connection, Math.min(limit - 1, 20_000));
    await turn();
    const before = failed.length;
    await age(clock, connection, Math.min(limit, 20_000));
    await turn();

    expect([before, failed.length]).toEqual([limit === 0 ? 1 : 0, limit === Infinity ? 0 : 1]);
  });

  it('holds for what was asked before the socket was lost, and waited for credit', async () => {
    const { connection, clock, sockets } = await raw({ whenOffline: 5000 });
    const first = await sockets();
    const session = connection.openSession('s', { timeout: 0 });
    // The other side allows 256.
    void watch(...Array.from({ length: 256 }, () => send(session)));
    const failed = watch(send(session, 1000));
    await until(() => first.frames.filter(({ type }) => type === FrameType.SEND).length === 256);
    first.socket.destroy();
    await next(connection, 'detach');

    clock.advance(999);
    await turn();
    expect(failed).toEqual([]);
    clock.advance(1);
    await turn();

    expect(failed).toMatchObject([{ code: 'IC_ERR_OFFLINE' }]);
  });

  it('holds for the session that it opens', async () => {
    const { connection, clock, lose } = await abandoned({ whenOffline: 5000 });
    await lose();
    const hasty = watch(connection.createSession('t', { whenOffline: 1000 }));
    const patient = watch(connection.createSession('u', { whenOffline: 'wait' }));

    await age(clock, connection, 1000);
    expect(hasty).toMatchObject([{ code: 'IC_ERR_OFFLINE', executed: 'no' }]);
    await age(clock, connection, 20_000);

    expect(patient).toEqual([]);
  });

  it('holds at the end of a listener, which waits for its dialer', async () => {
    const clock = new ManualClock();
    const listener = await listening({ clock, ...quiet });
    const accepted = next(listener, 'connection');
    const dialer = await connect({ ...tcpAddressOf(listener), clock: new ManualClock(), ...quiet });
    afterTest(() => dialer.close());
    const [acceptor] = await accepted;
    const session = acceptor.openSession('push');
    const detached = next(acceptor, 'detach');
    dialer.socket.destroy();
    await detached;
    const failed = watch(send(session, 2000));
    const waiting = watch(send(session));

    clock.advance(2000);
    await turn();

    expect(failed).toMatchObject([
      {
        code: 'IC_ERR_OFFLINE',
        message: expect.stringMatching(/^No connection to 127\.0\.0\.1:/u),
      },
    ]);
    expect(waiting).toEqual([]);
  });

  it.each([-1, 1.5, 2 ** 31, '5', 'later', null])('must not be %p', async (value) => {
    const { connection, session } = await abandoned();
    const whenOffline = value as WhenOffline;
    let ended = 0;
    const source = {
      async *[Symbol.asyncIterator]() {
        try {
          yield bytes;
        } finally {
          ended += 1;
        }
      },
    };

    const errors = [
      await failure(session.send(bytes, { whenOffline })),
      await failure(session.send(source, { whenOffline })),
      await failure(connection.createSession('t', { whenOffline })),
      await failure(connect({ port: 1, whenOffline })),
    ];

    for (const error of errors) {
      expect(error.code).toBe('IC_ERR_OPTION');
      expect(error.message).toContain(
        "whenOffline must be milliseconds from 0 to 2147483647, 'wait'",
      );
    }
    expect(() => session.stream(bytes, { whenOffline })).toThrow('whenOffline');
    expect(ended).toBe(0);
  });
});

describe('what belongs to a call that fails offline', () => {
  it('ends its source', async () => {
    const { connection, session, clock, lose } = await abandoned({ whenOffline: 1000 });
    await lose();
    let ended = 0;
    const source = (): AsyncIterable<Buffer> => ({
      [Symbol.asyncIterator]: () => ({
        next: async () => ({ done: false, value: bytes }),
        return: async () => {
          ended += 1;
          return { done: true, value: undefined };
        },
      }),
    });
    const waiting = watch(session.send(source(), { timeout: 0 }));
    await age(clock, connection, 1000);
    const late = watch(session.send(source(), { timeout: 0 }));
    await turn();

    expect([waiting.length, late.length, ended]).toEqual([1, 1, 2]);
  });

  it('is not sent anew on the next connection, though it may run twice, and says that it may have run', async () => {
    const clock = new ManualClock();
    const listener = await RawListener.listen();
    const options = { ...listener.address, clock, whenOffline: 'fail', ...quiet } as const;
    const connecting = connect(options);
    const peer = await listener.accepted();
    await peer.welcome();
    const connection = await connecting;
    afterTest(() => connection.close());
    const session = connection.openSession('s', { timeout: 0 });
    const written = failure(session.send(bytes, { timeout: 0, idempotent: true }));
    await peer.frame(FrameType.SEND);

    peer.socket.destroy();

    expect(await written).toMatchObject({ code: 'IC_ERR_OFFLINE', executed: 'maybe' });
  });
});
