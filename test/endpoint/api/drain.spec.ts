import { describe, expect, it } from '@jest/globals';
import { connect, type Connection, type Listener, type Message } from 'nestjs-interconnect/core';
import { Code, creditPayload, FrameType } from '../../../src/wire/index.js';
import { afterTest } from '../../support/after-test.js';
import { dial, inSession, listening, tcpAddressOf } from '../../support/peers/connected.js';
import { failure, next, turn, until } from '../../support/events.js';
import { ManualClock } from '../../support/sim/manual-clock.js';
import { RawPeer } from '../../support/peers/raw-peer.js';

const soon = { minDelay: 1, maxDelay: 1 };

/** Keeps the messages of all sessions, to be settled by the test. */
function keep(listener: Listener): Message[] {
  const messages: Message[] = [];
  listener.on('connection', (connection) => {
    connection.on('session', (session) => {
      session.on('message', (message) => void messages.push(message));
      session.accept();
    });
  });
  return messages;
}

/** What becomes of the outcome. */
function track(outcome: Promise<unknown>): { readonly state: string } {
  const tracked = { state: 'pending' };
  outcome.then(
    () => (tracked.state = 'done'),
    (error: { code: string; executed: string }) =>
      (tracked.state = `${error.code} ${error.executed}`),
  );
  return tracked;
}

describe('a connection that drains', () => {
  it('waits for all that runs, in both directions [IC-12.2]', async () => {
    const { dialer, acceptor, session, accepted } = await inSession();
    const messages: Message[] = [];
    accepted.on('message', (message) => void messages.push(message));
    session.on('message', (message) => void messages.push(message));
    const outcomes = [session.send(Buffer.from('there')), accepted.send(Buffer.from('back'))];
    await until(() => messages.length === 2);
    const drain = track(dialer.drain());

    await turn();
    expect([dialer.status, drain.state]).toEqual(['draining', 'pending']);
    messages[0]?.accept();
    await outcomes[messages[0]?.data.toString() === 'there' ? 0 : 1];
    await turn();
    expect(drain.state).toBe('pending');
    messages[1]?.accept();

    await Promise.all(outcomes);
    await until(() => drain.state === 'done');
    expect(dialer.status).toBe('closed');
    await until(() => acceptor.status === 'closed');
  });

  it('sends what waited for credit before it closes', async () => {
    const { dialer, session, accepted } = await inSession({ maxUnsettled: 1 });
    accepted.on('message', (message) => message.respond(message.data));
    const sends = Array.from({ length: 20 }, (_, index) => session.send(Buffer.from(`${index}`)));

    await dialer.drain();

    const answers = (await Promise.all(sends)).map(({ data }) => data.toString());
    expect(answers).toEqual(Array.from({ length: 20 }, (_, index) => `${index}`));
  });

  it('drains once, however often it is asked to', async () => {
    const { dialer, acceptor } = await inSession();
    const statuses: string[] = [];
    dialer.on('status', (status) => statuses.push(status));

    await Promise.all([dialer.drain(), dialer.drain({ timeout: 5 }), acceptor.drain()]);
    await dialer.drain();

    expect(statuses).toEqual(['draining', 'closing', 'closed']);
  });

  it('is closed when its time is over, with anything left', async () => {
    const clock = new ManualClock();
    const { dialer, session, accepted } = await inSession({}, { clock, idleTimeout: 0 });
    accepted.on('message', () => undefined);
    const hanging = failure(session.send(Buffer.from('x'), { timeout: 0 }));
    await until(() => session.machine.sender.unsettled > 0);
    const drain = track(dialer.drain({ timeout: 700 }));

    clock.advance(699);
    await turn();
    expect(drain.state).toBe('pending');
    clock.advance(1);

    expect(await hanging).toMatchObject({ code: 'IC_ERR_CLOSED', executed: 'maybe' });
    await until(() => drain.state === 'done');
    expect(clock.pending).toBe(0);
  });

  it('ends at once where it is closed meanwhile', async () => {
    const clock = new ManualClock();
    const { dialer, session, accepted } = await inSession({}, { clock, idleTimeout: 0 });
    accepted.on('message', () => undefined);
    const hanging = failure(session.send(Buffer.from('x'), { timeout: 0 }));
    const drain = dialer.drain();

    await Promise.all([dialer.close(), drain]);

    expect(await hanging).toMatchObject({ code: 'IC_ERR_CLOSED' });
    expect(clock.pending).toBe(0);
  });

  it('that has no socket finishes when it has one again', async () => {
    const { dialer, acceptor, session, accepted } = await inSession({}, { reconnect: soon });
    accepted.on('message', (message) => message.accept());
    dialer.socket.destroy();
    await next(dialer, 'detach');
    const sending = session.send(Buffer.from('x'));

    await dialer.drain();

    expect(await sending).toMatchObject({ accepted: true });
    await until(() => acceptor.status === 'closed');
  });

  it('goes on with the connection that takes its place, where the other side knows it no more', async () => {
    const clock = new ManualClock();
    const { dialer, acceptor, session } = await inSession({}, { clock, reconnect: soon });
    dialer.socket.destroy();
    await next(dialer, 'detach');
    const sending = failure(session.send(Buffer.from('x')));
    const drain = track(dialer.drain());

    await acceptor.close();
    clock.advance(1);

    // Nobody serves the new connection.
    expect(await sending).toMatchObject({ code: 'IC_ERR_SESSION_REJECTED' });
    await until(() => drain.state === 'done');
  });

  it('loses its socket meanwhile, and goes on draining', async () => {
    const listener = await listening();
    const messages = keep(listener);
    const connection = await dial(listener, { reconnect: soon });
    const session = await connection.createSession('s');
    const sending = session.send(Buffer.from('x'));
    await until(() => messages.length === 1);

    const [acceptor] = listener.connections;
    const drain = track(connection.drain());
    await until(() => acceptor?.machine.peerDrains === true);
    const resumed = next(connection, 'resume');
    connection.socket.destroy();
    await resumed;
    expect(connection.status).toBe('draining');
    messages[0]?.accept();

    expect(await sending).toMatchObject({ accepted: true });
    await until(() => drain.state === 'done');
  });
});

