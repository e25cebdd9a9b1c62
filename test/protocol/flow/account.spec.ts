import { describe, expect, it } from '@jest/globals';
import {
  ENTRY_PRICE,
  ITEM_PRICE,
  MESSAGE_PRICE,
  SESSION_PRICE,
  STREAM_PRICE,
  ThreadBudget,
} from '../../../src/protocol/flow/account.js';
import { DEFAULT_LIMITS } from '../../../src/protocol/index.js';
import { limitsToMeta } from '../../../src/protocol/flow/limits.js';
import {
  Capability,
  Code,
  creditPayload,
  encodeFrame,
  Flag,
  FrameType,
} from '../../../src/wire/index.js';
import type { FrameInit } from '../../support/codec/frame-log.js';
import { SimPair } from '../../support/sim/sim-pair.js';
import { SimPeer } from '../../support/sim/sim-peer.js';
import type { SideOptions, SimSide } from '../../support/sim/sim-side.js';

const { OPEN, SEND, ITEM, ACCEPT, CREDIT, FRAG } = FrameType;
const MIB = 1024 * 1024;

/** A peer that has opened session 1 at a listener whose handlers do not end. */
function opened(options: SideOptions = {}): SimPeer {
  const peer = new SimPeer('listener', options);
  peer.greet({ ...limitsToMeta(DEFAULT_LIMITS), caps: Capability.RESUME });
  peer.side.onMessage = () => undefined;
  peer.send({ type: OPEN, session: 1, meta: { name: 'a' } });
  peer.lines();
  return peer;
}

/** Octets that the connection of a side holds beside its idle sessions. */
function heldBy(side: SimSide): number {
  const { account } = side.connection;
  return account.held - side.sessions.length * SESSION_PRICE;
}

function sends(count: number, frame: Partial<FrameInit> = {}, from = 1): FrameInit[] {
  return Array.from({ length: count }, (_, at) => ({
    type: SEND,
    session: 1,
    id: from + at,
    ...frame,
  }));
}

/** Sends empty items of message 1 in one chunk. */
function items(peer: SimPeer, count: number): void {
  const item = encodeFrame({ type: ITEM, session: 1, id: 1 });
  peer.bytes(Buffer.alloc(count * item.length, item));
}

function acknowledge(peer: SimPeer): void {
  const { length } = [...peer.side.connection.output.sent.units()];
  const id = peer.side.connection.output.sent.acknowledged + length;
  peer.send({ type: CREDIT, id, payload: creditPayload(0, 0) });
}

const metadata = Array.from({ length: 64 }, (): [string, string] => ['n', 'v']);

