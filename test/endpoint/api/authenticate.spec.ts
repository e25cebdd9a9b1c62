import { describe, expect, it } from '@jest/globals';
import { Code, connect, type Handshake } from 'nestjs-interconnect/core';
import { afterTest } from '../../support/after-test.js';
import { addressOf, connected, dial, listening } from '../../support/peers/connected.js';
import { failure, next, thrown, turn, until } from '../../support/events.js';
import { ManualClock } from '../../support/sim/manual-clock.js';

describe('authenticate', () => {
  it('lets a dialer in by accept', async () => {
    const { listener, acceptor } = await connected({
      authenticate: (handshake) => handshake.accept(),
    });

    expect([...listener.connections]).toEqual([acceptor]);
  });

  it('knows the dialer by its data and its address', async () => {
    let seen: Handshake | undefined;

    await connected(
      {
        authenticate: (handshake) => {
          seen = handshake;
          handshake.accept();
        },
      },
      { data: Buffer.from('token'), agent: 'tester' },
    );

    expect(seen?.data).toEqual(Buffer.from('token'));
    expect(seen?.peer).toMatchObject({ address: '127.0.0.1', agent: 'tester', encrypted: false });
  });

  it('may take its time', async () => {
    const clock = new ManualClock();
    let handshake: Handshake | undefined;
    const listener = await listening({
      clock,
      authenticate: (asking) => void (handshake = asking),
    });

    const connecting = connect({ ...addressOf(listener), clock });
    await until(() => handshake !== undefined);
    clock.advance(9_999);
    handshake?.accept(Buffer.from('at last'));
    const connection = await connecting;
    afterTest(() => connection.close());

    expect(connection.data).toEqual(Buffer.from('at last'));
  });

  it('refuses with a status, a reason and data', async () => {
    const listener = await listening({
      authenticate: (handshake) =>
        handshake.reject(Code.FORBIDDEN, 'not you', Buffer.from('ask the owner')),
    });

    const error = await failure(connect(addressOf(listener)));

    expect(error).toMatchObject({
      code: 'IC_ERR_CONNECTION_REJECTED',
      executed: 'no',
      status: Code.FORBIDDEN,
      reason: 'not you',
      data: Buffer.from('ask the owner'),
    });
    expect(error.message).toContain('rejected the connection: FORBIDDEN, not you.');
    expect(listener.connections.size).toBe(0);
  });

  it('refuses as UNAUTHENTICATED where it gives no code, and with a code of its own', async () => {
    const codes = [undefined, 0x8001];
    const listener = await listening({
      authenticate: (handshake) => handshake.reject(codes.shift()),
    });

    const first = await failure(connect(addressOf(listener)));
    const second = await failure(connect(addressOf(listener)));

    expect(first).toMatchObject({ status: Code.UNAUTHENTICATED, reason: '' });
    expect(second).toMatchObject({ status: 0x8001 });
    expect(second.message).toContain('rejected the connection: 0x8001.');
  });

  it.each([
    ['throws', (): void => unfit()],
    ['rejects its promise', (): Promise<void> => Promise.reject(new Error('no database'))],
  ])('refuses, and tells the application, where it %s', async (_what, authenticate) => {
    const listener = await listening({ authenticate });
    const reported = next(listener, 'handlerError');

    const error = await failure(connect(addressOf(listener)));

    expect(error).toMatchObject({
      code: 'IC_ERR_CONNECTION_REJECTED',
      status: Code.INTERNAL,
      reason: 'The handshake could not be judged.',
    });
    expect(await reported).toEqual([expect.objectContaining({ message: 'no database' })]);
  });

  it('changes nothing by what it does after it has accepted', async () => {
    const listener = await listening({
      authenticate: (handshake) => {
        handshake.accept();
        handshake.accept(Buffer.from('again'));
        handshake.reject();
        throw new Error('too late');
      },
    });
    const reported = next(listener, 'handlerError');

    const dialer = await dial(listener);

    expect(await reported).toEqual([expect.objectContaining({ message: 'too late' })]);
    expect(dialer).toMatchObject({ status: 'open', data: Buffer.alloc(0) });
    expect(await dialer.ping()).toBeGreaterThanOrEqual(0);
  });

  it('says who the dialer is, for as long as the connection lasts', async () => {
    const { acceptor, dialer } = await connected(
      { authenticate: (handshake) => handshake.accept(undefined, handshake.data.toString()) },
      { data: Buffer.from('alice'), reconnect: { minDelay: 1 } },
    );
    const resumed = next(acceptor, 'resume');

    expect([acceptor.principal, dialer.principal]).toEqual(['alice', '']);
    acceptor.socket.destroy();
    await resumed;
    expect(acceptor.principal).toBe('alice');
    await dialer.close();
    expect(acceptor.principal).toBe('alice');
  });

  it('says it before the connection is emitted, once, and to each of its own', async () => {
    const names = ['alice', undefined, 'bob'];
    const listener = await listening({
      authenticate: async (handshake) => {
        await turn();
        handshake.accept(undefined, names.shift());
        handshake.accept(undefined, 'mallory');
      },
    });
    const seen: string[] = [];
    listener.on('connection', ({ principal }) => seen.push(principal));

    for (let count = 0; count < 3; count++) await dial(listener);

    expect(seen).toEqual(['alice', '', 'bob']);
    expect([...listener.connections].map(({ principal }) => principal)).toEqual(seen);
    expect((await connected()).acceptor.principal).toBe('');
  });

  it('changes nothing by what it does after it has refused', async () => {
    const listener = await listening({
      authenticate: (handshake) => {
        handshake.reject(Code.OVERLOADED, 'first');
        handshake.reject(Code.FORBIDDEN, 'second');
        handshake.accept();
      },
    });

    expect(await failure(connect(addressOf(listener)))).toMatchObject({ reason: 'first' });
    expect(listener.connections.size).toBe(0);
  });

  it('takes no code that says something else', async () => {
    const messages: string[] = [];
    const listener = await listening({
      authenticate: (handshake) => {
        for (const code of [Code.OK, Code.NO_SUCH_SESSION, 0x10000, 1.5]) {
          messages.push(thrown(() => handshake.reject(code)).message);
        }
        messages.push(thrown(() => handshake.reject(undefined, 'x'.repeat(1025))).message);
        handshake.reject();
      },
    });

    await failure(connect(addressOf(listener)));

    expect(messages).toEqual([
      expect.stringMatching(/^handshake\.reject takes .*UNAUTHENTICATED.* got 0\.$/),
      expect.stringMatching(/got 769\.$/),
      expect.stringMatching(/got 65536\.$/),
      expect.stringMatching(/got 1\.5\.$/),
      expect.stringMatching(/1025 bytes must have at most 1024/),
    ]);
  });

  it('is over when the dialer has gone meanwhile', async () => {
    let handshake: Handshake | undefined;
    const listener = await listening({ authenticate: (asking) => void (handshake = asking) });
    const gone = new Promise((resolve) =>
      listener.server?.once('connection', (socket) => socket.once('close', resolve)),
    );
    const abort = new AbortController();
    const connecting = connect({ ...addressOf(listener), signal: abort.signal });
    await until(() => handshake !== undefined);

    abort.abort();
    await failure(connecting);
    await gone;
    handshake?.accept();

    expect(listener.connections.size).toBe(0);
  });

  it('that never decides has the dialer refused in time, by the listener', async () => {
    const clock = new ManualClock();
    let asked = false;
    const listener = await listening({
      clock,
      handshakeTimeout: 3000,
      authenticate: () => void (asked = true),
    });
    const connecting = failure(connect({ ...addressOf(listener), clock: new ManualClock() }));
    await until(() => asked);

    clock.advance(3000);

    expect(await connecting).toMatchObject({
      code: 'IC_ERR_CONNECTION_REJECTED',
      executed: 'no',
      status: Code.HANDSHAKE_TIMEOUT,
    });
  });

  it('that never decides has the dialer give up in time', async () => {
    const clock = new ManualClock();
    let asked = false;
    const listener = await listening({
      clock: new ManualClock(),
      authenticate: () => void (asked = true),
    });
    const connecting = failure(connect({ ...addressOf(listener), clock, handshakeTimeout: 2000 }));
    await until(() => asked);

    clock.advance(2000);

    const error = await connecting;
    expect(error).toMatchObject({ code: 'IC_ERR_HANDSHAKE_TIMEOUT', executed: 'no' });
    expect(error.message).toContain('2000 ms');
  });
});

function unfit(): never {
  throw new Error('no database');
}
