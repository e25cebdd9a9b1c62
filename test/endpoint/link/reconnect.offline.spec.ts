import { describe, expect, it } from '@jest/globals';
import { connect, type Connection, type Message } from 'nestjs-interconnect/core';
import { afterTest } from '../../support/after-test.js';
import { inSession, listening, tcpAddressOf } from '../../support/peers/connected.js';
import { failure, next, turn, until } from '../../support/events.js';
import { ManualClock } from '../../support/sim/manual-clock.js';
import { RawListener } from '../../support/peers/raw-peer.js';

interface Offline {
  readonly connection: Connection;
  /** The dialer's; its next attempt is made within 100 ms of it. */
  readonly clock: ManualClock;
}

/** A connection that has lost its socket, and comes back when its clock moves. */
async function offline(options: object = {}) {
  const clock = new ManualClock();
  const pair = await inSession({ idleTimeout: 0 }, { clock, idleTimeout: 0, ...options });
  const ran: Message[] = [];
  pair.accepted.on('message', (message) => {
    ran.push(message);
    message.respond(message.data);
  });
  pair.dialer.socket.destroy();
  await next(pair.dialer, 'detach');
  return { ...pair, clock, ran };
}

/** One whose other side knows nothing of it any more. */
async function forgotten(options: object = {}): Promise<Offline> {
  const clock = new ManualClock();
  const listener = await RawListener.listen();
  const connecting = connect({ ...listener.address, clock, idleTimeout: 0, ...options });
  const peer = await listener.accepted();
  await peer.welcome();
  const connection = await connecting;
  afterTest(() => connection.close());
  const detached = next(connection, 'detach');
  peer.socket.destroy();
  await detached;
  return { connection, clock };
}

