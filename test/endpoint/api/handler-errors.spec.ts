import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Code, type Connection, type Session } from 'nestjs-interconnect/core';
import { connected, dial, inSession, listening } from '../../support/peers/connected.js';
import { failure, later, next } from '../../support/events.js';

const broken = new Error('broken');

function fail(): never {
  throw broken;
}

const failLater = later(async () => {
  await Promise.resolve();
  fail();
});

const warn = jest.spyOn(process, 'emitWarning');

beforeEach(() => void warn.mockReset());

/** What the listeners of a connection's side failed with. */
function failuresOf(connection: Connection): unknown[] {
  const failures: unknown[] = [];
  connection.on('handlerError', (error) => failures.push(error));
  return failures;
}

describe('a listener for messages', () => {
  it.each([
    ['throws', fail],
    ['rejects its promise', failLater],
  ])('that %s fails the message, and nothing else', async (_what, handler) => {
    const { session, accepted, acceptor } = await inSession();
    const failures = failuresOf(acceptor);
    accepted.once('message', handler);

    const outcome = await session.send(Buffer.from('x'));
    accepted.on('message', (message) => message.accept());

    expect(outcome).toMatchObject({
      accepted: false,
      code: Code.FAILED,
      reason: 'The handler failed.',
    });
    expect(failures).toEqual([broken]);
    expect(await session.send(Buffer.from('y'))).toMatchObject({ accepted: true });
    expect(warn).not.toHaveBeenCalled();
  });

  it.each([
    ['throws', fail],
    ['rejects its promise', failLater],
  ])('that %s after it has settled changes nothing, and is told', async (_what, handler) => {
    const { session, accepted, acceptor } = await inSession();
    const failed = next(acceptor, 'handlerError');
    accepted.once('message', (message) => {
      message.respond(Buffer.from('done'));
      return handler();
    });

    const outcome = await session.send(Buffer.from('x'));

    expect(outcome).toMatchObject({ accepted: true, data: Buffer.from('done') });
    expect(await failed).toEqual([broken]);
  });

  it('that fails on a one-way message is told', async () => {
    const { session, accepted, acceptor } = await inSession();
    const failed = next(acceptor, 'handlerError');
    accepted.on('message', failLater);

    await session.send(Buffer.from('x'), { oneWay: true });

    expect(await failed).toEqual([broken]);
  });

  it('keeps its stack and its data from the other side', async () => {
    const { session, accepted, acceptor } = await inSession();
    failuresOf(acceptor);
    accepted.on('message', () => {
      throw new Error('password=hunter2');
    });

    expect(JSON.stringify(await session.send(Buffer.from('x')))).not.toContain('hunter2');
  });
});

describe('a listener for sessions', () => {
  it.each([
    ['throws', fail],
    ['rejects its promise', failLater],
  ])('that %s fails the session, and nothing else', async (_what, handler) => {
    const { acceptor, dialer } = await connected();
    const failures = failuresOf(acceptor);
    acceptor.once('session', handler);

    const error = await failure(dialer.createSession('x'));
    acceptor.on('session', (session) => session.accept());

    expect(error).toMatchObject({
      code: 'IC_ERR_SESSION_REJECTED',
      status: Code.SESSION_FAILED,
      reason: 'The session listener failed.',
    });
    expect(failures).toEqual([broken]);
    expect(await dialer.createSession('y')).toMatchObject({ status: 'open' });
  });

  it('that fails after it has accepted leaves the session open, and is told', async () => {
    const { acceptor, dialer } = await connected();
    const failed = next(acceptor, 'handlerError');
    acceptor.on('session', (session) => {
      session.accept();
      return failLater();
    });

    const session = await dialer.createSession('x');

    expect(await failed).toEqual([broken]);
    await dialer.ping();
    expect(session.status).toBe('open');
  });
});

