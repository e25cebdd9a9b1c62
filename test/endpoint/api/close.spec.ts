import { describe, expect, it } from '@jest/globals';
import { Code, type Connection, type InterconnectError } from 'nestjs-interconnect/core';
import { connected, dial, echo, inSession } from '../../support/peers/connected.js';
import { failure, next, thrown, until } from '../../support/events.js';

/** What a connection says about itself from now on. */
function eventsOf(connection: Connection): string[] {
  const events: string[] = [];
  connection.on('status', (status) => events.push(status));
  connection.on('close', (error) => events.push(error === undefined ? 'close' : error.code));
  return events;
}

describe('closing a connection', () => {
  it('is seen on both sides as an end in order', async () => {
    const { acceptor, dialer } = await connected();
    const events = [eventsOf(dialer), eventsOf(acceptor)];

    await dialer.close();
    await until(() => acceptor.status === 'closed');

    expect([dialer.status, acceptor.status]).toEqual(['closed', 'closed']);
    expect(events).toEqual([
      ['closing', 'close', 'closed'],
      ['closing', 'close', 'closed'],
    ]);
    expect(dialer.socket.destroyed && acceptor.socket.destroyed).toBe(true);
  });

  it('is idempotent: twice at once, again later, and from both sides', async () => {
    const { acceptor, dialer } = await connected();
    const events = [eventsOf(dialer), eventsOf(acceptor)];

    await Promise.all([dialer.close(), dialer.close(), acceptor.close(), acceptor.close()]);
    await dialer.close();
    await acceptor.close({ code: 0x8000 });

    expect(events).toEqual([
      ['closing', 'close', 'closed'],
      ['closing', 'close', 'closed'],
    ]);
  });

  it('tells the other side a code, a reason and data of the application', async () => {
    const { acceptor, dialer } = await connected();
    const closed = next(acceptor, 'close');

    await dialer.close({ code: 0x9000, reason: 'replaced', data: Buffer.from('by 8') });

    const [error] = await closed;
    expect(error).toMatchObject({
      code: 'IC_ERR_CONNECTION_LOST',
      status: 0x9000,
      reason: 'replaced',
      data: Buffer.from('by 8'),
    });
    expect(error?.message).toBe('The other side closed the connection: 0x9000, replaced.');
  });

  it('settles everything that was pending, on both sides', async () => {
    const { acceptor, dialer } = await connected({ maxUnsettled: 4 });
    for (const side of [acceptor, dialer]) {
      side.on('session', (session) => {
        if (session.name === 'undecided') return;
        session.on('message', () => undefined);
        session.accept();
      });
    }
    const session = await dialer.createSession('a');
    const back = await acceptor.createSession('back');
    const pending = {
      running: failure(session.send(Buffer.from('x'))),
      large: failure(session.send(Buffer.alloc(10_000_000))),
      waiting: failure(session.send(Buffer.from('x'))),
      opening: failure(dialer.createSession('undecided')),
      ahead: failure(dialer.openSession('undecided').send(Buffer.from('x'))),
      back: failure(back.send(Buffer.alloc(5_000_000))),
      backSession: failure(acceptor.createSession('undecided')),
    };
    await acceptor.ping();

    await dialer.close();

    const ended = await Promise.all(Object.values(pending));
    expect(ended.map(({ code }) => code)).toEqual(ended.map(() => 'IC_ERR_CLOSED'));
    expect((await pending.running).executed).toBe('maybe');
    expect((await pending.waiting).executed).toBe('no');
    expect((await pending.large).executed).toBe('no');
    expect([session.status, back.status]).toEqual(['closed', 'closed']);
  });

  it('lets no call through afterwards', async () => {
    const { session, accepted, dialer } = await inSession();

    await dialer.close();
    accepted.accept();

    expect(await failure(dialer.createSession('x'))).toMatchObject({
      code: 'IC_ERR_CLOSED',
      executed: 'no',
    });
    expect(thrown(() => dialer.openSession('x')).code).toBe('IC_ERR_CLOSED');
    expect(await failure(session.send(Buffer.from('x')))).toMatchObject({
      code: 'IC_ERR_CLOSED',
      executed: 'no',
    });
    await session.close();
  });

  it('may happen in a handler: what it settled before arrives', async () => {
    const { session, accepted, acceptor } = await inSession();
    accepted.on('message', (message) => {
      message.respond(Buffer.from('goodbye'));
      void acceptor.close();
    });

    const outcome = await session.send(Buffer.from('x'));

    expect(outcome).toMatchObject({ accepted: true, data: Buffer.from('goodbye') });
    await until(() => session.connection.status === 'closed');
  });

  it('may happen in the events of the connection, of a session and of a listener', async () => {
    const { listener, dialer } = await connected();
    listener.on('connection', (connection) => void connection.close());
    const [second] = await Promise.all([
      dial(listener),
      next(listener, 'connection').then(([connection]) => connection.close()),
    ]);
    await until(() => second.status === 'closed');

    const third = await connected();
    third.acceptor.on('session', () => void third.acceptor.close());
    const error = await failure(third.dialer.createSession('x'));

    expect(error.code).toBe('IC_ERR_CLOSED');
    third.dialer.on('close', () => void third.dialer.close());
    await third.dialer.close();
    expect(dialer.status).toBe('open');
  });

  it('happens while a large message runs, in either direction', async () => {
    for (const side of ['dialer', 'acceptor'] as const) {
      const pair = await inSession();
      pair.accepted.on('message', (message) => message.respond(message.data));
      const outcome = failure(pair.session.send(Buffer.alloc(16 * 1024 * 1024)));
      await until(() => pair.acceptor.socket.bytesRead > 1_000_000);

      await pair[side].close();

      expect(await outcome).toMatchObject({ code: 'IC_ERR_CLOSED' });
    }
  });

  it('is not in order where the socket dies, and it was not to come back', async () => {
    const { session, accepted, acceptor, dialer } = await inSession({}, { reconnect: false });
    accepted.on('message', () => acceptor.socket.destroy());
    const events = [eventsOf(dialer), eventsOf(acceptor)];
    const closed = next(session, 'close');

    const error = await failure(session.send(Buffer.from('x')));
    await until(() => dialer.status === 'closed');

    expect(error).toMatchObject({ code: 'IC_ERR_CONNECTION_LOST', executed: 'maybe' });
    expect((await closed)[0]).toMatchObject({ code: 'IC_ERR_CONNECTION_LOST' });
    expect(events).toEqual([
      ['closing', 'IC_ERR_CONNECTION_LOST', 'closed'],
      ['closing', 'IC_ERR_CONNECTION_LOST', 'closed'],
    ]);
  });

  it('aborts the signals of the messages that run', async () => {
    const { session, accepted, dialer } = await inSession();
    const arrived = next(accepted, 'message');
    accepted.on('message', () => undefined);
    void failure(session.send(Buffer.from('x')));
    const [message] = await arrived;
    const aborted = new Promise((resolve) => message.signal.addEventListener('abort', resolve));

    await dialer.close();

    await aborted;
    expect(message.signal.reason).toMatchObject({ code: 'IC_ERR_CONNECTION_LOST' });
  });

  it('lets a new connection be made from within its event', async () => {
    const { listener, dialer } = await connected();
    const reconnected = new Promise<Connection>((resolve) => {
      dialer.once('close', () => resolve(dial(listener)));
    });

    await dialer.close();
    const again = await reconnected;
    for (const connection of listener.connections) echo(connection);

    expect(await again.openSession('x').send(Buffer.from('y'))).toMatchObject({
      data: Buffer.from('y'),
    });
  });

  it('says nothing of an error where the other side closed with code OK', async () => {
    const { acceptor, dialer } = await connected();
    const errors: (InterconnectError | undefined)[] = [];
    dialer.on('close', (error) => errors.push(error));

    await acceptor.close({ code: Code.OK, reason: 'done' });
    await until(() => dialer.status === 'closed');

    expect(errors).toEqual([undefined]);
  });
});

describe('a session opened while the connection goes down', () => {
  it('is refused at once', async () => {
    const { session, dialer, acceptor } = await inSession({}, { reconnect: false });
    const refused = new Promise<unknown>((resolve) => {
      session.once('close', () => {
        dialer.createSession('late').then(resolve, resolve);
      });
    });

    acceptor.socket.destroy();

    expect(await refused).toMatchObject({ code: 'IC_ERR_CLOSED' });
  });
});
