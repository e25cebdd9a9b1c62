import { describe, expect, it } from '@jest/globals';
import { connect, createConnection } from 'nestjs-interconnect/core';
import { attemptTimeoutOf } from '../../../src/endpoint/api/connect.js';
import { socketOptions } from '../../../src/endpoint/socket/dialer.js';
import { afterTest } from '../../support/after-test.js';
import { certificates } from '../../support/peers/certificates.js';
import { listening, tcpAddressOf } from '../../support/peers/connected.js';
import { failure, next, turn, until } from '../../support/events.js';
import { ManualClock } from '../../support/sim/manual-clock.js';
import { RawListener } from '../../support/peers/raw-peer.js';

/** A listener that notes the connect data of its dialers, and takes those whose data is valid. */
async function judging() {
  const seen: string[] = [];
  const state = { valid: 'token-1', seen };
  const listener = await listening({
    idleTimeout: 0,
    authenticate: (handshake) => {
      const token = handshake.data.toString();
      seen.push(token);
      if (token === state.valid) handshake.accept();
      else handshake.reject();
    },
  });
  return { ...tcpAddressOf(listener), state };
}

describe('data that is a function', () => {
  it.each(['at once', 'later'] as const)(
    'is asked at each attempt, so that a token may be renewed: %s',
    async (when) => {
      const { host, port, state } = await judging();
      const clock = new ManualClock();
      const give = () => Buffer.from(state.valid);
      const data = when === 'at once' ? give : async () => give();
      const connection = await connect({ host, port, clock, data, idleTimeout: 0 });
      afterTest(() => connection.close());

      for (const token of ['token-2', 'token-3']) {
        state.valid = token;
        connection.socket.destroy();
        await next(connection, 'detach');
        const resumed = next(connection, 'resume');
        clock.advance(100);
        await resumed;
      }

      expect(state.seen).toEqual(['token-1', 'token-2', 'token-3']);
    },
  );

  it('may give nothing', async () => {
    const { state, ...address } = await judging();
    state.valid = '';

    const connection = await connect({ ...address, data: () => undefined });
    afterTest(() => connection.close());

    expect(state.seen).toEqual(['']);
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('no token today');
      },
    ],
    ['rejects', () => Promise.reject(new Error('no token today'))],
  ])('fails an attempt when it %s, and the next one asks again', async (_how, fail) => {
    const { host, port, state } = await judging();
    const clock = new ManualClock();
    let calls = 0;
    const data = () => {
      calls += 1;
      return calls === 1 ? fail() : Buffer.from('token-1');
    };
    const connection = createConnection({ host, port, clock, data, idleTimeout: 0 });
    afterTest(() => connection.close());

    const [error] = await next(connection, 'connectError');
    const opened = next(connection, 'open');
    clock.advance(100);
    await opened;

    expect(error.code).toBe('IC_ERR_CONNECT');
    expect(error.message).toBe(
      `No connection to ${host}:${port}: the function in the options failed: no token today.`,
    );
    expect(error.cause).toMatchObject({ message: 'no token today' });
    expect(state.seen).toEqual(['token-1']);
  });

  it('has the time of the handshake, and no more', async () => {
    const { state, ...address } = await judging();
    const clock = new ManualClock();
    const data = () => new Promise<Buffer>(() => undefined);
    const connecting = failure(connect({ ...address, clock, data, handshakeTimeout: 700 }));

    clock.advance(699);
    await turn();
    clock.advance(1);

    expect(await connecting).toMatchObject({
      code: 'IC_ERR_HANDSHAKE_TIMEOUT',
      message: expect.stringContaining('within the handshakeTimeout of 700 ms'),
    });
    expect(state.seen).toEqual([]);
  });

  it('leaves the handshake what it has not used', async () => {
    const mute = await RawListener.listen();
    const clock = new ManualClock();
    let give: (data: Buffer) => void = () => undefined;
    const data = () => new Promise<Buffer>((resolve) => (give = resolve));
    const late = failure(connect({ ...mute.address, clock, data, handshakeTimeout: 700 }));
    let isLate = false;
    void late.then(() => (isLate = true));

    clock.advance(500);
    give(Buffer.from('token'));
    const peer = await mute.accepted();
    await until(() => peer.frames.length > 0);
    clock.advance(199);
    await turn();
    expect(isLate).toBe(false);
    clock.advance(1);

    expect((await late).message).toContain(
      'no answer to the handshake within the handshakeTimeout of 700 ms',
    );
  });

  it.each(['resolves', 'rejects'] as const)(
    'is not waited for when the connection is closed, and may end as it likes: it %s',
    async (how) => {
      const { state, ...address } = await judging();
      const clock = new ManualClock();
      let end: () => void = () => undefined;
      const data = () =>
        new Promise<Buffer>((resolve, reject) => {
          end = () => (how === 'resolves' ? resolve(Buffer.alloc(0)) : reject(new Error('late')));
        });
      const connection = createConnection({ ...address, clock, data });

      await connection.close();
      end();
      await turn();

      expect(clock.pending).toBe(0);
      expect(state.seen).toEqual([]);
    },
  );
});

describe('tls that is a function', () => {
  it('gives the certificate of each attempt', async () => {
    const { server, ca, client } = await certificates();
    const listener = await listening({ tls: { ...server, ca, requestCert: true } });
    const clock = new ManualClock();
    const names = ['127.0.0.1', 'localhost'];
    const tls = async () => ({ ca, ...client, servername: names.shift() ?? '' });
    const options = { ...tcpAddressOf(listener), clock, tls, idleTimeout: 0 };
    const connection = await connect(options);
    afterTest(() => connection.close());
    connection.socket.destroy();
    await next(connection, 'detach');
    const resumed = next(connection, 'resume');
    clock.advance(100);
    await resumed;

    expect(names).toEqual([]);
    expect(connection.socket).toMatchObject({ encrypted: true, servername: 'localhost' });
  });

  it.each([undefined, 5, 'yes'])('must give options, and not %p', async (value) => {
    const tls = (() => value) as unknown as () => true;

    const error = await failure(connect({ port: 1, tls }));

    expect(error).toMatchObject({ code: 'IC_ERR_OPTION' });
    expect(error.message).toContain('tls must be an object');
  });
});

describe('a name with several addresses', () => {
  it.each([
    [undefined, 10_000, 2500],
    [undefined, 4000, 1000],
    [undefined, 20, 10],
    [700, 10_000, 700],
  ])('gives each but the last its time: %p of %d ms', (chosen, handshakeTimeout, expected) => {
    const options = { autoSelectFamilyAttemptTimeout: chosen };

    expect(attemptTimeoutOf(options, { handshakeTimeout })).toBe(expected);
  });

  it('has Node keep to that time', () => {
    expect(socketOptions({ host: 'far.test', port: 5000 }, 700)).toMatchObject({
      host: 'far.test',
      port: 5000,
      autoSelectFamilyAttemptTimeout: 700,
    });
  });

  it.each([0, 9, 1.5, '250'])('takes no time of %p', async (value) => {
    const options = { port: 1, autoSelectFamilyAttemptTimeout: value as number };

    expect((await failure(connect(options))).message).toContain(
      'autoSelectFamilyAttemptTimeout must be an integer from 10',
    );
  });
});
