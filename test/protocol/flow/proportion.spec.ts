/** Work in proportion to what arrives: a small frame does not make this side look at all that waits. Steps are counted. */
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { DEFAULT_LIMITS } from '../../../src/protocol/index.js';
import { type BlockedSender, BlockedSenders } from '../../../src/protocol/flow/blocked-senders.js';
import { SendWindow } from '../../../src/protocol/flow/windows.js';
import { SessionMachine } from '../../../src/protocol/session/session.js';
import { SessionReceiver } from '../../../src/protocol/session/session-receiver.js';
import { SessionSender } from '../../../src/protocol/session/session-sender.js';
import { creditPayload, Flag, FrameType } from '../../../src/wire/index.js';
import { Random } from '../../support/random.js';
import { SimSend } from '../../support/sim/sim-application.js';
import { SimPair } from '../../support/sim/sim-pair.js';
import { SimPeer } from '../../support/sim/sim-peer.js';

const KIB = 1024;

afterEach(() => {
  jest.restoreAllMocks();
});

describe('CREDIT for the connection', () => {
  it('octet by octet touches only the sessions that can go on', () => {
    const sessions = 200;
    const bytes = 33_000;
    const peer = SimPeer.greeted('listener', {}, { connectionBytes: bytes, maxFrame: 16 * KIB });
    for (let at = 0; at < sessions; at++) {
      const session = 2 * at + 1;
      peer.send({ type: FrameType.OPEN, session, meta: { name: `${at}` } });
      peer.send({ type: FrameType.SEND, session, id: 1 });
    }
    for (const session of peer.side.incoming) session.last.respond(Buffer.alloc(1000));
    peer.flush();
    const answered = peer.lines().filter((line) => line.startsWith('ACCEPT')).length;
    const pump = jest.spyOn(SessionSender.prototype, 'pump');

    for (let more = 1; more <= 1500; more++) credit(peer, bytes + more);

    const later = peer.lines().filter((line) => line.startsWith('ACCEPT')).length;
    expect([answered, later]).toEqual([33, 1]);
    expect(pump.mock.calls.length).toBeLessThanOrEqual(2);
  });
});

describe('BlockedSenders', () => {
  it('lets each sender go on as soon as it can, and looks at no other', () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    const random = new Random(seed);
    const blocked = new BlockedSenders();
    const window = new SendWindow(0);
    const pumped: TestSender[] = [];
    const senders = Array.from({ length: 100 }, () => new TestSender(pumped));
    let limit = 0;
    for (let step = 0; step < 3000; step++) {
      const sender = random.pick(senders)!;
      const need = limit + random.integer(1, 500);
      if (random.chance(0.1)) {
        blocked.delete(sender);
        sender.need = Infinity;
      } else if (random.chance(0.7)) {
        blocked.add(sender, need);
        sender.need = Math.min(sender.need, need);
      }
      limit += random.integer(0, 40);
      window.raise(limit);
      const able = senders.filter((each) => each.need <= limit);

      blocked.onRoom();
      blocked.pump(window);

      const called = pumped.splice(0);
      if (called.length !== able.length || !able.every((each) => called.includes(each))) {
        throw new Error(`Seed ${seed}, step ${step}: ${called.length} instead of ${able.length}.`);
      }
      const needs = called.map((each) => each.need);
      expect(needs).toEqual([...needs].sort((one, other) => one - other));
      for (const each of called) each.need = Infinity;
    }
  });

  it('asks a sender again only when there is what it then needs', () => {
    const blocked = new BlockedSenders();
    const window = new SendWindow(10);
    const needs = [30, 20];
    const pump = jest.fn(() => {
      const need = needs.shift();
      if (need !== undefined) blocked.add(sender, need);
    });
    const sender: BlockedSender = { pump, waits: undefined };
    blocked.add(sender, 5);

    for (let limit = 10; limit <= 30; limit++) {
      window.raise(limit);
      blocked.onRoom();
      blocked.pump(window);
    }

    expect(pump).toHaveBeenCalledTimes(3);
  });

  it('forgets all senders, which can wait again', () => {
    const blocked = new BlockedSenders();
    const pumped: TestSender[] = [];
    const senders = Array.from({ length: 5 }, () => new TestSender(pumped));
    for (const sender of senders) blocked.add(sender, 1);

    blocked.clear();
    blocked.add(senders[3]!, 1);
    blocked.onRoom();
    blocked.pump(new SendWindow(1));

    expect(pumped).toEqual([senders[3]]);
  });
});

