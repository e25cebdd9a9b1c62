/** What waits to be written when this side closes the connection: only what begins nothing still leaves, before CLOSE. */
import { describe, expect, it } from '@jest/globals';
import { DEFAULT_LIMITS } from '../../../src/protocol/index.js';
import { limitsToMeta } from '../../../src/protocol/flow/limits.js';
import { Capability, Flag, FrameType } from '../../../src/wire/index.js';
import { SimPair } from '../../support/sim/sim-pair.js';
import { SimPeer } from '../../support/sim/sim-peer.js';

const CLOSE = 'CLOSE code=OK text=""';
const NOT_RUN = 'failed connection-closed no';
const PERHAPS = 'failed connection-closed maybe';
const TOKEN = { token: Buffer.alloc(32, 7), ttl: 60_000 };

describe('A message that waits when the connection is closed', () => {
  it.each([
    ['that takes octets', false],
    ['that takes nothing', true],
  ])('never leaves on a socket %s, and has not run [IC-12.9] [IC-10.9]', (_socket, isBlocked) => {
    const pair = SimPair.open({ limits: { messages: 3 } });
    const { dialer, listener } = pair.join();
    pair.dialer.log.lines();
    if (isBlocked) pair.dialer.room = 0;
    const sends = [
      dialer.send('a request'),
      dialer.send('an event', { oneWay: true }),
      dialer.send('an event that nobody has copied', { oneWay: true, isCopied: false }),
      dialer.send('no credit'),
      pair.dialer.session('other').send(Buffer.alloc(1_000_000)),
    ];
    if (isBlocked) pair.run();

    pair.dialer.close();
    const outcomes = sends.map(({ outcome }) => outcome);
    pair.dialer.drain();
    pair.run();

    expect(outcomes).toEqual(sends.map(() => NOT_RUN));
    expect(pair.dialer.log.lines()).toEqual([CLOSE]);
    expect(listener.messages).toEqual([]);
    expect(pair.listener.status).toBe('closed');
  });

  it('fails with those that have left, in the order of sending', () => {
    const pair = SimPair.open();
    const { dialer } = pair.join();
    const told: string[] = [];
    const sends = ['1', '2', '3', '4'].map((text, index) => {
      if (index === 2) pair.run();
      const send = dialer.send(text);
      send.onResult = () => told.push(`${text} ${send.outcome}`);
      return send;
    });

    pair.dialer.close();

    expect(told).toEqual([`1 ${PERHAPS}`, `2 ${PERHAPS}`, `3 ${NOT_RUN}`, `4 ${NOT_RUN}`]);
    expect(sends).toHaveLength(4);
  });

  it('is told once, however often the connection is closed', () => {
    const pair = SimPair.open();
    const { dialer } = pair.join();
    pair.dialer.log.lines();
    const send = dialer.send('x');
    const results: string[] = [];
    send.onResult = () => {
      results.push(send.outcome);
      pair.dialer.close();
    };

    pair.dialer.close();
    pair.dialer.close();
    pair.run();
    pair.dialer.close();

    expect(results).toEqual([NOT_RUN]);
    expect(pair.dialer.log.lines()).toEqual([CLOSE]);
  });

  it('tells what left, after whichever frame the connection is closed', () => {
    // The first two are the OPENs, the last is not to be reached.
    for (let frames = 0; frames <= 10; frames++) {
      const pair = SimPair.open();
      const sessions = [pair.dialer.session('a'), pair.dialer.session('b')];
      const sends = [0, 1, 2, 3, 4, 5, 6].map((index) =>
        sessions[index % 2]!.send(`${index}`, { oneWay: index % 3 === 2 }),
      );
      pair.dialer.room = 1;
      for (let count = 0; count < frames; count++) pair.there.flush();

      pair.dialer.close();
      pair.run();

      const left = pair.dialer.log.frames.filter(({ type }) => type === FrameType.SEND);
      const ran = left.map(({ payload }) => payload.toString());
      expect(left).toHaveLength(Math.max(0, Math.min(frames - 2, sends.length)));
      for (const [index, { oneWay, outcome }] of sends.entries()) {
        const whatLeft = oneWay ? 'sent' : PERHAPS;
        expect(outcome).toBe(ran.includes(`${index}`) ? whatLeft : NOT_RUN);
      }
    }
  });

  it.each([0, 1, 7])('tells what left where the end of message %d closes amid the frames', (at) => {
    const pair = SimPair.open();
    const { dialer, listener } = pair.join();
    const sends = Array.from({ length: 8 }, () => dialer.send('x', { oneWay: true }));
    const opening = pair.dialer.session('late');
    sends[at]!.onResult = () => pair.dialer.close();

    pair.run();

    expect(sends.map(({ outcome }) => outcome)).toEqual(
      sends.map((_, index) => (index <= at ? 'sent' : NOT_RUN)),
    );
    expect(listener.messages).toHaveLength(at + 1);
    expect(opening.status).toBe('closed connection-closed');
    expect(pair.listener.incoming).toHaveLength(1);
  });

  it('lets its caller begin nothing in a session that is told later', () => {
    const pair = SimPair.open();
    const [one, other, later] = [pair.join('1'), pair.join('2'), pair.dialer.session('3')];
    pair.dialer.log.lines();
    const inOther = other.dialer.send('with credit');
    const again: string[] = [];
    one.dialer.send('x').onResult = () => {
      again.push(other.dialer.send('again').outcome, later.send('again').outcome);
      inOther.cancel();
      later.machine.end();
    };

    pair.dialer.close();
    pair.run();

    expect(again).toEqual(['failed session-closed no', 'failed session-closed no']);
    expect(inOther.outcome).toBe(NOT_RUN);
    expect(pair.dialer.log.lines()).toEqual([CLOSE]);
  });
});

