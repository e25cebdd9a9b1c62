import { describe, expect, it } from '@jest/globals';
import { connect, type Connection } from 'nestjs-interconnect/core';
import { dial, inSession, listening, tcpAddressOf } from '../../support/peers/connected.js';
import { failure, next, turn, until } from '../../support/events.js';
import { FaultyWire } from '../../support/peers/faulty-wire.js';
import { ManualClock } from '../../support/sim/manual-clock.js';

/** What becomes of a connection, in order. */
function lifeOf(connection: Connection): string[] {
  const life: string[] = [];
  connection.on('status', (status) => life.push(status));
  connection.on('detach', (error) => life.push(`detach ${error.code}`));
  connection.on('resume', () => life.push('resume'));
  connection.on('renew', () => life.push('renew'));
  connection.on('close', (error) => life.push(`close ${error?.code}`));
  return life;
}

const soon = { minDelay: 1, maxDelay: 1 };

describe('a connection that loses its socket', () => {
  it('tells each end what becomes of it', async () => {
    const { dialer, acceptor } = await inSession({}, { reconnect: soon });
    const lives = [lifeOf(dialer), lifeOf(acceptor)];

    dialer.socket.destroy();
    await next(dialer, 'resume');
    await until(() => acceptor.status === 'open');
    await dialer.close();
    await until(() => acceptor.status === 'closed');

    const life = ['detached', 'detach IC_ERR_CONNECTION_LOST', 'open', 'resume'];
    expect(lives).toEqual([
      [...life, 'closing', 'close undefined', 'closed'],
      [...life, 'closing', 'close undefined', 'closed'],
    ]);
  });

  it('tells that it was begun anew', async () => {
    const { listener, dialer } = await inSession({ resumeTimeout: 0 }, { reconnect: soon });
    const life = lifeOf(dialer);

    dialer.socket.destroy();
    await next(dialer, 'renew');
    await listener.close();
    await until(() => dialer.status === 'closed');

    expect(life).toEqual([
      'detached',
      'detach IC_ERR_CONNECTION_LOST',
      'open',
      'renew',
      'closing',
      'close undefined',
      'closed',
    ]);
  });
});