describe('Messages that come back from a former connection', () => {
  it('find their place among those that wait without a walk over the queue', () => {
    const peer = SimPeer.greeted('dialer', { queue: { messages: 10_000 } }, { messages: 1 });
    const session = peer.side.session('test');
    peer.flush();
    peer.send({ type: FrameType.OPENED, session: 1 });
    const first = Array.from({ length: 500 }, () => session.send('early', { oneWay: true }));
    const back = first.slice(1);
    for (const send of back) send.cancel();
    for (let count = 0; count < 500; count++) session.send('late', { oneWay: true });
    let reads = 0;

    const returned = back.map(({ order }) => {
      const send = new SimSend(session, Buffer.from('early'), { oneWay: true });
      Object.defineProperty(send, 'order', {
        get: () => {
          reads += 1;
          return order;
        },
      });
      session.machine.send(send);
      return send;
    });
    const sum = reads;
    credit(peer, 1_000_000, 2000);

    expect(sum).toBeLessThanOrEqual(6 * returned.length);
    const sent = peer.lines().filter((line) => line.startsWith('SEND'));
    expect(sent).toHaveLength(1000);
    expect(sent[400]).toContain('5 B');
    expect(sent[600]).toContain('4 B');
  });
});

describe('A drain', () => {
  it('looks for the session that it waits for, and not at all sessions for each settlement', () => {
    const pair = SimPair.open();
    const sessions = Array.from({ length: 40 }, (_, at) => pair.dialer.session(`${at}`));
    const sends = sessions.flatMap((session) =>
      Array.from({ length: 25 }, () => session.send('x')),
    );
    pair.run();
    const looks = jest.spyOn(SessionMachine.prototype, 'unsettled', 'get');

    pair.listener.connection.drain();
    pair.run();
    looks.mockClear();
    for (const { messages } of pair.listener.incoming) {
      for (const message of messages) {
        message.accept();
        pair.run();
      }
    }

    expect(sends.every(({ outcome }) => outcome === 'accepted')).toBe(true);
    expect(looks.mock.calls.length).toBeLessThan(4 * sends.length);
  });
});

describe('A memory that is nearly full of unfinished messages', () => {
  it('is looked through once for each few KiB that arrive', () => {
    const limits = { connectionBytes: 256 * KIB, maxFrame: 16 * KIB, maxMessage: 128 * KIB };
    const peer = SimPeer.greeted('listener', { limits });
    peer.send({ type: FrameType.OPEN, session: 1, meta: { name: 'running' } });
    peer.send({ type: FrameType.SEND, session: 1, id: 1, payload: Buffer.alloc(12 * KIB) });
    const payload = Buffer.alloc(16 * KIB);
    for (let at = 1; at < 15; at++) {
      const session = 2 * at + 1;
      peer.send({ type: FrameType.OPEN, session, meta: { name: `${at}` } });
      peer.send({ type: FrameType.SEND, session, id: 1, flags: Flag.MORE, payload });
    }
    const looks = jest.spyOn(SessionReceiver.prototype, 'unfinished');

    for (let at = 15; at < 500; at++) {
      const session = 2 * at + 1;
      peer.send({ type: FrameType.OPEN, session, meta: { name: `${at}` } });
      peer.send({ type: FrameType.SEND, session, id: 1, payload: Buffer.alloc(20) });
    }

    expect(looks.mock.calls.length).toBeLessThanOrEqual(10 * 500);
  });
});

/** A CREDIT for the connection, or one for session 1 that allows `messages`; `bytes` octets in all. */
function credit(peer: SimPeer, bytes: number, messages?: number): void {
  const opens = DEFAULT_LIMITS.sessions;
  if (messages === undefined) {
    peer.send({ type: FrameType.CREDIT, payload: creditPayload(opens, bytes) });
  } else {
    peer.send({ type: FrameType.CREDIT, session: 1, payload: creditPayload(messages, bytes) });
  }
}

class TestSender implements BlockedSender {
  waits: BlockedSender['waits'];
  need = Infinity;
  readonly #pumped: TestSender[];

  constructor(pumped: TestSender[]) {
    this.#pumped = pumped;
  }

  pump(): void {
    this.#pumped.push(this);
  }
}
