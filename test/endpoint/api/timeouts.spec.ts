import { describe, expect, it } from '@jest/globals';
import { Code, connect, type Message, type Session } from 'nestjs-interconnect/core';
import { FrameType } from '../../../src/wire/index.js';
import { connected, inSession } from '../../support/peers/connected.js';
import { failure, next, until } from '../../support/events.js';
import { ManualClock } from '../../support/sim/manual-clock.js';
import { RawListener } from '../../support/peers/raw-peer.js';

describe('a message that is neither accepted nor rejected', () => {
  it('is a timeout at the sender, and an event at the receiver', async () => {
    const clocks = { sender: new ManualClock(), receiver: new ManualClock() };
    const { session, accepted } = await inSession(
      { clock: clocks.receiver },
      { clock: clocks.sender, messageTimeout: 700 },
    );
    const arrived = next(accepted, 'message');
    const timedOut = next(accepted, 'timeout');
    accepted.on('message', () => undefined);
    const outcome = failure(session.send(Buffer.from('x')));
    const [message] = await arrived;
    const aborted = new Promise((resolve) => message.signal.addEventListener('abort', resolve));
    expect(message.remaining).toBe(700);

    clocks.receiver.advance(699);
    expect([message.settled, message.remaining]).toEqual([false, 1]);
    clocks.receiver.advance(1);

    expect((await timedOut)[0]).toBe(message);
    await aborted;
    expect(message.signal.reason).toMatchObject({ code: 'IC_ERR_TIMEOUT' });
    expect([message.settled, message.remaining]).toEqual([true, 0]);
    expect(await outcome).toMatchObject({
      code: 'IC_ERR_TIMEOUT',
      executed: 'maybe',
      status: Code.DEADLINE,
    });
  });

  it('is a timeout at the sender where its handler says so, with what it says', async () => {
    const { session, accepted } = await inSession({}, {});
    accepted.on('message', (message: Message) =>
      message.reject(Code.DEADLINE, 'The disk took longer than 5 s.'),
    );

    const error = await failure(session.send(Buffer.from('x')));

    expect(error).toMatchObject({
      code: 'IC_ERR_TIMEOUT',
      executed: 'maybe',
      status: Code.DEADLINE,
      reason: 'The disk took longer than 5 s.',
    });
    expect(error.message).toContain(`"${session.name}": DEADLINE, The disk took longer than 5 s.`);
  });

  it('is a timeout at the sender also where the receiver says nothing', async () => {
    const clock = new ManualClock();
    const { session, accepted } = await inSession({ clock: new ManualClock() }, { clock });
    const arrived = next(accepted, 'message');
    accepted.on('message', () => undefined);
    const outcome = failure(session.send(Buffer.from('x'), { timeout: 5 }));
    await arrived;

    clock.advance(5);

    expect(await outcome).toMatchObject({
      code: 'IC_ERR_TIMEOUT',
      executed: 'maybe',
      status: undefined,
      message: `A message of "${session.name}" was neither accepted nor rejected within its 5 ms.`,
    });
  });

  it('has a minute unless it says otherwise', async () => {
    const clock = new ManualClock();
    const silent = { clock: new ManualClock(), idleTimeout: 0 };
    const { session, accepted } = await inSession(silent, { clock, idleTimeout: 0 });
    const arrived = next(accepted, 'message');
    accepted.on('message', () => undefined);
    const outcome = failure(session.send(Buffer.from('x')));

    expect((await arrived)[0].remaining).toBe(60_000);
    clock.advance(60_000);

    expect(await outcome).toMatchObject({ code: 'IC_ERR_TIMEOUT' });
  });

  it.each([
    ['of its own', { timeout: 0 }, 60_000],
    ['by the endpoint', {}, 0],
  ])('waits without end where there is no timeout %s', async (_what, options, messageTimeout) => {
    const clock = new ManualClock();
    const idle = { clock, idleTimeout: 0 };
    const { session, accepted } = await inSession(idle, { ...idle, messageTimeout });
    const arrived = next(accepted, 'message');
    accepted.once('message', () => undefined);
    const outcome = session.send(Buffer.from('x'), options);
    const [message] = await arrived;
    expect(message.remaining).toBeUndefined();

    clock.advance(2 ** 31);
    message.accept();

    expect(await outcome).toMatchObject({ accepted: true });
  });

  it('does not disturb those after it', async () => {
    const clock = new ManualClock();
    const { session, accepted } = await inSession({ clock }, { clock });
    const held: Message[] = [];
    accepted.on('message', (message) => {
      if (message.data.length > 0) return message.accept();
      held.push(message);
    });
    const outcome = failure(session.send(Buffer.alloc(0), { timeout: 10 }));
    await until(() => held.length === 1);

    clock.advance(10);
    await outcome;

    expect(await session.send(Buffer.from('x'))).toMatchObject({ accepted: true });
  });

  it('is not executed where its time is over before it is started', async () => {
    const clock = new ManualClock();
    const { acceptor, dialer } = await connected(
      { clock },
      { clock: new ManualClock(), sessionTimeout: 0 },
    );
    const pending = next(acceptor, 'session');
    const timeouts: Message[] = [];
    const started: Message[] = [];
    acceptor.once('session', (session) => {
      session.on('message', (message) => started.push(message));
      session.on('timeout', (message) => timeouts.push(message));
    });
    const session = dialer.openSession('x');
    const outcome = failure(session.send(Buffer.from('x'), { timeout: 10 }));
    const oneWay = session.send(Buffer.from('y'), { timeout: 10, oneWay: true });
    const [accepted] = await pending;
    await Promise.all([oneWay, dialer.ping()]);

    clock.advance(10);
    accepted.accept();

    expect(await outcome).toMatchObject({
      code: 'IC_ERR_TIMEOUT',
      executed: 'no',
      status: Code.EXPIRED,
    });
    expect(started).toEqual([]);
    expect(timeouts.map(({ oneWay: without }) => without)).toEqual([true]);
  });

  it('is not executed where it still waits for credit at its sender', async () => {
    const clock = new ManualClock();
    const { session, accepted } = await inSession({ maxUnsettled: 1 }, { clock });
    const held: Message[] = [];
    accepted.on('message', (message) => held.push(message));
    const first = session.send(Buffer.from('1'), { timeout: 0 });
    const second = failure(session.send(Buffer.from('2'), { timeout: 20 }));
    await until(() => held.length === 1);

    clock.advance(20);

    expect(await second).toMatchObject({ code: 'IC_ERR_TIMEOUT', executed: 'no' });
    held[0]?.accept();
    expect(await first).toMatchObject({ accepted: true });
    await session.connection.ping();
    expect(held.length).toBe(1);
  });
});

