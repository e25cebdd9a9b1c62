/** The table of PROTOCOL.md, §7.1: one socket, from its preface to its end. */
import { describe, expect, it } from '@jest/globals';
import { EndpointClock } from '../../../src/endpoint/common/endpoint-clock.js';
import { OUTSIDE } from '../../../src/endpoint/common/scope.js';
import { Driver } from '../../../src/endpoint/socket/driver.js';
import { MemorySocket } from '../../../src/endpoint/socket/memory-socket.js';
import {
  DEFAULT_LIMITS,
  type Greeting,
  type ListenerEffects,
  ListenerHandshake,
} from '../../../src/protocol/index.js';
import { limitsToMeta } from '../../../src/protocol/flow/limits.js';
import {
  Capability,
  Code,
  EMPTY,
  encodeFrame,
  encodePreface,
  FrameType,
  type Meta,
} from '../../../src/wire/index.js';
import type { FrameInit } from '../../support/codec/frame-log.js';
import { until } from '../../support/events.js';
import { ManualClock } from '../../support/sim/manual-clock.js';
import { SimPeer } from '../../support/sim/sim-peer.js';
import { closeAfter, written } from './scenes.js';

const { HELLO, WELCOME, PING, GOAWAY, CLOSE, OPEN, SEND, CREDIT } = FrameType;
const LIMITS: Meta = limitsToMeta(DEFAULT_LIMITS);
const TOKEN = { token: Buffer.alloc(32, 7), ttl: 60_000 };
const RESUMABLE: Meta = { ...LIMITS, caps: Capability.RESUME };
const IGNORABLE = { type: 0x8a };
const HANDSHAKE_TIMEOUT = 10_000;
const STALL_TIMEOUT = 30_000;
const IDLE = 5000;
const roles = ['listener', 'dialer'] as const;
type Role = (typeof roles)[number];
type Options = ConstructorParameters<typeof SimPeer>[1];

/** A machine in PREFACE. A dialer has written its preface and HELLO. */
function fresh(role: Role, options: Options = {}): SimPeer {
  const peer = new SimPeer(role, options);
  peer.lines();
  return peer;
}

function greeting(role: Role): SimPeer {
  const peer = fresh(role);
  peer.bytes(encodePreface());
  return peer;
}

/** A listener whose application has not decided. */
function judging(): SimPeer {
  const peer = fresh('listener');
  peer.side.onHandshake = () => undefined;
  peer.greet();
  return peer;
}

/** A machine in OPEN. Without `idle`, it waits for ever for the next octet of the peer. */
function open(role: Role, idle = 0): SimPeer {
  return SimPeer.greeted(role, { limits: { idle } }, { idle: 0 });
}

/** The machine has closed, and the other side has not ended the stream. */
function closing(): SimPeer {
  const peer = open('listener');
  peer.side.close();
  peer.flush();
  peer.expectClose(Code.OK);
  peer.lines();
  return peer;
}

/** OPEN: it answers a PING. */
function expectOpen(peer: SimPeer): void {
  expect(peer.side.status).toBe('open');
  peer.lines();
  peer.send({ type: PING, id: 5 });
  expect(peer.lines()).toEqual(['PONG token=5']);
}

/** CLOSING: CLOSE with this code is the last frame, and what still comes is discarded. */
function expectClosing(peer: SimPeer, code: number): void {
  peer.expectClose(code);
  expect(peer.side.aborted).toBe(false);
  expectNothingMore(peer);
}

/** CLOSED: the stream is ended or destroyed, without a CLOSE of this side. */
function expectClosed(peer: SimPeer, how: 'ended' | 'aborted'): void {
  expect([peer.side.ended, peer.side.aborted]).toEqual([how === 'ended', how === 'aborted']);
  expect([written(peer), peer.closeCode]).toEqual([[], undefined]);
  expectNothingMore(peer);
}

function expectNothingMore(peer: SimPeer): void {
  const { status } = peer.side;
  peer.lines();
  peer.bytes(encodePreface(), encodeFrame({ type: PING, id: 5 }), Buffer.alloc(64, 0xff));
  peer.advance(10 * HANDSHAKE_TIMEOUT);
  expect([peer.lines(), peer.side.status]).toEqual([[], status]);
}

