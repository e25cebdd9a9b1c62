/** The table of PROTOCOL.md, §7.8: a connection, with a socket and without one. */
import { describe, expect, it } from '@jest/globals';
import {
  type Connection,
  createConnection,
  type InterconnectError,
  type Session,
} from 'nestjs-interconnect/core';
import { DEFAULT_LIMITS } from '../../../src/protocol/index.js';
import { limitsToMeta } from '../../../src/protocol/flow/limits.js';
import { Capability, Code, encodePreface, FrameType, type Meta } from '../../../src/wire/index.js';
import { afterTest } from '../../support/after-test.js';
import { failure, next, until } from '../../support/events.js';
import { listening, tcpAddressOf } from '../../support/peers/connected.js';
import { raw } from '../../support/peers/offline.js';
import { frame, RawListener, RawPeer } from '../../support/peers/raw-peer.js';
import { ManualClock } from '../../support/sim/manual-clock.js';
import { SimPeer } from '../../support/sim/sim-peer.js';
import type { SimSend } from '../../support/sim/sim-application.js';
import { written } from './scenes.js';

const { HELLO, WELCOME, CLOSE, OPEN, OPENED, SEND } = FrameType;
const TOKEN = { token: Buffer.alloc(32, 7), ttl: 60_000 };
const LIMITS: Meta = { ...limitsToMeta(DEFAULT_LIMITS), caps: Capability.RESUME };
const OFFER: Meta = { caps: Capability.RESUME };
const roles = ['listener', 'dialer'] as const;
type Role = (typeof roles)[number];

interface Attached {
  readonly peer: SimPeer;
  /** A message whose handler may run at the other side. */
  readonly message: SimSend;
}

/** A machine with a socket, an open session, and one message that is written. */
function attached(role: Role, token: typeof TOKEN | undefined): Attached {
  const peer = new SimPeer(role, token && { token });
  peer.greet({ ...LIMITS, ...(token !== undefined && role === 'dialer' && { token }) });
  const session = peer.side.session('ours');
  const message = session.send('x');
  peer.flush();
  peer.send({ type: OPENED, session: session.id });
  peer.lines();
  return { peer, message };
}

/** All pending work has failed, and the connection cannot be resumed. */
function expectEnded({ peer, message }: Attached): void {
  const { connection } = peer.side;
  expect(message.outcome).toMatch(/^failed connection-(?:lost|closed) maybe$/);
  expect(connection.canResume(2)).toBe(false);
  expect(peer.side.session('late').status).toMatch(/^closed/);
}

/** Nothing has failed, and the connection can be resumed. */
function expectDetached({ peer, message }: Attached): void {
  expect([message.outcome, peer.side.connection.canResume(2)]).toEqual(['pending', true]);
  expect(peer.side.status).toBe('open');
}

/** The peer comes back on another socket, and has read `count` frames of the machine. */
function resume(peer: SimPeer, count: number): string[] {
  const { side } = peer;
  side.renew();
  peer.flush();
  const asks = { resume: { token: TOKEN.token, received: count } };
  peer.greet({ ...LIMITS, ...(side.role === 'listener' ? asks : { resumed: count }) });
  return written(peer);
}

