/** Messages and sessions that are given up before anything of them is written: the other side never hears of them. */
import { describe, expect, it } from '@jest/globals';
import { DEFAULT_LIMITS, type Failure } from '../../../src/protocol/index.js';
import { limitsToMeta } from '../../../src/protocol/flow/limits.js';
import { RevocableQueue } from '../../../src/protocol/output/revocable-queue.js';
import {
  Capability,
  creditPayload,
  encodeFrame,
  encodePreface,
  Flag,
  FrameType,
  type Meta,
} from '../../../src/wire/index.js';
import type { SimSend } from '../../support/sim/sim-application.js';
import { SimPair } from '../../support/sim/sim-pair.js';
import { SimPeer } from '../../support/sim/sim-peer.js';

const { WELCOME, CREDIT, OPENED, GOAWAY, PING, ACCEPT, END } = FrameType;
const TOKEN = { token: Buffer.alloc(32, 7), ttl: 60_000 };
const OFFLINE: Failure = { kind: 'idle', executed: 'maybe', message: 'No socket.' };

/** A dialer with an open session 1, at the other side's end in the hand of the test. */
function opened(limits: Partial<typeof DEFAULT_LIMITS> = {}): SimPeer {
  const peer = new SimPeer('dialer', { token: TOKEN });
  const meta = limitsToMeta({ ...DEFAULT_LIMITS, ...limits });
  peer.greet({ ...meta, caps: Capability.RESUME, token: TOKEN });
  peer.side.session('test');
  peer.flush();
  peer.send({ type: OPENED, session: 1 });
  peer.lines();
  return peer;
}

/** The connection goes on with another socket. What it writes upon that, but for the handshake and CREDIT. */
function resumed(peer: SimPeer, received: number, meta: Meta = {}, room = Infinity): string[] {
  const { side } = peer;
  side.renew();
  peer.flush();
  side.room = room;
  const limits = limitsToMeta(DEFAULT_LIMITS);
  peer.greet({ ...limits, caps: Capability.RESUME, resumed: received, ...meta });
  return butCredit(peer.lines());
}

const butCredit = (lines: string[]): string[] =>
  lines.filter((line) => !/^(?:CREDIT|HELLO|WELCOME)/u.test(line));

