import { describe, expect, it } from '@jest/globals';
import { connect, type EndpointOptions, Listener } from 'nestjs-interconnect/core';
import { afterTest } from '../../support/after-test.js';
import { connected, inSession, tcpAddressOf } from '../../support/peers/connected.js';
import { failure, thrown } from '../../support/events.js';

const KIB = 1024;
const GIB = 2 ** 30;
const WEEKS = 2 ** 31 - 1;

/** Every number that both sides take, with its range. */
const numbers: readonly (readonly [keyof EndpointOptions, number, number])[] = [
  ['maxFrameSize', 16 * KIB, 1024 * KIB],
  ['maxMessageSize', 1, GIB - 1024 * KIB],
  ['maxSessions', 1, 2 ** 20],
  ['maxUnsettled', 1, 2 ** 20],
  ['sessionWindow', 64 * KIB, GIB],
  ['connectionWindow', 64 * KIB, GIB],
  ['maxQueuedMessages', 0, 2 ** 30],
  ['maxQueuedBytes', 0, 2 ** 40],
  ['handshakeTimeout', 1, WEEKS],
  ['sessionTimeout', 0, WEEKS],
  ['messageTimeout', 0, WEEKS],
  ['idleTimeout', 0, WEEKS],
];

describe('a numeric option', () => {
  it.each(numbers)('%s is from %d to %d', async (name, from, to) => {
    const range = `${name} must be an integer from ${from} to ${to}, and is`;
    const bad = [from - 1, to + 1, from + 0.5, NaN, Infinity, '1', {}, true];

    for (const value of bad) {
      const options = { [name]: value };
      const listenError = thrown(() => new Listener(options));
      const connectError = await failure(connect({ port: 1, ...options }));

      expect(listenError).toMatchObject({ code: 'IC_ERR_OPTION', executed: 'no' });
      expect(listenError.message).toContain(range);
      expect(connectError).toMatchObject({ code: 'IC_ERR_OPTION' });
      expect(connectError.message).toBe(listenError.message);
    }
  });

  it.each(numbers)('%s may be %d and %d', (name, from, to) => {
    const windows = { maxMessageSize: 1, connectionWindow: GIB, sessionWindow: GIB };

    for (const value of [from, to]) {
      const frame = name === 'connectionWindow' ? { maxFrameSize: 16 * KIB } : {};
      const options = { ...windows, ...frame, [name]: value };
      if (name === 'connectionWindow' && value === from) options.sessionWindow = from;
      expect(() => new Listener(options)).not.toThrow();
    }
  });

  it.each([
    ['port', 0, 65_535],
    ['backlog', 1, WEEKS],
    ['maxConnections', 1, WEEKS],
  ])('%s of a listener is from %d to %d', (name, from, to) => {
    for (const value of [from - 1, to + 1, 1.5, '80', NaN]) {
      expect(thrown(() => new Listener({ [name]: value })).message).toContain(
        `${name} must be an integer from ${from} to ${to}, and is`,
      );
    }
    expect(() => new Listener({ [name]: to })).not.toThrow();
  });

  it.each([0, -1, 65_536, 1.5, '80' as unknown as number, undefined])(
    'port of a dialer is not %p',
    async (port) => {
      const error = await failure(connect(port === undefined ? {} : { port }));

      expect(error.code).toBe('IC_ERR_OPTION');
      expect(error.message).toMatch(/^port must be an integer from 1 to 65535, and is /);
    },
  );

  it('shows a value in full only where it is short', () => {
    const error = thrown(() => new Listener({ maxSessions: 'x'.repeat(5000) as never }));

    expect(error.message.length).toBeLessThan(200);
  });
});