describe('Each side of a connection [IC-7.8]', () => {
  it('7.8 –: WELCOME without RESUMED, written or read', () => {
    for (const role of roles) {
      const { peer, message } = attached(role, TOKEN);
      const theirs = role === 'listener' ? 1 : 2;

      peer.send({ type: OPEN, session: theirs, meta: { name: 'theirs' } });

      expect(written(peer)).toEqual([`OPENED s=${theirs}`]);
      expect([peer.side.status, message.outcome]).toEqual(['open', 'pending']);
      expect(peer.side.sessions.map(({ status }) => status)).toEqual(['open', 'open']);
    }
  });

  it('7.8 –: dialer: the application closes, or gives up, before the first WELCOME', async () => {
    for (const [reconnect, code] of [
      [{}, 'IC_ERR_CLOSED'],
      [{ attempts: 1 }, 'IC_ERR_CONNECTION_REJECTED'],
    ] as const) {
      const listener = await RawListener.listen();
      const connection = createConnection({ ...listener.address, reconnect });
      afterTest(() => connection.close());
      const sent = failure(connection.openSession('s').send(Buffer.from('x'), { timeout: 0 }));
      const peer = await listener.accepted();
      await peer.frame(HELLO);

      if (code === 'IC_ERR_CLOSED') await connection.close();
      else peer.write(encodePreface(), frame({ type: CLOSE, meta: { code: Code.OVERLOADED } }));

      expect(await sent).toMatchObject({ code, executed: 'no' });
      expect(connection.status).toBe('closed');
      await peer.closed;
      expect(peer.frames.map(({ type }) => type)).not.toContain(OPEN);
    }
  });

  it('7.8 ATTACHED: CLOSE is written or read, of a code that ends the connection (§12.2)', () => {
    for (const code of [Code.OK, Code.PROTOCOL, Code.UNAUTHENTICATED, Code.FORBIDDEN, 0x8001]) {
      const read = attached('dialer', TOKEN);
      read.peer.send({ type: CLOSE, meta: { code } });
      expectEnded(read);

      const wrote = attached('listener', TOKEN);
      wrote.peer.side.close(code);
      wrote.peer.flush();
      expectEnded(wrote);
    }
    const wrong = attached('listener', TOKEN);
    wrong.peer.send({ type: SEND, session: 9, id: 1 });
    wrong.peer.expectClose(Code.PROTOCOL);
    expect(wrong.message.outcome).toBe('failed protocol maybe');
    expect(wrong.peer.side.connection.canResume(2)).toBe(false);
  });

  it('7.8 ATTACHED: CLOSE of another code, end or loss of the stream; TOKEN was given', () => {
    for (const role of roles) {
      for (const code of [Code.IDLE, Code.SUPERSEDED, Code.OVERLOADED]) {
        const closed = attached(role, TOKEN);
        closed.peer.send({ type: CLOSE, meta: { code } });
        expectDetached(closed);
      }
      const lost = attached(role, TOKEN);
      lost.peer.side.lose();
      expectDetached(lost);
    }
  });

  it('7.8 ATTACHED: the same, and TOKEN was not given', () => {
    for (const role of roles) {
      const closed = attached(role, undefined);
      closed.peer.send({ type: CLOSE, meta: { code: Code.IDLE } });
      const lost = attached(role, undefined);
      lost.peer.side.lose();
      for (const scene of [closed, lost]) expectEnded(scene);
    }
  });

  it('7.8 ATTACHED, DETACHED: listener: a resume that passes the checks of §17.5', async () => {
    const { peer, message } = attached('listener', TOKEN);
    peer.side.lose();
    expect(resume(peer, 1)).toEqual([
      expect.stringMatching(/^WELCOME .* resumed received=1/),
      'SEND s=2 id=1 1 B',
    ]);
    expect([peer.side.status, message.outcome]).toEqual(['open', 'pending']);

    // While the former socket is there, the listener fences the connection.
    const listener = await listening({ idleTimeout: 0 });
    const former = await RawPeer.dial(tcpAddressOf(listener));
    former.greet(OFFER);
    const { token } = (await former.frame(WELCOME)).meta;
    const newer = await RawPeer.dial(tcpAddressOf(listener));
    newer.greet({ ...OFFER, resume: { token: token!.token, received: 0 } });
    expect((await newer.frame(WELCOME)).meta.resumed).toBe(0);
    expect((await former.frame(CLOSE)).meta.code).toBe(Code.SUPERSEDED);
    expect(listener.connections.size).toBe(1);
  });

  it('7.8 DETACHED: dialer: WELCOME with RESUMED', () => {
    const { peer, message } = attached('dialer', TOKEN);
    peer.side.lose();

    expect(resume(peer, 1)).toEqual([
      expect.stringMatching(/^HELLO .* resume received=1/),
      'SEND s=1 id=1 1 B',
    ]);

    expect([peer.side.status, message.outcome]).toEqual(['open', 'pending']);
  });

  it('7.8 DETACHED: dialer: WELCOME with a RESUMED of an impossible count', () => {
    const scene = attached('dialer', TOKEN);
    scene.peer.side.lose();

    resume(scene.peer, 3);

    scene.peer.expectClose(Code.PROTOCOL);
    expectEnded(scene);
  });

  it('7.8 DETACHED: dialer: WELCOME without RESUMED', async () => {
    const { connection, sent, attempt } = await detached();

    const peer = await attempt();
    expect((await peer.frame(HELLO)).meta.resume).toMatchObject({ received: 1 });
    peer.write(encodePreface(), frame({ type: WELCOME, meta: { ...LIMITS, token: TOKEN } }));

    expect(await sent).toMatchObject({ code: 'IC_ERR_CONNECTION_LOST', executed: 'maybe' });
    expect(connection.status).toBe('open');
  });

  it('7.8 DETACHED: dialer: CLOSE instead of WELCOME, no socket, no answer', async () => {
    const scene = await detached({ handshakeTimeout: 1000 });
    const { connection, sent, attempt } = scene;
    let isSettled = false;
    void sent.then(() => (isSettled = true));

    const refusing = await attempt();
    await refusing.frame(HELLO);
    refusing.write(encodePreface(), frame({ type: CLOSE, meta: { code: Code.OVERLOADED } }));
    (await attempt()).socket.destroy();
    const mute = await attempt();
    await mute.frame(HELLO);
    const last = await attempt();
    expect([connection.status, isSettled]).toEqual(['detached', false]);

    const resumed = next(connection, 'resume');
    await last.welcome({ ...OFFER, resumed: 2 });
    await resumed;
    expect([connection.status, isSettled]).toEqual(['open', false]);
  });

  it('7.8 DETACHED: listener: the resume time is over', async () => {
    const clock = new ManualClock();
    const listener = await listening({ clock, idleTimeout: 0, resumeTimeout: 1000 });
    const accepted = next(listener, 'connection');
    const peer = await RawPeer.open(tcpAddressOf(listener), OFFER);
    const [connection] = await accepted;
    const sent = failure(connection.openSession('s').send(Buffer.from('x'), { timeout: 0 }));
    peer.send({ type: OPENED, session: (await peer.frame(OPEN)).session });
    await peer.frame(SEND);
    peer.socket.destroy();
    await until(() => connection.status === 'detached');

    clock.advance(999);
    expect(connection.status).toBe('detached');
    clock.advance(1);

    expect(await sent).toMatchObject({ code: 'IC_ERR_CONNECTION_LOST', executed: 'maybe' });
    await until(() => connection.status === 'closed');
  });

  it('7.8 DETACHED: the application closes, or gives up', async () => {
    const closing = await detached();
    await closing.connection.close();
    expect(await closing.sent).toMatchObject({ code: 'IC_ERR_CLOSED', executed: 'maybe' });
    expect(closing.connection.status).toBe('closed');

    const giving = await detached({ reconnect: { attempts: 1 } });
    (await giving.attempt()).socket.destroy();
    expect(await giving.sent).toMatchObject({ code: 'IC_ERR_CONNECTION_LOST', executed: 'maybe' });
    expect(giving.connection.status).toBe('closed');
  });
});

interface Detached {
  readonly connection: Connection;
  readonly session: Session;
  /** How the message fails that was written before the socket was lost. */
  readonly sent: Promise<InterconnectError>;
  /** The socket of the next attempt. */
  readonly attempt: () => Promise<RawPeer>;
}

/** A dialer that has lost its socket, and makes an attempt as its clock moves. */
async function detached(options: object = {}): Promise<Detached> {
  const { connection, clock, sockets, listener } = await raw(options);
  const peer = await sockets();
  const session = connection.openSession('s');
  const sent = failure(session.send(Buffer.from('x'), { timeout: 0 }));
  peer.send({ type: OPENED, session: (await peer.frame(OPEN)).session });
  await peer.frame(SEND);
  await until(() => session.status === 'open');
  peer.socket.destroy();
  await next(connection, 'detach');
  const attempt = async (): Promise<RawPeer> => {
    const accepted = listener.accepted();
    let isHere = false;
    void accepted.then(() => (isHere = true));
    await until(() => {
      clock.advance(10);
      return isHere;
    });
    return accepted;
  };
  return { connection, session, sent, attempt };
}