describe('a session that is neither accepted nor rejected', () => {
  it('is a timeout at the opener, and closes at the acceptor', async () => {
    const clocks = { opener: new ManualClock(), acceptor: new ManualClock() };
    const { acceptor, dialer } = await connected(
      { clock: clocks.acceptor },
      { clock: clocks.opener },
    );
    const pending = next(acceptor, 'session');
    acceptor.once('session', () => undefined);
    const creating = failure(dialer.createSession('x'));
    const [session] = await pending;
    const closed = next(session, 'close');

    clocks.opener.advance(4_999);
    expect(session.status).toBe('pending');
    clocks.opener.advance(1);

    expect(await creating).toMatchObject({ code: 'IC_ERR_TIMEOUT' });
    expect((await creating).message).toContain('"x"');
    const [error] = await closed;
    expect(error).toMatchObject({ status: Code.SESSION_TIMEOUT });
    session.accept();
    expect(session.status).toBe('closed');
  });

  it('is a timeout at the acceptor too, by its own clock', async () => {
    const clocks = { opener: new ManualClock(), acceptor: new ManualClock() };
    const { acceptor, dialer } = await connected(
      { clock: clocks.acceptor },
      { clock: clocks.opener },
    );
    const pending = next(acceptor, 'session');
    acceptor.once('session', () => undefined);
    const creating = failure(dialer.createSession('x', { timeout: 70 }));
    const [session] = await pending;
    const closed = next(session, 'close');

    clocks.acceptor.advance(70);

    expect((await closed)[0]).toMatchObject({ code: 'IC_ERR_TIMEOUT' });
    expect(await creating).toMatchObject({
      code: 'IC_ERR_TIMEOUT',
      status: Code.SESSION_TIMEOUT,
    });
  });

  it('fails the messages that were sent ahead, as not executed', async () => {
    const clock = new ManualClock();
    const { acceptor, dialer } = await connected({ clock }, { clock });
    acceptor.once('session', () => undefined);
    const pending = next(acceptor, 'session');
    const session = dialer.openSession('x', { timeout: 30 });
    const outcome = failure(session.send(Buffer.from('x')));
    await pending;

    clock.advance(30);

    expect(await outcome).toMatchObject({
      code: 'IC_ERR_TIMEOUT',
      message: 'The session "x" was neither accepted nor rejected in time.',
    });
    expect(session.status).toBe('closed');
  });

  it('waits without end where its timeout is 0', async () => {
    const clock = new ManualClock();
    const idle = { clock, idleTimeout: 0 };
    const { acceptor, dialer } = await connected(idle, idle);
    acceptor.once('session', () => undefined);
    const pending = next(acceptor, 'session');
    const creating: Promise<Session> = dialer.createSession('x', { timeout: 0 });
    const [session] = await pending;

    clock.advance(2 ** 31);
    session.accept();

    expect(await creating).toMatchObject({ status: 'open' });
  });
});