describe('A socket [IC-7.1]', () => {
  it('7.1 PREFACE: a wrong octet', () => {
    for (const role of roles) {
      const peer = fresh(role);

      peer.bytes(encodePreface().subarray(0, 4), Buffer.from('?'));

      expect(peer.side.status).toBe('closed protocol no');
      expectClosed(peer, 'aborted');
    }
  });

  it('7.1 PREFACE: eight octets, listener', () => {
    const peer = fresh('listener');
    expect(peer.side.log.octets).toBe(0);
    peer.bytes(encodePreface(9));
    expect([peer.side.log.version, peer.lines()]).toEqual([1, []]);
    peer.send({ type: HELLO, meta: LIMITS });
    expectOpen(peer);

    const zero = fresh('listener');
    zero.bytes(encodePreface(0));
    expect(zero.side.log.version).toBe(1);
    expectClosing(zero, Code.VERSION);
  });

  it('7.1 PREFACE: eight octets, dialer (it has sent preface and HELLO)', () => {
    const peer = new SimPeer('dialer');
    expect([peer.side.log.version, peer.lines()]).toEqual([1, [expect.stringMatching(/^HELLO /)]]);
    peer.bytes(encodePreface());
    expect(peer.lines()).toEqual([]);
    peer.send({ type: WELCOME, meta: LIMITS });
    expectOpen(peer);

    const other = fresh('dialer');
    other.bytes(encodePreface(2));
    expectClosing(other, Code.VERSION);
  });

  it('7.1 PREFACE: handshake timeout', () => {
    for (const role of roles) {
      const peer = fresh(role);
      peer.bytes(encodePreface().subarray(0, 7));

      peer.advance(HANDSHAKE_TIMEOUT);

      expect(peer.side.status).toBe('closed handshake-timeout no');
      expectClosed(peer, 'aborted');
    }
  });

  it('7.1 PREFACE: the application closes', () => {
    for (const role of roles) {
      const peer = fresh(role);
      peer.bytes(encodePreface().subarray(0, 7));

      peer.side.close(0x8001);
      peer.flush();

      expect(peer.side.status).toBe('closed');
      expectClosed(peer, 'aborted');
    }
  });

  it('7.1 GREETING: HELLO, listener', () => {
    const peer = greeting('listener');
    let judged = 0;
    peer.side.onHandshake = () => void (judged += 1);

    peer.send({ type: HELLO, meta: { ...LIMITS, agent: 'me' } });

    expect([judged, peer.side.greeting?.agent, peer.lines()]).toEqual([1, 'me', []]);
    expect(peer.side.handshake.isJudging).toBe(true);
  });

  it('7.1 GREETING: WELCOME, dialer', () => {
    const peer = greeting('dialer');
    peer.send({ type: WELCOME, meta: LIMITS });
    expectOpen(peer);

    const unasked = greeting('dialer');
    unasked.send({ type: WELCOME, meta: { ...LIMITS, resumed: 0 } });
    expectClosing(unasked, Code.PROTOCOL);

    const back = fresh('dialer', { token: TOKEN });
    back.greet({ ...RESUMABLE, token: TOKEN });
    back.side.lose();
    back.side.renew();
    back.flush();
    back.greet({ ...RESUMABLE, resumed: 5 });
    expectClosing(back, Code.PROTOCOL);
  });

  it('7.1 GREETING: CLOSE', () => {
    for (const role of roles) {
      const peer = greeting(role);

      peer.send({ type: CLOSE, meta: { code: Code.OVERLOADED } });

      expect(peer.side.status).toBe('closed connection-rejected no');
      expect(() => peer.side.connection).toThrow('no connection');
      expectClosed(peer, 'ended');
    }
  });

  it('7.1 GREETING: any other frame, of ignorable type too', () => {
    const others: FrameInit[] = [
      IGNORABLE,
      { type: PING },
      { type: GOAWAY },
      { type: OPEN, session: 1, meta: { name: 'a' } },
      { type: SEND, session: 1, id: 1 },
      { type: CREDIT, payload: Buffer.alloc(8) },
    ];
    for (const role of roles) {
      const wrongWay = { type: role === 'listener' ? WELCOME : HELLO, meta: LIMITS };
      for (const frame of [...others, wrongWay]) {
        const peer = greeting(role);
        peer.send(frame);
        expectClosing(peer, Code.STATE);
      }
    }
  });

  it('7.1 JUDGING: the application accepts', () => {
    const peer = judging();

    peer.side.accept();
    peer.flush();

    expect(peer.lines()).toEqual([expect.stringMatching(/^WELCOME /)]);
    expectOpen(peer);
  });

  it('7.1 JUDGING: the application refuses', () => {
    const peer = judging();

    peer.side.handshake.refuse(Code.FORBIDDEN, 'not you', EMPTY);
    peer.flush();

    expect(peer.side.status).toBe('closed connection-rejected no');
    expectClosing(peer, Code.FORBIDDEN);
  });

  it('7.1 JUDGING: CLOSE', () => {
    const peer = judging();

    peer.send({ type: CLOSE, meta: { code: Code.OK } });

    expectClosed(peer, 'ended');
    peer.side.accept();
    expect(() => peer.side.connection).toThrow('no connection');
  });

  it('7.1 JUDGING: any other frame, of ignorable type too', () => {
    for (const frame of [IGNORABLE, { type: PING }, { type: HELLO, meta: LIMITS }]) {
      const peer = judging();
      peer.send(frame);
      expectClosing(peer, Code.STATE);
    }
  });

  it('7.1 GREETING, JUDGING: handshake timeout', () => {
    for (const peer of [greeting('listener'), greeting('dialer'), judging()]) {
      peer.advance(HANDSHAKE_TIMEOUT - 1);
      expect(peer.lines()).toEqual([]);
      peer.advance(1);

      expectClosing(peer, Code.HANDSHAKE_TIMEOUT);
    }
  });

  it('7.1 GREETING, JUDGING: the application closes', () => {
    for (const code of [Code.OK, 0x8001]) {
      for (const peer of [greeting('listener'), greeting('dialer'), judging()]) {
        peer.side.close(code);
        peer.flush();

        expect(peer.side.status).toBe('closed');
        expectClosing(peer, code);
      }
    }
  });

  it('7.1 GREETING, JUDGING, OPEN: any other violation', () => {
    const type = (role: Role): number => (role === 'listener' ? HELLO : WELCOME);
    for (const role of roles) {
      const malformed = greeting(role);
      malformed.send({ type: type(role), meta: {} });
      expectClosing(malformed, Code.META);

      const unopened = open(role);
      unopened.send({ type: SEND, session: 9, id: 1 });
      expectClosing(unopened, Code.PROTOCOL);
    }
    for (const peer of [greeting('listener'), judging(), open('dialer')]) {
      peer.bytes(Buffer.alloc(64, 0xff));
      expectClosing(peer, Code.FRAME_SIZE);
    }
  });

  it('7.1 OPEN: HELLO, WELCOME', () => {
    for (const role of roles) {
      for (const type of [HELLO, WELCOME]) {
        const peer = open(role);
        peer.send({ type, meta: LIMITS });
        expectClosing(peer, Code.STATE);
      }
    }
  });

  it('7.1 OPEN: silence of IDLE', () => {
    const peer = open('listener', IDLE);
    peer.advance(IDLE - 1);
    expectOpen(peer);
    peer.advance(IDLE - 1);
    expect(peer.lines()).toEqual([]);

    peer.advance(1);

    expectClosing(peer, Code.IDLE);
  });

  it('7.1 OPEN: the application closes', () => {
    for (const code of [Code.OK, 0x8001]) {
      const peer = open('listener');

      peer.side.close(code);
      peer.flush();

      expect(peer.side.status).toBe('closed');
      expectClosing(peer, code);
    }
  });

  it('7.1 OPEN: CLOSE', () => {
    for (const code of [Code.OK, Code.IDLE, 0x8001]) {
      const peer = open('dialer');

      peer.send({ type: CLOSE, meta: { code } });

      expectClosed(peer, 'ended');
    }
  });

  it('7.1 OPEN: another socket resumes the connection, listener', () => {
    const peer = fresh('listener', { token: TOKEN });
    peer.greet(RESUMABLE);
    peer.lines();

    peer.side.machine.supersede(peer.clock.now());
    peer.flush();

    expect(written(peer)).toEqual(['CLOSE code=SUPERSEDED']);
    expect([peer.side.ended, peer.side.lost?.code]).toEqual([true, Code.SUPERSEDED]);
    // What still comes on this socket does not count.
    peer.send({ type: OPEN, session: 1, meta: { name: 'a' } });
    expect([peer.side.incoming, peer.side.connection.received]).toEqual([[], 0]);
  });

  it('7.1 OPEN: nothing can be written for 30 s', () => {
    const peer = open('listener');
    peer.side.session('a');
    peer.side.room = 0;
    peer.flush();

    peer.advance(STALL_TIMEOUT - 1);
    expect([peer.side.aborted, peer.side.status]).toEqual([false, 'open']);
    peer.advance(1);

    expect(peer.side.status).toBe('closed idle maybe');
    expectClosed(peer, 'aborted');
  });

  it('7.1 OPEN: a frame is incomplete, and none has become complete for 30 s (§11)', () => {
    const peer = open('listener');
    const ping = encodeFrame({ type: PING, id: 1 });
    peer.bytes(ping.subarray(0, 3));
    peer.advance(STALL_TIMEOUT - 1);
    expect(peer.closeCode).toBeUndefined();
    // A frame becomes complete, and the next one does not.
    peer.bytes(Buffer.concat([ping.subarray(3), ping.subarray(0, 3)]));
    peer.advance(STALL_TIMEOUT - 1);
    expect(peer.closeCode).toBeUndefined();
    peer.advance(STALL_TIMEOUT + 1);

    expectClosing(peer, Code.STALLED);
  });

  it('7.1 every state but CLOSING: end of the stream, or its loss', () => {
    const before = [fresh('listener'), greeting('listener'), greeting('dialer'), judging()];
    for (const peer of [...before, open('listener'), open('dialer')]) {
      peer.lines();

      peer.side.lose();

      expect(peer.side.status).toMatch(/^closed connection-lost (?:no|maybe)$/);
      expect([peer.side.aborted, written(peer)]).toEqual([false, []]);
      expectNothingMore(peer);
    }
  });

  it('7.1 CLOSING: octets', () => {
    const peer = closing();

    peer.send({ type: OPEN, session: 1, meta: { name: 'a' } }, { type: HELLO, meta: LIMITS });
    peer.send({ type: CLOSE, meta: { code: Code.OK } });
    peer.bytes(Buffer.alloc(100, 0xff));

    expect([peer.lines(), peer.side.aborted]).toEqual([[], false]);
    expect([peer.side.incoming, peer.side.connection.received]).toEqual([[], 0]);
    expect(closeAfter(peer, { type: PING })).toBe('OK');
  });

  it('7.1 CLOSING: end of the stream, or 1 s after CLOSE', async () => {
    const [patient, ended] = [refused(), refused()];
    await until(() => [patient, ended].every(({ socket }) => socket.writableEnded));
    expect([patient, ended].map(({ socket }) => socket.destroyed)).toEqual([false, false]);

    patient.clock.advance(999);
    expect(patient.socket.destroyed).toBe(false);
    patient.clock.advance(1);
    expect(patient.socket.destroyed).toBe(true);

    ended.socket.peer.resume().end();
    await until(() => ended.socket.destroyed);
    expect(ended.clock.pending).toBe(0);
  });
});

/** A listener in CLOSING, with the socket that it is to destroy. */
function refused(): { socket: MemorySocket; clock: ManualClock } {
  const socket = new MemorySocket();
  const clock = new ManualClock();
  const own: Greeting = { limits: DEFAULT_LIMITS, agent: 'a', data: EMPTY, canResume: false };
  const effects: ListenerEffects = {
    handshake: () => handshake.refuse(Code.FORBIDDEN, '', EMPTY),
    begin: () => {
      throw new Error('A connection begins.');
    },
    open: () => undefined,
  };
  const handshake = new ListenerHandshake(effects, own);
  const settings = { handshake, handshakeTimeout: HANDSHAKE_TIMEOUT };
  void new Driver(socket, settings, new EndpointClock(clock, OUTSIDE), {
    onFailed: () => undefined,
  });
  socket.peer.write(encodePreface());
  socket.peer.write(encodeFrame({ type: HELLO, meta: LIMITS }));
  return { socket, clock };
}