describe('a connection without a socket', () => {
  it('takes as many messages as its queue, and refuses the next', async () => {
    const { connection } = await forgotten({ maxQueuedMessages: 10 });
    const session = connection.openSession('s');

    const queued = Array.from({ length: 10 }, () => failure(session.send(Buffer.from('x'))));
    const full = await failure(session.send(Buffer.from('x')));

    expect(full).toMatchObject({ code: 'IC_ERR_QUEUE_FULL', executed: 'no' });
    await connection.close();
    const errors = await Promise.all(queued);
    expect(errors.map(({ code, executed }) => `${code} ${executed}`)).toEqual(
      errors.map(() => 'IC_ERR_CLOSED no'),
    );
  });

  it('takes as many bytes as its queue', async () => {
    const { connection } = await forgotten({ maxQueuedBytes: 1000 });
    const session = connection.openSession('s');

    const queued = failure(session.send(Buffer.alloc(600)));
    const full = await failure(session.send(Buffer.alloc(600)));

    expect(full).toMatchObject({ code: 'IC_ERR_QUEUE_FULL', executed: 'no' });
    await connection.close();
    await queued;
  });

  it('has room for the credit that it had and for its queue, and no more', async () => {
    const listener = await listening({ maxUnsettled: 20 });
    listener.on('connection', (accepted) => {
      accepted.on('session', (session) => {
        session.on('message', (message) => message.accept());
        session.accept();
      });
    });
    const clock = new ManualClock();
    const connection = await connect({
      ...tcpAddressOf(listener),
      clock,
      idleTimeout: 0,
      maxQueuedMessages: 10,
    });
    afterTest(() => connection.close());
    const session = await connection.createSession('s');
    connection.socket.destroy();
    await next(connection, 'detach');

    const sends = Array.from({ length: 40 }, () =>
      session.send(Buffer.from('x')).then(
        () => 'done',
        (error: { code: string }) => error.code,
      ),
    );
    await turn();
    clock.advance(100);

    const outcomes = await Promise.all(sends);
    expect(outcomes.filter((outcome) => outcome === 'done')).toHaveLength(30);
    expect(outcomes.slice(30)).toEqual(Array.from({ length: 10 }, () => 'IC_ERR_QUEUE_FULL'));
  });

  it('lets deadlines run, and what has passed its own is not sent [IC-10.5]', async () => {
    const { connection, clock } = await forgotten({ reconnect: { minDelay: 1000 } });
    const session = connection.openSession('s', { timeout: 0 });
    const late = failure(session.send(Buffer.from('late'), { timeout: 300 }));

    clock.advance(299);
    await turn();
    clock.advance(1);

    expect(await late).toMatchObject({ code: 'IC_ERR_TIMEOUT', executed: 'no' });
  });

  it('does not count the outage as the time in which a session must be accepted [IC-10.6]', async () => {
    const { dialer, clock, acceptor } = await offline();
    acceptor.on('session', (session) => session.accept());
    const opening = dialer.createSession('t', { timeout: 50 });

    clock.advance(60);
    await turn();
    clock.advance(40);

    expect((await opening).status).toBe('open');
  });

  it('never gives a message more time than is left', async () => {
    const { session, clock, ran } = await offline();
    const sending = session.send(Buffer.from('x'), { timeout: 5000 });

    clock.advance(40);
    await turn();
    clock.advance(10);
    await sending;

    expect(ran[0]?.remaining).toBeGreaterThan(0);
    expect(ran[0]?.remaining).toBeLessThanOrEqual(4950);
  });

  it('gives a session that it opens again no more time than is left', async () => {
    const clock = new ManualClock();
    const first = await RawListener.listen();
    const second = await RawListener.listen();
    const connecting = connect({
      addresses: [first.address, second.address],
      reconnect: { minDelay: 1 },
      idleTimeout: 0,
      clock,
    });
    const peer = await first.accepted();
    await peer.welcome();
    const connection = await connecting;
    afterTest(() => connection.close());
    const opening = failure(connection.createSession('s', { timeout: 1000 }));
    await peer.frame(0x10);
    clock.advance(600);

    first.close();
    peer.socket.destroy();
    await next(connection, 'detach');
    clock.advance(1);
    const other = await second.accepted();
    await other.welcome();
    const open = await other.frame(0x10);
    expect(open.meta.deadline).toBeLessThanOrEqual(400);
    clock.advance(400);

    expect(await opening).toMatchObject({ code: 'IC_ERR_TIMEOUT' });
  });

  it('cancels what a signal aborts, which never runs', async () => {
    const { session, clock, ran, dialer } = await offline();
    const controller = new AbortController();
    const { signal } = controller;
    const cancelled = failure(session.send(Buffer.from('cancelled'), { signal }));
    const kept = session.send(Buffer.from('kept'));

    controller.abort();
    expect(await cancelled).toMatchObject({ code: 'IC_ERR_CANCELLED', executed: 'no' });
    clock.advance(100);

    expect((await kept).data.toString()).toBe('kept');
    expect(dialer.status).toBe('open');
    expect(ran.map(({ data }) => data.toString())).toEqual(['kept']);
  });

  it('cancels what waits in its queue, which has not run', async () => {
    const { connection } = await forgotten();
    const controller = new AbortController();
    const { signal } = controller;
    const cancelled = failure(connection.openSession('s').send(Buffer.from('x'), { signal }));

    controller.abort();

    expect(await cancelled).toMatchObject({ code: 'IC_ERR_CANCELLED', executed: 'no' });
  });

  it('opens sessions when it is back', async () => {
    const { acceptor, dialer, clock } = await offline();
    acceptor.on('session', (session) => session.accept(Buffer.from(session.name)));
    const opening = dialer.createSession('later');
    const ending = dialer.openSession('ended');
    const ended = ending.close();

    clock.advance(100);

    expect((await opening).data.toString()).toBe('later');
    await ended;
    expect(ending.status).toBe('closed');
  });

  it('says that it has none where it is asked for a round trip, and is asked again later', async () => {
    const { dialer, clock } = await offline();

    await failure(dialer.ping());
    clock.advance(100);
    await until(() => dialer.status === 'open');

    expect(await dialer.ping()).toBeGreaterThanOrEqual(0);
  });

  it('has nothing left to write again once the other side has acknowledged it', async () => {
    const { session, acceptor, dialer, clock } = await offline();
    const sends = Array.from({ length: 200 }, () => session.send(Buffer.alloc(1000)));
    clock.advance(100);
    await Promise.all(sends);

    // The listener acknowledges within 100 ms of its own clock; the dialer within 100 ms of this one.
    const { sent } = dialer.machine.output;
    await until(() => sent.isEmpty);
    clock.advance(100);
    await until(() => acceptor.machine.output.sent.isEmpty);
    expect([...sent.units()]).toEqual([]);
  });
});