describe('a listener for connections', () => {
  it.each([
    ['throws', fail],
    ['rejects its promise', failLater],
  ])('that %s is told to the listener, and the connection stands', async (_what, handler) => {
    const listener = await listening();
    const failed = next(listener, 'handlerError');
    listener.on('connection', handler);

    const dialer = await dial(listener);

    expect(await failed).toEqual([broken]);
    expect(await dialer.ping()).toBeGreaterThanOrEqual(0);
  });
});

describe('a listener for what has no answer', () => {
  const fails = { throws: fail, 'rejects its promise': failLater };

  it.each(['throws', 'rejects its promise'] as const)(
    'that %s at the end of a connection leaves nobody waiting',
    async (how) => {
      const { acceptor, dialer } = await connected();
      acceptor.on('session', (session) => session.accept());
      const failures = failuresOf(dialer);
      const sessions: Session[] = [];
      for (const name of ['a', 'b', 'c']) sessions.push(await dialer.createSession(name));
      for (const session of sessions) session.on('close', fails[how]);
      dialer.on('status', fails[how]);
      dialer.on('close', fails[how]);
      const pending = [
        ...sessions.map((session) => failure(session.send(Buffer.from('x')))),
        failure(dialer.createSession('d')),
      ];

      await dialer.close();

      for (const error of await Promise.all(pending)) expect(error.code).toBe('IC_ERR_CLOSED');
      await new Promise((resolve) => setImmediate(resolve));
      expect(failures).toEqual(Array.from({ length: 6 }, () => broken));
    },
  );

  it.each(['throws', 'rejects its promise'] as const)(
    'that %s when a session opens leaves it open',
    async (how) => {
      const { acceptor, dialer } = await connected();
      acceptor.on('session', (session) => session.accept());
      const failed = next(dialer, 'handlerError');
      const session = dialer.openSession('x');
      session.on('open', fails[how]);

      expect(await failed).toEqual([broken]);
      expect(session.status).toBe('open');
    },
  );

  it.each(['throws', 'rejects its promise'] as const)(
    'that %s at the end of a listener does not hold it up',
    async (how) => {
      const listener = await listening();
      const failed = next(listener, 'handlerError');
      listener.on('close', fails[how]);

      await listener.close();

      expect(await failed).toEqual([broken]);
      expect(listener.address).toBeUndefined();
    },
  );

  it('that throws when the listener listens leaves it listening', async () => {
    const listener = await listening();
    await listener.close();
    const failed = next(listener, 'handlerError');
    listener.on('listening', fail);

    const address = await listener.listen();

    expect(await failed).toEqual([broken]);
    expect(listener.address).toEqual(address);
  });
});

describe('an error of a listener that nobody hears of', () => {
  it.each([
    ['an error', broken, 'broken'],
    ['a string', 'a string', '"a string"'],
    ['nothing', undefined, 'undefined'],
    ['an object without a prototype', Object.create(null) as unknown, '[object Object]'],
    ['a symbol', Symbol('s'), 'Symbol(s)'],
  ])('becomes a warning of the process: %s', async (_what, value, shown) => {
    const { session, accepted } = await inSession();
    accepted.on('message', () => {
      // eslint-disable-next-line typescript/only-throw-error -- applications do
      throw value;
    });

    await session.send(Buffer.from('x'));

    expect(warn.mock.calls).toEqual([
      [
        `A listener failed: ${shown}`,
        expect.objectContaining({ type: 'InterconnectWarning', detail: expect.any(String) }),
      ],
    ]);
  });

  it.each([
    ['throws', (): never => fail()],
    ['rejects its promise', failLater],
  ])('does so too where the listener for errors %s', async (_what, handler) => {
    const { session, accepted, acceptor } = await inSession();
    accepted.on('message', fail);
    acceptor.on('handlerError', handler);

    expect(await session.send(Buffer.from('x'))).toMatchObject({ code: Code.FAILED });

    expect(warn.mock.calls.at(-1)?.[0]).toBe('A listener failed: broken');
  });
});