describe('a listener that drains', () => {
  it('has what it did not begin sent elsewhere, in its order, whatever it waited for [IC-12.3]', async () => {
    const old = await listening({ maxUnsettled: 2, maxSessions: 1 });
    const running = keep(old);
    const fresh = await listening();
    const seen = keep(fresh);
    const connection = await connect({
      addresses: [tcpAddressOf(old), tcpAddressOf(fresh)],
      reconnect: soon,
    });
    afterTest(() => connection.close());
    const session = await connection.createSession('s');
    const sends = Array.from({ length: 10 }, (_, index) => session.send(Buffer.from(`${index}`)));
    // Beyond the limit: it has no number yet.
    const second = connection.openSession('t', { timeout: 0 });
    sends.push(second.send(Buffer.from('10')));
    await until(() => running.length === 2);

    const drained = old.drain();
    await until(() => seen.length === 9);
    for (const message of [...running, ...seen]) message.respond(message.data);

    const answers = (await Promise.all(sends)).map(({ data }) => data.toString());
    expect(answers).toEqual(Array.from({ length: 11 }, (_, index) => `${index}`));
    expect(running.map(({ data }) => data.toString())).toEqual(['0', '1']);
    const elsewhere = seen.map(({ data }) => Number(data.toString())).filter((index) => index < 10);
    expect(elsewhere).toEqual([2, 3, 4, 5, 6, 7, 8, 9]);
    await drained;
    expect([session.status, second.status]).toEqual(['open', 'open']);
  });

  it('tells what it refuses, finishes what it began, and ends readably [IC-12.1] [IC-12.6]', async () => {
    const listener = await listening();
    const messages = keep(listener);
    const peer = await RawPeer.open(tcpAddressOf(listener));
    const [connection] = listener.connections;
    peer.send({ type: FrameType.OPEN, session: 1, meta: { name: 's' } });
    peer.send({ type: FrameType.SEND, session: 1, id: 1 });
    await until(() => messages.length === 1);

    const drain = track(listener.drain());
    const goaway = await peer.frame(FrameType.GOAWAY);
    expect(goaway.meta.code).toBe(Code.DRAINING);
    peer.send({ type: FrameType.SEND, session: 1, id: 2 });
    peer.send({ type: FrameType.OPEN, session: 3, meta: { name: 't' } });
    expect(await peer.frame(FrameType.REJECT)).toMatchObject({
      id: 2,
      meta: { code: Code.MESSAGE_DRAINING },
    });
    expect(await peer.frame(FrameType.END)).toMatchObject({
      session: 3,
      meta: { code: Code.DRAINING },
    });
    messages[0]?.accept();
    expect(await peer.frame(FrameType.ACCEPT)).toMatchObject({ id: 1 });
    await turn();
    expect([drain.state, connection?.status]).toEqual(['pending', 'draining']);

    // OPENED, REJECT, END, ACCEPT.
    const credit = creditPayload(1024, 64 * 1024 * 1024);
    peer.send({ type: FrameType.CREDIT, id: 4, payload: credit });
    peer.send({ type: FrameType.PONG, id: (await peer.frame(FrameType.PING)).id });
    const { meta } = await peer.frame(FrameType.CLOSE);
    peer.socket.end();
    await until(() => drain.state === 'done');

    expect(meta.code ?? Code.OK).toBe(Code.OK);
    expect(messages).toHaveLength(1);
  });

  it('refuses who comes, and says why', async () => {
    const listener = await listening();
    const peer = await RawPeer.dial(tcpAddressOf(listener));
    const held = await dial(listener);
    await until(() => listener.connections.size === 1);
    let release: Connection | undefined;
    [release] = listener.connections;
    const draining = listener.drain({ timeout: 60_000 });
    const session = release?.openSession('s', { timeout: 0 });

    peer.greet();

    expect((await peer.frame(FrameType.CLOSE)).meta.code).toBe(Code.DRAINING);
    release = undefined;
    void session;
    await held.close();
    await draining;
  });

  it('does not wait for a dialer that is not there', async () => {
    const clock = new ManualClock();
    const listener = await listening({ clock, idleTimeout: 0 });
    const messages = keep(listener);
    const peerClock = new ManualClock();
    const dialer = await dial(listener, { clock: peerClock, idleTimeout: 0 });
    const session = await dialer.createSession('s');
    void failure(session.send(Buffer.from('x'), { timeout: 0 }));
    await until(() => messages.length === 1);
    const [connection] = listener.connections;
    dialer.socket.destroy();
    await until(() => connection?.status === 'detached');

    await listener.drain();

    expect(connection?.status).toBe('closed');
    expect(clock.pending).toBe(0);
  });

  it('may drain twice, be closed meanwhile, and listen again', async () => {
    const listener = await listening();
    const messages = keep(listener);
    const dialer = await dial(listener, { reconnect: { minDelay: 1000 } });
    const session = await dialer.createSession('s');
    const hanging = failure(session.send(Buffer.from('x')));
    await until(() => messages.length === 1);

    const drains = [listener.drain(), listener.drain()];
    await next(dialer, 'status');
    await Promise.all([listener.close(), ...drains]);

    expect(await hanging).toMatchObject({ executed: 'maybe' });
    await listener.drain();
    await listener.listen();
    const again = await dial(listener);
    expect(again.status).toBe('open');
  });
});