describe('A message that is given up before it is written [IC-10.9]', () => {
  it.each([
    ['by its caller', (_peer: SimPeer, send: SimSend) => send.cancel()],
    ['by its deadline', (peer: SimPeer) => peer.advance(100)],
  ])('%s while there is no socket, never runs', (_how, giveUp) => {
    const peer = opened();
    const [session] = peer.side.sessions;
    peer.side.lose();
    const sends = [undefined, 100, undefined].map((timeout, index) =>
      session!.send(`${index}`, timeout === undefined ? {} : { timeout }),
    );

    giveUp(peer, sends[1]!);

    expect(sends[1]!.failure.executed).toBe('no');
    expect(resumed(peer, 1)).toEqual(['SEND s=1 id=1 1 B', 'SEND s=1 id=2 1 B']);
    peer.send(
      { type: ACCEPT, session: 1, id: 1, flags: Flag.REPLY },
      { type: ACCEPT, session: 1, id: 2, flags: Flag.REPLY },
    );
    expect(sends.map(({ outcome }) => outcome)).toEqual([
      'accepted',
      expect.stringMatching(/^failed (?:cancelled|timeout) no$/u),
      'accepted',
    ]);
  });

  it('may have run if a socket took it, even though that was lost', () => {
    const peer = opened();
    const send = peer.side.sessions[0]!.send('x');
    peer.flush();
    peer.side.lose();

    send.cancel();

    expect(send.outcome).toBe('failed cancelled maybe');
    peer.lines();
    expect(resumed(peer, 1)).toEqual(['SEND s=1 id=1 1 B', 'CANCEL s=1 id=1']);
  });

  it('while the socket takes nothing, gives its credit to the next', () => {
    const peer = opened({ messages: 2 });
    const [session] = peer.side.sessions;
    peer.side.room = 0;
    const sends = ['1', '2', '3', '4'].map((text) => session!.send(text));
    peer.flush();

    sends[0]!.cancel();
    sends[1]!.cancel();
    peer.side.drain();
    peer.flush();

    expect(butCredit(peer.lines())).toEqual(['SEND s=1 id=1 1 B', 'SEND s=1 id=2 1 B']);
    expect(sends.map(({ outcome }) => outcome).slice(2)).toEqual(['pending', 'pending']);
  });

  it('gives its octets back to its session and to the connection', () => {
    const bytes = 200_000;
    const peer = opened({ sessionBytes: bytes, connectionBytes: bytes, maxMessage: 60_000 });
    const [session] = peer.side.sessions;
    const other = peer.side.session('other');
    peer.flush();
    peer.lines();
    const before = peer.side.connection.sendWindow.room;
    peer.side.lose();
    const sends = Array.from({ length: 40 }, () => session!.send(Buffer.alloc(7000)));
    const blocked = other.send(Buffer.alloc(7000));

    for (const send of sends) send.cancel();

    expect(peer.side.connection.sendWindow.room).toBe(before);
    expect(resumed(peer, 2)).toEqual(['SEND s=3 id=1 7000 B']);
    expect(blocked.outcome).toBe('pending');
    for (let index = 0; index < 20; index++) session!.send(Buffer.alloc(7000));
    peer.flush();
    expect(butCredit(peer.lines())).toHaveLength(20);
  });

  it('as a stream, asks nothing of its source', () => {
    const peer = opened();
    const [session] = peer.side.sessions;
    const send = session!.send('', { items: ['1', '2'] });

    send.cancel();
    peer.flush();

    expect([send.outcome, send.source?.given]).toEqual(['failed cancelled no', 0]);
    session!.end();
    peer.flush();
    expect(butCredit(peer.lines())).toEqual(['END s=1']);
  });

  it('as a large message, gives way to those behind it', () => {
    const peer = opened();
    const [session] = peer.side.sessions;
    const large = session!.send(Buffer.alloc(100_000));
    session!.send('behind');

    large.cancel();
    peer.flush();

    expect(butCredit(peer.lines())).toEqual(['SEND s=1 id=1 6 B']);
  });

  it('is not kept, however many are given up', () => {
    const peer = opened({ messages: 8 });
    const [session] = peer.side.sessions;
    peer.side.lose();
    session!.send('stays in the output');
    for (let round = 0; round < 1000; round++) {
      const sends = Array.from({ length: 20 }, () => session!.send('given up'));
      for (const send of sends) send.cancel();
    }

    expect(session!.machine.sender.unsettled).toBe(1);
    expect(resumed(peer, 1)).toEqual(['SEND s=1 id=1 19 B']);
  });

  it.each([
    ['waits for credit', 0],
    ['waits in the output', 8],
  ])('because there is no socket, if it %s', (_where, messages) => {
    const peer = opened({ messages });
    const [session] = peer.side.sessions;
    peer.side.lose();
    const sends = ['1', '2', '3'].map((text) => session!.send(text));
    const oneWay = session!.send('4', { oneWay: true });

    peer.side.connection.giveUpUnwritten(
      () => undefined,
      (message) => (message === sends[1] ? undefined : OFFLINE),
    );

    expect([...sends, oneWay].map(({ outcome }) => outcome)).toEqual([
      'failed idle no',
      'pending',
      'failed idle no',
      'failed idle no',
    ]);
    expect(session!.status).toBe('open');
  });

  it('goes elsewhere when the other side drains, and is not written here', () => {
    const peer = opened();
    const [session] = peer.side.sessions;
    const sends = [session!.send('1'), session!.send('2', { oneWay: true })];
    const large = session!.send(Buffer.alloc(100_000));

    peer.send({ type: GOAWAY });

    expect([...sends, large].map(({ outcome }) => outcome)).toEqual([
      'failed draining no',
      'failed draining no',
      'failed draining no',
    ]);
    expect(butCredit(peer.lines())).toEqual([]);
  });

  it('with its session, is not written for a session that is over', () => {
    const peer = opened();
    const [session] = peer.side.sessions;
    const send = session!.send('x');

    peer.send({ type: END, session: 1, meta: { code: 0x8001 } });

    expect(send.outcome).toBe('failed session-closed no');
    expect(butCredit(peer.lines())).toEqual(['END s=1']);
  });
});