describe('closing a connection', () => {
  it('without a socket ends it at once, with all that waited', async () => {
    const clock = new ManualClock();
    const { dialer, session } = await inSession({}, { clock, idleTimeout: 0 });
    const life = lifeOf(dialer);
    dialer.socket.destroy();
    await next(dialer, 'detach');
    const waiting = failure(session.send(Buffer.from('x')));

    await Promise.all([dialer.close(), dialer.close()]);
    await dialer.close();

    expect(await waiting).toMatchObject({ code: 'IC_ERR_CLOSED', executed: 'no' });
    expect(life.slice(-3)).toEqual(['closing', 'close undefined', 'closed']);
    expect(clock.pending).toBe(0);
  });

  it('while it dials ends the attempt', async () => {
    const clock = new ManualClock();
    const listener = await listening();
    const wire = await FaultyWire.before(tcpAddressOf(listener));
    const connection = await connect({ ...wire.address, clock, reconnect: soon });
    wire.isDead = true;
    connection.socket.destroy();
    await next(connection, 'detach');
    clock.advance(1);
    const second = await wire.strand(1);

    await connection.close();

    await until(() => second.isOver);
    expect(clock.pending).toBe(0);
    expect(connection.status).toBe('closed');
  });

  it('as soon as another socket carries it writes what was lost before it says so, and nothing new', async () => {
    const listener = await listening();
    const wire = await FaultyWire.before(tcpAddressOf(listener));
    const accepted = next(listener, 'connection');
    const dialer = await connect({ ...wire.address, reconnect: soon });
    const [acceptor] = await accepted;
    const texts: string[] = [];
    acceptor.on('session', (session) => {
      session.on('message', (message) => void texts.push(message.data.toString()));
      session.accept();
    });
    const ended = next(acceptor, 'close');
    const session = await dialer.createSession('s');
    const strand = await wire.strand(0);
    dialer.on('resume', () => void dialer.close());

    strand.silence();
    const lost = failure(session.send(Buffer.from('lost')));
    await until(() => strand.kept > 0);
    strand.loseDialer();
    await next(dialer, 'detach');
    const waiting = failure(session.send(Buffer.from('waiting')));

    expect(await lost).toMatchObject({ code: 'IC_ERR_CLOSED', executed: 'maybe' });
    expect(await waiting).toMatchObject({ code: 'IC_ERR_CLOSED', executed: 'no' });
    expect(await ended).toEqual([undefined]);
    expect(texts).toEqual(['lost']);
  });

  it.each(['detached', 'closing', 'closed'] as const)(
    'within the event of %s leaves nothing that goes on',
    async (when) => {
      const clock = new ManualClock();
      const { dialer, listener } = await inSession({}, { clock, idleTimeout: 0, reconnect: soon });
      dialer.on('status', (status) => {
        if (status === when) void dialer.close();
      });

      dialer.socket.destroy();
      await next(dialer, 'detach');
      if (when !== 'detached') await dialer.close();

      await until(() => dialer.status === 'closed');
      expect(clock.pending).toBe(0);
      clock.advance(10_000);
      await turn();
      expect(listener.connections.size).toBe(1);
    },
  );

  it('within the end of a session leaves no attempt to come back', async () => {
    const clock = new ManualClock();
    const { dialer, acceptor } = await inSession(
      { resumeTimeout: 0 },
      { clock, idleTimeout: 0, reconnect: soon },
    );
    dialer.on('session', (session) => {
      session.on('close', () => void dialer.close());
      session.accept();
    });
    await acceptor.createSession('push');

    dialer.socket.destroy();
    await until(() => dialer.status === 'closed');

    expect(clock.pending).toBe(0);
  });

  it('within the event of a listener that drains leaves no attempt to come back', async () => {
    const clock = new ManualClock();
    const { listener, dialer } = await inSession({}, { clock, idleTimeout: 0, reconnect: soon });
    dialer.on('status', (status) => {
      if (status === 'detached') void dialer.close();
    });

    await listener.drain();

    await until(() => dialer.status === 'closed');
    expect(clock.pending).toBe(0);
  });

  it('within the end of a session, when it is begun anew, gives the new one up', async () => {
    const clock = new ManualClock();
    const { dialer, acceptor } = await inSession({}, { clock, idleTimeout: 0, reconnect: soon });
    dialer.on('session', (session) => {
      session.on('close', () => void dialer.close());
      session.accept();
    });
    await acceptor.createSession('push');
    const life = lifeOf(dialer);

    dialer.socket.destroy();
    await next(dialer, 'detach');
    await acceptor.close();
    clock.advance(1);

    await until(() => life.includes('closed'));
    await turn();
    expect(life.slice(-3)).toEqual(['closing', 'close undefined', 'closed']);
    expect(dialer.status).toBe('closed');
    expect(clock.pending).toBe(0);
  });
});

describe('closing a listener', () => {
  it('ends the connections that wait for their dialers, who begin anew elsewhere', async () => {
    const clock = new ManualClock();
    const { listener, dialer, acceptor } = await inSession({}, { clock, idleTimeout: 0 });
    const address = tcpAddressOf(listener);
    dialer.socket.destroy();
    await until(() => dialer.status === 'detached' && acceptor.status === 'detached');

    await Promise.all([listener.close(), listener.close()]);
    expect(acceptor.status).toBe('closed');
    const another = await listening({ port: address.port });
    clock.advance(100);
    await until(() => dialer.status === 'open');

    expect(another.connections.size).toBe(1);
  });

  it('takes nobody back meanwhile', async () => {
    const listener = await listening();
    const dialers = await Promise.all(
      Array.from({ length: 5 }, () => dial(listener, { reconnect: soon })),
    );

    for (const dialer of dialers) dialer.socket.destroy();
    await listener.close();

    expect(listener.connections.size).toBe(0);
    for (const dialer of dialers) await dialer.close();
    expect(listener.address).toBeUndefined();
  });
});
