import { describe, expect, it } from '@jest/globals';
import {
  connect,
  type Connection,
  type Listener,
  type ListenerOptions,
} from 'nestjs-interconnect/core';
import { Capability, Code, encodePreface, FrameType } from '../../../src/wire/index.js';
import { afterTest } from '../../support/after-test.js';
import { listening, tcpAddressOf } from '../../support/peers/connected.js';
import { next, until } from '../../support/events.js';
import { FaultyWire } from '../../support/peers/faulty-wire.js';
import { ManualClock } from '../../support/sim/manual-clock.js';
import { frame, GREETING, RawListener, RawPeer } from '../../support/peers/raw-peer.js';

const soon = { minDelay: 1, maxDelay: 1 };

interface Wired {
  readonly listener: Listener;
  readonly wire: FaultyWire;
  readonly dialer: Connection;
  readonly acceptor: Connection;
  /** The messages that the listener's handlers have seen. */
  readonly ran: string[];
}

async function wired(
  listenerOptions: ListenerOptions = {},
  dialerOptions: object = {},
): Promise<Wired> {
  const listener = await listening(listenerOptions);
  const ran: string[] = [];
  listener.on('connection', (connection) => {
    connection.on('session', (session) => {
      session.on('message', (message) => {
        ran.push(message.data.toString());
        message.respond(message.data);
      });
      session.accept();
    });
  });
  const wire = await FaultyWire.before(tcpAddressOf(listener));
  const accepted = next(listener, 'connection');
  const dialer = await connect({ ...wire.address, reconnect: soon, ...dialerOptions });
  afterTest(() => dialer.close());
  const [acceptor] = await accepted;
  return { listener, wire, dialer, acceptor, ran };
}

describe('a socket whose end nobody told the listener of', () => {
  it('is put out of action by the next one, and what it still brings does nothing [IC-17.6] [IC-17.20]', async () => {
    const { wire, dialer, acceptor, ran } = await wired();
    const session = await dialer.createSession('s');
    const strand = await wire.strand(0);
    const former = acceptor.socket;

    strand.silence();
    const sends = ['one', 'two'].map((text) => session.send(Buffer.from(text)));
    await until(() => strand.kept > 0);
    strand.loseDialer();
    await next(dialer, 'resume');
    expect(acceptor.socket).not.toBe(former);
    strand.release();
    const answers = (await Promise.all(sends)).map(({ data }) => data.toString());

    await until(() => former.destroyed);
    expect(answers).toEqual(['one', 'two']);
    expect(ran).toEqual(['one', 'two']);
    expect([dialer.status, acceptor.status]).toEqual(['open', 'open']);
  });

  it('changes nothing either where what it held arrives before the next one', async () => {
    const { wire, dialer, ran } = await wired({}, { reconnect: { minDelay: 50 } });
    const session = await dialer.createSession('s');
    const strand = await wire.strand(0);

    strand.silence();
    const sends = ['one', 'two'].map((text) => session.send(Buffer.from(text)));
    await until(() => strand.kept > 0);
    strand.loseDialer();
    await next(dialer, 'detach');
    strand.release();
    await until(() => ran.length === 2);

    const answers = (await Promise.all(sends)).map(({ data }) => data.toString());
    expect(answers).toEqual(['one', 'two']);
    expect(ran).toEqual(['one', 'two']);
  });
});

describe('a peer that vanishes without a word', () => {
  it('is given up after the idle time, and the dialer goes on over another socket', async () => {
    const clock = new ManualClock();
    const { wire, dialer, acceptor, ran } = await wired(
      { idleTimeout: 0 },
      { clock, idleTimeout: 1000 },
    );
    const session = await dialer.createSession('s');
    const strand = await wire.strand(0);

    const silent = dialer.socket;
    strand.silence();
    const sending = session.send(Buffer.from('x'), { timeout: 0 });
    const detached = next(dialer, 'detach');
    clock.advance(1000);
    expect((await detached)[0]).toMatchObject({ code: 'IC_ERR_IDLE_TIMEOUT' });
    clock.advance(1);

    expect((await sending).data.toString()).toBe('x');
    expect(ran).toEqual(['x']);
    expect([dialer.status, acceptor.status]).toEqual(['open', 'open']);
    // The silent one, at which nobody reads CLOSE, is not held for ever.
    clock.advance(997);
    expect(silent.destroyed).toBe(false);
    clock.advance(3);
    expect(silent.destroyed).toBe(true);
  });

  it('is given up by the listener as well, which waits for it', async () => {
    const patience = new ManualClock();
    const clock = new ManualClock();
    const { wire, dialer, acceptor } = await wired(
      { clock: patience, idleTimeout: 1000, resumeTimeout: 5000 },
      { clock, idleTimeout: 0 },
    );
    const strand = await wire.strand(0);

    strand.silence();
    patience.advance(1000);
    await until(() => acceptor.status === 'detached');
    strand.loseDialer();
    await until(() => dialer.status === 'detached');
    clock.advance(1);

    await until(() => acceptor.status === 'open' && dialer.status === 'open');
    expect(patience.now()).toBeLessThan(1_000_000 + 5900);
  });

  it('is tried again and again where the next sockets are silent too', async () => {
    const clock = new ManualClock();
    const { wire, dialer } = await wired(
      { idleTimeout: 0 },
      { clock, idleTimeout: 0, handshakeTimeout: 200 },
    );
    wire.isDead = true;
    dialer.socket.destroy();
    await next(dialer, 'detach');

    const arrives = (count: number): Promise<void> =>
      until(() => {
        clock.advance(1);
        return wire.strands.length > count;
      });
    for (let attempt = 1; attempt <= 3; attempt++) {
      await arrives(attempt);
      const strand = await wire.strand(attempt);
      await until(() => strand.kept > 0);
      // The handshake's time, and that in which a CLOSE could be read.
      clock.advance(200);
      clock.advance(1000);
      await until(() => strand.isOver);
    }
    wire.isDead = false;
    await arrives(4);
    await until(() => dialer.status === 'open');

    expect(wire.strands).toHaveLength(5);
  });
});