describe('A session that is given up before OPEN is written [IC-10.9]', () => {
  it('leaves no trace, and its place goes to another', () => {
    const peer = opened({ sessions: 2 });
    peer.side.lose();
    const given = peer.side.session('given up', { timeout: 50 });
    const waiting = peer.side.session('waits');
    const send = given.send('x');

    peer.side.connection.giveUpUnwritten(
      (session) => (session === given.machine ? OFFLINE : undefined),
      () => undefined,
    );

    expect([given.status, send.outcome]).toEqual(['closed idle', 'failed idle no']);
    expect(resumed(peer, 1)).toEqual(['OPEN s=5 name="waits"']);
    expect(waiting.status).toBe('opening');
  });

  it('with an END behind it, leaves no trace either', () => {
    const peer = opened();
    const session = peer.side.session('short');
    session.send('x', { oneWay: true });
    session.end();

    peer.send({ type: GOAWAY });

    expect(session.status).toBe('closed draining');
    expect(butCredit(peer.lines())).toEqual([]);
  });

  it('is not counted as executed when the connection ends', () => {
    const peer = opened();
    peer.side.lose();
    const session = peer.side.session('new');

    peer.side.connection.fail(OFFLINE, false);

    expect(session.closed?.failure).toMatchObject({ kind: 'idle', executed: 'no' });
  });
});

describe("A session's time [IC-10.6]", () => {
  it('does not run while there is no socket', () => {
    const peer = opened();
    peer.side.lose();
    const session = peer.side.session('new', { timeout: 100 });
    const send = session.send('x', { timeout: 5000 });
    peer.advance(4000);

    const lines = resumed(peer, 1);

    expect(lines).toEqual([
      'OPEN s=3 deadline=100ms name="new"',
      'SEND s=3 id=1 deadline=1000ms 1 B',
    ]);
    peer.advance(99);
    expect(session.status).toBe('opening');
    peer.advance(1);
    expect([session.status, send.outcome]).toEqual([
      'closed session-timeout',
      'failed session-timeout maybe',
    ]);
  });

  it('goes on, once OPEN is written, while there is no socket [IC-10.5]', () => {
    const peer = opened();
    const session = peer.side.session('new', { timeout: 100 });
    peer.flush();
    peer.side.lose();

    peer.advance(100);

    expect(session.status).toBe('closed session-timeout');
  });

  it('leaves its place in the line to others when it is over', () => {
    const peer = opened({ sessions: 1 });
    const sessions = [100, Infinity].map((timeout) => peer.side.session('waits', { timeout }));
    peer.flush();
    peer.advance(100);

    peer.send({ type: CREDIT, payload: creditPayload(2, 64 * 1024 * 1024) });

    expect(sessions.map(({ status }) => status)).toEqual(['closed session-timeout', 'opening']);
    expect(butCredit(peer.lines())).toEqual(['OPEN s=3 name="waits"']);
  });

  it('runs while it waits only for a place, and says so', () => {
    const peer = opened({ sessions: 1 });
    const session = peer.side.session('one too many', { timeout: 100 });
    const send = session.send('x');
    peer.flush();

    peer.advance(100);

    expect(session.closed?.failure).toMatchObject({ kind: 'session-timeout', executed: 'no' });
    expect(session.closed?.failure?.message).toContain(
      'allows 1 sessions at once (its maxSessions)',
    );
    expect(send.outcome).toBe('failed session-timeout no');
  });

  it('starts when the socket comes, if it waits for a place', () => {
    const peer = opened({ sessions: 1 });
    peer.side.lose();
    const session = peer.side.session('one too many', { timeout: 100 });
    peer.advance(1000);
    expect(session.status).toBe('opening');

    resumed(peer, 1);
    peer.advance(100);

    expect(session.status).toBe('closed session-timeout');
  });
});

