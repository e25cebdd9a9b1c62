import { describe, expect, it } from '@jest/globals';
import { Code, type Session } from 'nestjs-interconnect/core';
import { connected, dial, inSession, listening } from '../../support/peers/connected.js';
import { failure, next, thrown, until } from '../../support/events.js';

describe('a session', () => {
  it('is accepted with its name, its data and its metadata', async () => {
    const { acceptor, dialer } = await connected();
    const incoming = next(acceptor, 'session');
    acceptor.on('session', (session) => session.accept(Buffer.from('welcome')));

    const session = await dialer.createSession('replicate', {
      data: Buffer.from('from block 7'),
      metadata: { volume: 'C' },
    });
    const [accepted] = await incoming;

    expect(accepted).toMatchObject({ name: 'replicate', status: 'open', connection: acceptor });
    expect(accepted.data).toEqual(Buffer.from('from block 7'));
    expect({ ...accepted.metadata }).toEqual({ volume: 'C' });
    expect(session).toMatchObject({ name: 'replicate', status: 'open', connection: dialer });
    expect(session.data).toEqual(Buffer.from('welcome'));
  });

  it.each([
    ['a byte', 'x'],
    ['any script', 'Κρήτη/群島/🏝'],
    ['1024 bytes', 'n'.repeat(1024)],
    ['a name that objects have', '__proto__'],
  ])('may have a name of %s', async (_what, name) => {
    const { acceptor, dialer } = await connected();
    const names: string[] = [];
    acceptor.on('session', (session) => {
      names.push(session.name);
      session.accept();
    });

    expect(await dialer.createSession(name)).toMatchObject({ name });
    expect(names).toEqual([name]);
  });

  it.each([
    ['empty', ''],
    ['of 1025 bytes', 'n'.repeat(1025)],
    ['with U+0000', 'a\0b'],
    ['with half of a surrogate pair', 'a\ud800b'],
    ['no string', 5 as unknown as string],
  ])('may not have a name that is %s', async (_what, name) => {
    const { dialer } = await connected();

    expect(await failure(dialer.createSession(name))).toMatchObject({
      code: 'IC_ERR_OPTION',
      message: expect.stringContaining('1 to 1024 bytes'),
    });
    expect(thrown(() => dialer.openSession(name)).code).toBe('IC_ERR_OPTION');
  });

  it('is rejected with a status, a reason and data', async () => {
    const { acceptor, dialer } = await connected();
    acceptor.on('session', (session) =>
      session.reject(Code.SESSION_FORBIDDEN, 'not for you', Buffer.from('ask')),
    );

    const error = await failure(dialer.createSession('secret'));

    expect(error).toMatchObject({
      code: 'IC_ERR_SESSION_REJECTED',
      executed: 'no',
      status: Code.SESSION_FORBIDDEN,
      reason: 'not for you',
      data: Buffer.from('ask'),
    });
    expect(error.message).toBe(
      'The session "secret" was rejected: SESSION_FORBIDDEN, not for you.',
    );
  });

  it('is rejected as SESSION_REFUSED where the application gives no code', async () => {
    const { acceptor, dialer } = await connected();
    acceptor.on('session', (session) => session.reject());

    expect(await failure(dialer.createSession('x'))).toMatchObject({
      status: Code.SESSION_REFUSED,
      reason: '',
    });
  });

  it('is not to be rejected with a code that says something else [IC-6.22]', async () => {
    const { acceptor, dialer } = await connected();
    const errors: string[] = [];
    acceptor.on('session', (session) => {
      errors.push(thrown(() => session.reject(Code.OK)).message);
      errors.push(thrown(() => session.reject(Code.FAILED)).message);
      session.reject(0x9000, 'mine');
    });

    expect(await failure(dialer.createSession('x'))).toMatchObject({ status: 0x9000 });
    expect(errors).toEqual([
      expect.stringMatching(/^session\.reject takes .*SESSION_REFUSED.* got 0\.$/),
      expect.stringMatching(/got 1281\.$/),
    ]);
  });

  it('is rejected at once where nobody listens for sessions', async () => {
    const { dialer } = await connected();

    expect(await failure(dialer.createSession('x'))).toMatchObject({
      code: 'IC_ERR_SESSION_REJECTED',
      status: Code.NO_SUCH_SESSION,
    });
  });

  it('may be opened by the listener, after the connection or from within its event', async () => {
    const { acceptor, dialer } = await connected();
    dialer.on('session', (session) => session.accept(Buffer.from(session.name)));

    const sessions = await Promise.all([acceptor.createSession('a'), acceptor.createSession('b')]);

    expect(sessions.map((session) => session.data.toString())).toEqual(['a', 'b']);
  });

  it('may be opened by both sides at once, under the same name', async () => {
    const { acceptor, dialer } = await connected();
    acceptor.on('session', (session) => session.accept(Buffer.from('listener')));
    dialer.on('session', (session) => session.accept(Buffer.from('dialer')));

    const [one, other] = await Promise.all([
      dialer.createSession('x'),
      acceptor.createSession('x'),
    ]);

    expect(one.data.toString()).toBe('listener');
    expect(other.data.toString()).toBe('dialer');
  });

  it('carries messages of the acceptor to the opener', async () => {
    const { session, accepted } = await inSession();
    session.on('message', (message) =>
      message.respond(Buffer.from(`got ${message.data.toString()}`)),
    );

    const outcome = await accepted.send(Buffer.from('push'));

    expect(outcome).toMatchObject({ accepted: true, data: Buffer.from('got push') });
  });

  it('may be decided later than in its event', async () => {
    const { acceptor, dialer } = await connected();
    const incoming = next(acceptor, 'session');
    acceptor.once('session', () => undefined);
    const creating = dialer.createSession('x');
    const [accepted] = await incoming;
    expect(accepted.status).toBe('pending');

    accepted.accept();

    expect(await creating).toMatchObject({ status: 'open' });
  });

  it('takes messages before it is accepted, and starts none', async () => {
    const { acceptor, dialer } = await connected();
    let accepted: Session | undefined;
    const started: string[] = [];
    acceptor.on('session', (session) => {
      accepted = session;
      session.on('message', (message) => {
        started.push(message.data.toString());
        message.accept();
      });
    });
    const session = dialer.openSession('x');
    const outcomes = [session.send(Buffer.from('1')), session.send(Buffer.from('2'))];
    await dialer.ping();
    expect([session.status, accepted?.status, started]).toEqual(['opening', 'pending', []]);

    accepted?.accept();

    expect(await Promise.all(outcomes)).toMatchObject([{ accepted: true }, { accepted: true }]);
    expect(started).toEqual(['1', '2']);
  });

  it('fails the messages that were sent ahead when it is rejected, as not executed', async () => {
    const { acceptor, dialer } = await connected();
    acceptor.on('session', (session) => session.reject(Code.SESSION_FORBIDDEN, 'no'));
    const session = dialer.openSession('x');

    const outcomes = [session.send(Buffer.from('1')), session.send(Buffer.alloc(1_000_000))];

    for (const outcome of outcomes) {
      expect(await failure(outcome)).toMatchObject({
        code: 'IC_ERR_SESSION_REJECTED',
        executed: 'no',
        status: Code.SESSION_FORBIDDEN,
      });
    }
    expect(session.status).toBe('closed');
  });

  it('ignores a second decision', async () => {
    const { acceptor, dialer } = await connected();
    acceptor.on('session', (session) => {
      session.accept();
      session.accept(Buffer.from('again'));
      session.reject();
    });

    const session = await dialer.createSession('x');
    await dialer.ping();

    expect(session).toMatchObject({ status: 'open', data: Buffer.alloc(0) });
  });

  it('refuses data that does not fit into a frame, on both sides', async () => {
    const { acceptor, dialer } = await connected({ maxFrameSize: 16_384 });
    acceptor.on('session', (session) => session.accept(Buffer.alloc(56 * 1024)));
    const largest = Buffer.alloc(8 * 1024, 'x');
    const incoming = next(acceptor, 'session');

    const error = await failure(
      dialer.createSession('x', { data: Buffer.alloc(largest.length + 1) }),
    );
    const session = await dialer.createSession('x'.repeat(1024), { data: largest });

    expect(error).toMatchObject({
      code: 'IC_ERR_OPTION',
      message: expect.stringMatching(/8193 bytes exceeds the 8192 bytes/),
    });
    expect((await incoming)[0].data).toEqual(largest);
    expect(session.data.length).toBe(56 * 1024);
  });

  it('ends in order: what was sent is settled, nothing new begins', async () => {
    const { session, accepted } = await inSession();
    const closed = Promise.all([next(session, 'close'), next(accepted, 'close')]);
    const messages: (() => void)[] = [];
    accepted.on('message', (message) => messages.push(() => message.accept()));
    const outcome = session.send(Buffer.from('before'));
    await until(() => messages.length === 1);

    const closing = session.close();
    const late = failure(session.send(Buffer.from('after')));
    expect([session.status, session.close() === closing]).toEqual(['closing', true]);
    for (const accept of messages) accept();
    await closing;

    expect(await outcome).toMatchObject({ accepted: true });
    expect(await late).toMatchObject({ code: 'IC_ERR_SESSION_CLOSED', executed: 'no' });
    expect(await closed).toEqual([[undefined], [undefined]]);
    expect([session.status, accepted.status]).toEqual(['closed', 'closed']);
    await session.close();
  });

  it('may be ended before it is accepted, and before there is room for it', async () => {
    const { acceptor, dialer } = await connected({ maxSessions: 1 });
    acceptor.on('session', (session) => session.accept());
    const first = dialer.openSession('first');
    const second = dialer.openSession('second');

    await Promise.all([first.close(), second.close()]);

    expect([first.status, second.status]).toEqual(['closed', 'closed']);
  });

  it('waits while the other side allows no more of them', async () => {
    const { acceptor, dialer } = await connected({ maxSessions: 2 });
    acceptor.on('session', (session) => session.accept());
    const [first] = await Promise.all([dialer.createSession('1'), dialer.createSession('2')]);
    let third: Session | undefined;
    const creating = dialer.createSession('3').then((session) => (third = session));
    await dialer.ping();
    expect(third).toBeUndefined();

    await first.close();

    expect(await creating).toMatchObject({ name: '3', status: 'open' });
  });

  it('is told apart from the next of the same name', async () => {
    const { acceptor, dialer } = await connected();
    acceptor.on('session', (session) => session.accept());
    for (let round = 0; round < 1100; round++) {
      const session = await dialer.createSession('again');
      await session.close();
    }

    expect(await dialer.createSession('again')).toMatchObject({ status: 'open' });
  });

  it('lets the caller of createSession listen before a message arrives', async () => {
    const { acceptor, dialer } = await connected();
    const pushed: Promise<unknown>[] = [];
    acceptor.on('session', (session) => {
      session.accept();
      pushed.push(session.send(Buffer.from('at once')));
    });

    const session = await dialer.createSession('x');
    session.on('message', (message) => message.respond(Buffer.from('heard')));

    expect(await Promise.all(pushed)).toMatchObject([{ data: Buffer.from('heard') }]);
  });

  it('lets the caller of connect listen before a session arrives', async () => {
    const listener = await listening();
    const opened: Promise<unknown>[] = [];
    listener.on('connection', (connection) => {
      opened.push(connection.createSession('at once'));
    });

    const connection = await dial(listener);
    connection.on('session', (session) => session.accept());

    expect(await Promise.all(opened)).toMatchObject([{ status: 'open' }]);
  });
});