describe('a handshake that takes too long', () => {
  it('is given up by the dialer where the other side takes the socket and says nothing', async () => {
    const clock = new ManualClock();
    const mute = await RawListener.listen();
    const connecting = failure(connect({ ...mute.address, clock }));
    const peer = await mute.accepted();

    clock.advance(10_000);

    const error = await connecting;
    expect(error).toMatchObject({ code: 'IC_ERR_HANDSHAKE_TIMEOUT', executed: 'no' });
    expect(error.message).toContain('10000 ms');
    await peer.closed;
  });

  it('has one time for all its parts', async () => {
    const clock = new ManualClock();
    const mute = await RawListener.listen();
    const connecting = failure(connect({ ...mute.address, clock }));
    clock.advance(4000);
    const peer = await mute.accepted();
    await peer.frame(FrameType.HELLO);

    clock.advance(6000);

    expect(await connecting).toMatchObject({ code: 'IC_ERR_HANDSHAKE_TIMEOUT', executed: 'no' });
  });

  it('is given up by the dialer where TLS does not come about', async () => {
    const clock = new ManualClock();
    const mute = await RawListener.listen();
    const options = { ...mute.address, tls: true as const, handshakeTimeout: 300, clock };
    const connecting = failure(connect(options));
    const peer = await mute.accepted();

    clock.advance(300);

    const error = await connecting;
    expect(error).toMatchObject({ code: 'IC_ERR_HANDSHAKE_TIMEOUT', executed: 'no' });
    expect(error.message).toContain('300 ms');
    await peer.closed;
  });
});

describe('a connection on which nothing is heard', () => {
  it('lasts while both sides live, however long nobody has anything to say', async () => {
    const clock = new ManualClock();
    const { acceptor, dialer } = await connected(
      { clock, idleTimeout: 1200 },
      { clock, idleTimeout: 24_000 },
    );

    for (let time = 0; time < 40_000; time += 400) {
      const heard = dialer.socket.bytesRead;
      clock.advance(400);
      // Three times in the span after which the listener would give it up, the dialer asks for a sign.
      await until(() => dialer.socket.bytesRead > heard);
    }

    expect([acceptor.status, dialer.status]).toEqual(['open', 'open']);
  });

  it('is given up, and its messages fail as maybe executed', async () => {
    const clock = new ManualClock();
    const { session, accepted, dialer } = await inSession(
      { clock: new ManualClock() },
      { clock, idleTimeout: 1000, reconnect: false },
    );
    const arrived = next(accepted, 'message');
    accepted.on('message', () => undefined);
    const outcome = failure(session.send(Buffer.from('x'), { timeout: 0 }));
    const closed = next(dialer, 'close');
    await arrived;

    // The other side's clock stands still: it sees no reason to speak.
    clock.advance(1000);

    const [error] = await closed;
    expect(error).toMatchObject({ code: 'IC_ERR_IDLE_TIMEOUT', executed: 'maybe' });
    expect(error?.message).toContain('1000 ms');
    expect(await outcome).toMatchObject({ code: 'IC_ERR_IDLE_TIMEOUT', executed: 'maybe' });
  });
});