describe('A session that waits when the connection is closed', () => {
  it('is never heard of, and neither is its end [IC-12.9]', () => {
    const pair = SimPair.open();
    const session = pair.dialer.session('a');
    const empty = pair.dialer.session('b');
    const sends = [session.send('1'), session.send('2', { oneWay: true })];
    session.machine.end();

    pair.dialer.close();
    pair.run();

    expect(pair.dialer.log.lines()).toEqual([CLOSE]);
    expect(sends.map(({ outcome }) => outcome)).toEqual([NOT_RUN, NOT_RUN]);
    for (const { closed } of [session, empty]) {
      expect(closed?.failure).toMatchObject({ kind: 'connection-closed', executed: 'no' });
    }
  });

  it('ends in order before CLOSE where its OPEN has left', () => {
    const pair = SimPair.open();
    const { dialer } = pair.join();
    pair.dialer.log.lines();
    const send = dialer.send('x');
    dialer.machine.end();

    pair.dialer.close();
    pair.run();

    expect(pair.dialer.log.lines()).toEqual(['END s=1', CLOSE]);
    expect(send.outcome).toBe(NOT_RUN);
  });
});

describe('A large message when the connection is closed', () => {
  it.each([
    ['half written has not run', 100_000, false, NOT_RUN, NOT_RUN],
    ['half written may have run once its answer has begun', 100_000, true, PERHAPS, NOT_RUN],
    ['written whole may have run', 1_000_000, false, PERHAPS, PERHAPS],
  ])('%s [IC-12.13]', (_what, room, isAnswered, outcome, behind) => {
    const peer = SimPeer.greeted('dialer');
    const session = peer.side.session('test');
    peer.flush();
    peer.send({ type: FrameType.OPENED, session: 1 });
    const send = session.send(Buffer.alloc(300_000), { takesItems: true });
    const next = session.send('behind it');
    peer.side.room = room;
    peer.side.flush();
    peer.side.room = 0;
    if (isAnswered) peer.send({ type: FrameType.ITEM, session: 1, id: 1, flags: Flag.REPLY });
    const before = peer.lines();

    peer.side.close();
    peer.side.drain();
    peer.flush();

    expect(before.some((line) => line.startsWith('SEND s=1 id=1'))).toBe(true);
    expect([send.outcome, next.outcome]).toEqual([outcome, behind]);
    expect(peer.lines()).toEqual([CLOSE]);
  });
});

describe('What a lost socket took with it', () => {
  it('is written again before CLOSE, and nothing new is [IC-12.9]', () => {
    const peer = new SimPeer('dialer', { token: TOKEN });
    const meta = { ...limitsToMeta(DEFAULT_LIMITS), caps: Capability.RESUME };
    peer.greet({ ...meta, token: TOKEN });
    const session = peer.side.session('test');
    const event = session.send('an event', { oneWay: true });
    const request = session.send('a request');
    peer.flush();
    peer.side.lose();
    const late = [session.send('late'), session.send('late', { oneWay: true })];
    peer.lines();
    peer.side.renew();
    peer.flush();
    peer.side.room = 0;
    peer.greet({ ...meta, resumed: 1 });
    peer.lines();

    peer.side.close();
    peer.side.drain();
    peer.flush();

    expect(peer.lines()).toEqual(['SEND s=1 id=1 ONEWAY 8 B', 'SEND s=1 id=2 9 B', CLOSE]);
    expect([event, request, ...late].map(({ outcome }) => outcome)).toEqual([
      'sent',
      PERHAPS,
      NOT_RUN,
      NOT_RUN,
    ]);
  });
});

describe('An answer that is ready when the connection is closed', () => {
  it('leaves before CLOSE with all its items, behind what was to begin [IC-12.9]', () => {
    const pair = SimPair.open();
    const { dialer, listener } = pair.join();
    const asked = dialer.send('?', { takesItems: true });
    pair.run();
    pair.listener.log.lines();
    const own = listener.send('a request');
    listener.last.stream(['1', '2']);

    pair.listener.close();
    pair.run();

    expect(asked.texts).toEqual(['1', '2']);
    expect(asked.outcome).toBe('accepted');
    expect(own.outcome).toBe(NOT_RUN);
    expect(dialer.messages).toEqual([]);
  });

  it('leaves before CLOSE with all others, also if they are more than a side keeps for a replay', () => {
    const count = 2_500;
    const limits = { messages: count, sessionBytes: LARGE, connectionBytes: LARGE };
    const pair = SimPair.open({ limits });
    const { dialer, listener } = pair.join();
    const asked = Array.from({ length: count }, () => dialer.send('?'));
    pair.run();
    const payload = Buffer.alloc(8_000);

    for (const message of listener.messages) message.respond(payload);
    pair.listener.close();
    pair.run();

    for (const { outcome } of asked) expect(outcome).toMatch(/^accepted/);
  });
});

const LARGE = 64 * 1024 * 1024;