describe('a token in the hands of two', () => {
  it('is the later one’s, and the former is told so [IC-17.20]', async () => {
    const listener = await listening();
    const first = await RawPeer.dial(tcpAddressOf(listener));
    first.greet({ caps: Capability.RESUME });
    const { meta } = await first.frame(FrameType.WELCOME);
    const resume = { token: Buffer.from(meta.token?.token ?? []), received: 0 };

    const second = await RawPeer.dial(tcpAddressOf(listener));
    second.greet({ caps: Capability.RESUME, resume });
    expect((await second.frame(FrameType.WELCOME)).meta.resumed).toBe(0);

    expect((await first.frame(FrameType.CLOSE)).meta.code).toBe(Code.SUPERSEDED);
    // A frame that would be counted, and one that would be a violation.
    first.send({ type: FrameType.OPEN, session: 1, meta: { name: 's' } });
    first.send({ type: FrameType.OPEN, session: 2, meta: { name: 's' } });
    second.send({ type: FrameType.PING, id: 7 });
    await second.frame(FrameType.PONG);
    const [connection] = listener.connections;
    expect(connection?.status).toBe('open');
    expect(connection?.machine.received).toBe(0);
    first.socket.end();
    await first.closed;
  });

  it('is asked for again by the one that lost it', async () => {
    const raw = await RawListener.listen();
    const connecting = connect({ ...raw.address, reconnect: soon });
    const first = await raw.accepted();
    const token = Buffer.alloc(32, 7);
    await first.welcome({ caps: Capability.RESUME, token: { token, ttl: 1000 } });
    const connection = await connecting;
    afterTest(() => connection.close());

    first.send({ type: FrameType.CLOSE, meta: { code: Code.SUPERSEDED } });
    const second = await raw.accepted();

    const { meta } = await second.frame(FrameType.HELLO);
    expect(meta.resume?.token.equals(token)).toBe(true);
    second.write(
      encodePreface(),
      frame({
        type: FrameType.WELCOME,
        meta: { ...GREETING, caps: Capability.RESUME, resumed: 0 },
      }),
    );
    await until(() => connection.status === 'open');
  });

  it('does not make a dialer believe that more arrived than it has written [IC-17.22]', async () => {
    const raw = await RawListener.listen();
    const connecting = connect({ ...raw.address, reconnect: soon });
    const first = await raw.accepted();
    const token = { token: Buffer.alloc(32, 7), ttl: 1000 };
    await first.welcome({ caps: Capability.RESUME, token });
    const connection = await connecting;
    afterTest(() => connection.close());
    const closed = next(connection, 'close');

    for (let attempt = 0; attempt < 2; attempt++) {
      if (attempt === 0) first.socket.destroy();
      const peer = await raw.accepted();
      const { meta } = await peer.frame(FrameType.HELLO);
      // The connection is over with the first impossible count: the second HELLO begins another.
      expect(meta.resume === undefined).toBe(attempt === 1);
      peer.write(
        encodePreface(),
        frame({
          type: FrameType.WELCOME,
          meta: { ...GREETING, caps: Capability.RESUME, resumed: 5 },
        }),
      );
      expect((await peer.frame(FrameType.CLOSE)).meta.code).toBe(Code.PROTOCOL);
    }

    expect((await closed)[0]).toMatchObject({ code: 'IC_ERR_CONNECTION_LOST' });
  });
});