describe('A side whose other side drains', () => {
  it('answers the PING behind what it writes again on another socket [IC-12.5]', () => {
    const peer = opened();
    const [session] = peer.side.sessions;
    for (let index = 0; index < 20; index++) session!.send('x'.repeat(500));
    peer.flush();
    peer.lines();
    const { side } = peer;
    side.lose();
    side.renew();
    peer.flush();
    side.room = 1000;
    const meta = { ...limitsToMeta(DEFAULT_LIMITS), caps: Capability.RESUME, resumed: 1 };
    side.receive(Buffer.concat([encodePreface(), encodeFrame({ type: WELCOME, meta })]));
    side.flush();
    side.receive(Buffer.concat([GOAWAY, PING].map((type) => encodeFrame({ type }))));
    side.flush();
    peer.flush();

    const lines = butCredit(peer.lines());
    expect(lines.filter((line) => line.startsWith('SEND'))).toHaveLength(20);
    expect(lines.at(-1)).toBe('PONG token=0');
  });
});

describe('Both sides', () => {
  it('agree on ids, however many messages are given up in between [IC-4.6]', () => {
    const pair = SimPair.open({ limits: { messages: 4 } });
    const { dialer, listener } = pair.join();
    pair.listener.onMessage = (message) => void message.respond(message.text);
    const sends = Array.from({ length: 60 }, (_, index) => dialer.send(`${index}`));
    for (const [index, send] of sends.entries()) if (index % 3 === 1) send.cancel();

    pair.run();

    const outcomes = sends.map((_, index) =>
      index % 3 === 1 ? 'failed cancelled no' : `accepted "${index}"`,
    );
    expect(sends.map(({ outcome }) => outcome)).toEqual(outcomes);
    expect(listener.messages).toHaveLength(40);
  });
});

describe('RevocableQueue', () => {
  const item = (name: number) => ({ name, isRevoked: false });

  it('passes revoked items over, and counts the others', () => {
    const queue = new RevocableQueue<ReturnType<typeof item>>();
    const items = Array.from({ length: 5 }, (_, index) => item(index));
    for (const each of items) queue.push(each);
    for (const index of [0, 1, 3]) {
      items[index]!.isRevoked = true;
      queue.onRevoked();
    }

    expect([queue.size, queue.peek()?.name]).toEqual([2, 2]);
    expect([...queue].map(({ name }) => name)).toEqual([2, 4]);
    expect([queue.shift()?.name, queue.shift()?.name, queue.shift()]).toEqual([2, 4, undefined]);
    expect(queue.size).toBe(0);
  });

  it('lets go of revoked items by itself when they are the most', () => {
    const queue = new RevocableQueue<ReturnType<typeof item>>();
    const first = item(-1);
    queue.push(first);
    const given = Array.from({ length: 100 }, (_, index) => item(index));
    for (const each of given) {
      queue.push(each);
      each.isRevoked = true;
      queue.onRevoked();
    }
    for (const each of given) each.isRevoked = false;

    // What the queue still holds would come back now.
    expect([...queue].length).toBeLessThan(40);
  });

  it('has nothing revoked after `discardRevoked`', () => {
    const queue = new RevocableQueue<ReturnType<typeof item>>();
    const items = [item(0), item(1)];
    for (const each of items) queue.push(each);
    items[0]!.isRevoked = true;
    queue.onRevoked();

    queue.discardRevoked();
    items[0]!.isRevoked = false;

    expect(queue.drain().map(({ name }) => name)).toEqual([1]);
  });
});