describe('The account of a connection counts', () => {
  it('a message of 64 metadata entries by its objects, until its handler has ended', () => {
    const peer = opened();
    const idle = peer.side.connection.account.held;

    peer.burst(sends(100, { meta: { metadata } }));
    const each = (heldBy(peer.side) - (idle - SESSION_PRICE)) / 100;
    expect(each).toBeGreaterThan(MESSAGE_PRICE + 64 * ENTRY_PRICE);
    for (const message of peer.side.last.messages) message.accept();
    peer.flush();

    // The peer has acknowledged nothing: the settlements are kept, and the requests are not.
    expect(peer.side.connection.account.held - idle).toBe(100 * MESSAGE_PRICE);
    const kept = peer.side.last.messages.map(({ incoming }) => incoming);
    expect(kept.every((one) => one.metadata === undefined && one.data.length === 0)).toBe(true);
    expect(kept.every((one) => one.abortListener === undefined)).toBe(true);

    acknowledge(peer);
    expect(heldBy(peer.side)).toBe(0);
  });

  it('empty items that nobody reads, until they are read', () => {
    const peer = opened({ limits: { items: 1000 } });
    peer.send({ type: SEND, session: 1, id: 1, flags: Flag.STREAM });
    const before = heldBy(peer.side);

    items(peer, 500);
    expect(heldBy(peer.side) - before).toBe(500 * ITEM_PRICE);

    peer.side.last.last.read(200);
    expect(heldBy(peer.side) - before).toBe(300 * ITEM_PRICE);
    peer.side.last.last.accept();
    peer.flush();
    acknowledge(peer);
    // The stream is remembered for late items.
    expect(heldBy(peer.side)).toBe(STREAM_PRICE);
  });

  it('the data of OPEN, as long as the session has its place', () => {
    const peer = opened();
    const idle = peer.side.connection.account.held;
    const payload = Buffer.alloc(56 * 1024);

    peer.burst(
      Array.from({ length: 20 }, (_, at) => ({
        type: OPEN,
        session: 3 + 2 * at,
        meta: { name: 'a' },
        payload,
      })),
    );
    const frames = [...peer.side.connection.output.sent.units()].length;
    const { account } = peer.side.connection;
    expect(account.held - idle).toBeGreaterThanOrEqual(20 * (payload.length + SESSION_PRICE));
    expect(frames).toBe(21);

    for (const { machine } of peer.side.sessions.slice(1)) machine.end();
    peer.flush();
    const ends = Array.from({ length: 20 }, (_, at) => ({
      type: FrameType.END,
      session: 3 + 2 * at,
    }));
    peer.burst(ends);
    acknowledge(peer);
    expect(account.held).toBe(SESSION_PRICE);
  });

  it('fragments of requests, and answers that the peer does not take', () => {
    const peer = opened();
    const room = peer.side.room;
    peer.side.room = 0;
    peer.send({ type: SEND, session: 1, id: 1, flags: Flag.MORE, payload: Buffer.alloc(5000) });
    peer.send({ type: FRAG, session: 1, id: 1, flags: Flag.MORE, payload: Buffer.alloc(5000) });
    const { account } = peer.side.connection;
    const before = account.held;
    expect(heldBy(peer.side)).toBeGreaterThanOrEqual(10_000 + MESSAGE_PRICE);

    peer.send({ type: FRAG, session: 1, id: 1, payload: Buffer.alloc(5000) });
    expect(account.held - before).toBe(5000);
    peer.side.last.last.respond(Buffer.alloc(20_000));
    expect(account.held - before).toBe(20_000 - 10_000);

    peer.side.room = room;
    peer.flush();
    acknowledge(peer);
    expect(heldBy(peer.side)).toBe(0);
  });

  it('nothing when all is done, in both directions', () => {
    const pair = SimPair.open();
    const limits = { metadata: metadata.slice(0, 3) };
    pair.listener.onMessage = (message) => {
      message.readAll();
      if (message.id % 3 === 0) message.stream([Buffer.alloc(90_000), 'b', '']);
      else if (message.id % 3 === 1) message.respond(Buffer.alloc(100_000));
      else message.reject(Code.REFUSED, 'no');
    };
    const session = pair.dialer.session('a');
    const all = Array.from({ length: 30 }, (_, at) =>
      session.send(Buffer.alloc(at * 1000), {
        ...limits,
        takesItems: true,
        ...(at % 2 === 0 && { items: ['x', Buffer.alloc(70_000)] }),
      }),
    );
    pair.run();
    expect(all.every(({ result }) => result !== undefined)).toBe(true);
    session.end();
    pair.listener.last.end();
    pair.run();
    // Acknowledgements may come late.
    pair.advance(1000);

    expect(pair.dialer.connection.account.held).toBe(0);
    expect(pair.listener.connection.account.held).toBe(0);
  });
});

describe('A connection that holds much', () => {
  const limits = { connectionBytes: MIB, maxMessage: 64 * 1024, sessionBytes: MIB, items: 2 ** 20 };

  it('grants no credit for messages, then refuses them with BUSY, then ends with CALM', () => {
    const peer = opened({ limits: { ...limits, messages: 10 } });
    const credits = (): number =>
      peer.lines().filter((line) => line.includes('CREDIT') && line.includes('session=1')).length;
    peer.send({ type: SEND, session: 1, id: 1, flags: Flag.STREAM });
    peer.side.onMessage = (message) => void message.accept();
    items(peer, (18 * MIB) / ITEM_PRICE);
    peer.lines();

    // Tight: the handlers run, and their places are not granted again.
    peer.burst(sends(6, {}, 2));
    expect(peer.side.last.messages).toHaveLength(7);
    expect(credits()).toBe(0);

    items(peer, (16 * MIB) / ITEM_PRICE);
    peer.lines();
    peer.send(...sends(1, {}, 8));
    expect(peer.side.last.messages).toHaveLength(7);
    expect(peer.lines().join()).toContain('BUSY');

    items(peer, (32 * MIB) / ITEM_PRICE);
    peer.expectClose(Code.CALM);
    expect(peer.side.log.frames.at(-1)?.meta.text).toMatch(
      /holds \d+ bytes of memory, and may hold/,
    );
  });

  it('grants the credit when it holds less', () => {
    const peer = opened({ limits: { ...limits, messages: 10 } });
    peer.send({ type: SEND, session: 1, id: 1, flags: Flag.STREAM });
    const { last } = peer.side.last;
    peer.side.onMessage = (message) => void message.accept();
    items(peer, 150_000);
    peer.burst(sends(9, {}, 2));
    peer.lines();

    last.read();
    peer.flush();

    expect(peer.lines().join('\n')).toMatch(/CREDIT.*19/);
    peer.burst(sends(9, {}, 11));
    expect(peer.side.closed).toBeUndefined();
  });

  it('has at most 1 window of unfinished answers to its own calls', () => {
    const peer = SimPeer.greeted('listener', { limits });
    peer.send({ type: OPEN, session: 1, meta: { name: 'a' } });
    const calls = Array.from({ length: 40 }, () => peer.side.last.send('x'));
    peer.flush();
    const { account } = peer.side.connection;
    for (const { id } of calls) {
      const total = 64 * 1024;
      const flags = Flag.REPLY | Flag.MORE;
      const payload = Buffer.alloc(60_000);
      peer.send({ type: ACCEPT, session: 1, id, flags, meta: { total }, payload });
      expect(account.held).toBeLessThan(2 * MIB);
    }

    const given = calls.filter(({ outcome }) => outcome === 'failed too-large yes');
    expect(given).toHaveLength(40 - Math.floor(MIB / 60_000));
    expect(given[0]?.failure.message).toContain('connectionWindow');
    for (const { id } of calls) {
      peer.send({ type: FRAG, session: 1, id, flags: Flag.REPLY, payload: Buffer.alloc(5536) });
    }
    expect(calls.filter(({ outcome }) => outcome.startsWith('accepted'))).toHaveLength(
      40 - given.length,
    );
    acknowledge(peer);
    expect(heldBy(peer.side)).toBe(0);
  });
});