describe('options together', () => {
  it('have a session window that takes a frame', () => {
    const error = thrown(() => new Listener({ maxFrameSize: 128 * KIB, sessionWindow: 64 * KIB }));

    expect(error.code).toBe('IC_ERR_OPTION');
    expect(error.message).toMatch(/sessionWindow \(65536\) .*maxFrameSize \(131072\)/);
  });

  it('have a connection window that takes a message and a frame', () => {
    const options = { maxMessageSize: 1_000_000, connectionWindow: 1_000_000 };

    const error = thrown(() => new Listener(options));

    expect(error.code).toBe('IC_ERR_OPTION');
    expect(error.message).toMatch(/connectionWindow \(1000000\) .*maxMessageSize \(1000000\)/);
  });

  it('grow the connection window with the message, where it is not given', () => {
    expect(() => new Listener({ maxMessageSize: 500 * KIB * KIB })).not.toThrow();
    expect(() => new Listener({ maxMessageSize: GIB - 1024 * KIB })).not.toThrow();
  });
});

describe('what should be an object', () => {
  it.each([null, 'x', 7, [], new Map([['port', 1]])])('is not %p', async (value) => {
    const words = / must be an object, and is /;

    const errors = [
      thrown(() => new Listener(value as never)),
      thrown(() => new Listener({ tls: value as never })),
      await failure(connect(value as never)),
      await failure(connect({ port: 1, tls: value as never })),
    ];

    for (const error of errors) {
      expect(error.code).toBe('IC_ERR_OPTION');
      expect(error.message).toMatch(words);
    }
  });
});

describe('the agent', () => {
  it.each([
    ['too long', 'é'.repeat(65)],
    ['no string', 7 as unknown as string],
    ['with U+0000', 'a\0b'],
    ['with half of a surrogate pair', 'a\ud800b'],
  ])('is not %s', async (_what, agent) => {
    expect(thrown(() => new Listener({ agent })).message).toContain('at most 128 bytes');
    expect(await failure(connect({ port: 1, agent }))).toMatchObject({ code: 'IC_ERR_OPTION' });
  });
});

describe('the host', () => {
  it.each(['', 7 as unknown as string, {} as string])('is not %p', async (host) => {
    const range = /^host must be a name or an address, and is /;

    expect(thrown(() => new Listener({ host })).message).toMatch(range);
    expect((await failure(connect({ host, port: 1 }))).message).toMatch(range);
  });
});

describe('the timeout of a call', () => {
  it.each([-1, 0.5, NaN, 2 ** 31, '5' as unknown as number])('is not %p', async (timeout) => {
    const { session, dialer } = await inSession();
    const range = /^timeout must be an integer from 0 to 2147483647, and is /;

    const errors = [
      await failure(session.send(Buffer.from('x'), { timeout })),
      await failure(dialer.createSession('x', { timeout })),
    ];

    for (const error of errors) {
      expect(error).toMatchObject({ code: 'IC_ERR_OPTION', executed: 'no' });
      expect(error.message).toMatch(range);
    }
  });

  it('may be as long as a timer of Node, and longer than one can be', async () => {
    const { session, accepted } = await inSession();
    accepted.on('message', (message) => message.accept());

    const outcome = await session.send(Buffer.from('x'), { timeout: WEEKS });

    expect(outcome.accepted).toBe(true);
  });
});

describe('the options of a close', () => {
  it.each([
    ['a code of the library', { code: 0x0101 }, /^connection\.close takes Code\.OK or a code/],
    ['a reason that is too long', { reason: 'x'.repeat(1025) }, /at most 1024/],
    ['a string as data', { data: 'x' as never }, /of type string/],
  ])('are not %s', async (_what, options, message) => {
    const { dialer } = await connected();

    const error = await failure(dialer.close(options));

    expect(error.code).toBe('IC_ERR_OPTION');
    expect(error.message).toMatch(message);
    expect(dialer.status).toBe('open');
  });
});

describe('the options of a listener', () => {
  it('are read when it is made', async () => {
    const options = { host: '127.0.0.1', port: 0 };
    const listener = new Listener(options);
    afterTest(() => listener.close());
    options.host = 'no.such.invalid';

    await listener.listen();

    expect(tcpAddressOf(listener).host).toBe('127.0.0.1');
  });

  it('have an authenticate that is a function', () => {
    const error = thrown(() => new Listener({ authenticate: 'yes' as never }));

    expect(error).toMatchObject({ code: 'IC_ERR_OPTION' });
    expect(error.message).toBe('authenticate must be a function, and is "yes".');
  });

  it('are none', () => {
    expect(new Listener()).toMatchObject({ address: undefined, server: undefined });
  });
});