describe('The budget of a thread', () => {
  function crowd(count: number, limit: number): { budget: ThreadBudget; peers: SimPeer[] } {
    const budget = new ThreadBudget(limit);
    const token = { token: Buffer.alloc(32), ttl: 1000 };
    const peers = Array.from({ length: count }, () => opened({ budget, token }));
    return { budget, peers };
  }

  /** Sends a message that never becomes whole. */
  function unfinished(peer: SimPeer, octets: number): void {
    const frame = { session: 1, id: 1, flags: Flag.MORE };
    const payload = Buffer.alloc(50_000);
    peer.send({ type: SEND, ...frame, payload });
    for (let left = octets; left > 0; left -= payload.length)
      peer.send({ type: FRAG, ...frame, payload });
  }

  it('ends the largest holder, and frees its memory at once; the others go on', () => {
    const { budget, peers } = crowd(4, 4 * MIB);
    let exceeded = 0;
    budget.effects = { exceeded: () => (exceeded += 1) };
    const [large, honest] = [peers[2]!, peers[0]!];
    honest.send(...sends(3));
    unfinished(peers[1]!, MIB);
    unfinished(large, 4 * MIB);
    expect(exceeded).toBe(1);

    budget.freeMemory();
    large.flush();

    large.expectClose(Code.CALM);
    expect(large.side.closed?.failure?.message).toContain('memoryLimit');
    expect(budget.held).toBeLessThan(2 * MIB);
    expect(peers.map(({ side }) => side.status)).toEqual([
      'open',
      'open',
      'closed protocol maybe',
      'open',
    ]);
    for (const message of honest.side.last.messages) expect(message.accept()).toBe(true);
  });

  it('first drops the unfinished messages of connections without a socket', () => {
    const { budget, peers } = crowd(3, 4 * MIB);
    unfinished(peers[0]!, 2 * MIB);
    unfinished(peers[1]!, MIB);
    peers[0]!.side.lose('cut');
    unfinished(peers[2]!, 1.5 * MIB);

    budget.freeMemory();

    expect(peers[0]!.side.connection.isEnded).toBe(false);
    expect(peers[0]!.side.connection.account.held).toBeLessThan(10_000);
    expect(peers[1]!.side.status).toBe('open');
    expect(peers[2]!.side.status).toBe('open');
  });

  it('refuses new messages only of those that hold more than their share', () => {
    const { budget, peers } = crowd(2, 4 * MIB);
    unfinished(peers[0]!, 3.5 * MIB);
    peers[0]!.send({ type: OPEN, session: 3, meta: { name: 'b' } });
    peers[0]!.lines();

    peers[0]!.send({ type: SEND, session: 3, id: 1 });
    peers[1]!.send(...sends(2));

    expect(budget.isNearlyFull).toBe(true);
    expect(peers[0]!.lines().join()).toContain('BUSY');
    expect(peers[1]!.side.last.messages).toHaveLength(2);
  });

  it('holds nothing of connections that are over', () => {
    const { budget, peers } = crowd(3, 4 * MIB);
    for (const peer of peers) peer.send(...sends(3, { payload: Buffer.alloc(1000) }));
    const running = peers.flatMap(({ side }) => side.last.messages);
    for (const { side, clock } of peers)
      side.machine.close(Code.OK, '', Buffer.alloc(0), clock.now());
    expect(budget.held).toBe(0);
    for (const message of running) message.accept();
    expect(budget.held).toBe(0);
  });
});
