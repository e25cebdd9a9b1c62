import { describe, expect, it } from '@jest/globals';
import {
  advanceId,
  isAtMost,
  MAX_WINDOW,
  MessageWindow,
  ReceiveWindow,
  SendWindow,
} from '../../../src/protocol/flow/windows.js';
import { Code, Flag, FrameType, MAX_ID } from '../../../src/wire/index.js';
import { SimPair } from '../../support/sim/sim-pair.js';
import { SimPeer } from '../../support/sim/sim-peer.js';

describe('Message ids', () => {
  it('come round after 2^31 - 1, with nothing lost [IC-4.6]', () => {
    const pair = SimPair.open({ lastId: MAX_ID - 3, limits: { messages: 4 } });
    const { dialer, listener } = pair.join();
    listener.onHandle = (message) => void message.respond(message.text);

    const sends = Array.from({ length: 10 }, (_, at) => dialer.send(`${at}`));
    pair.run();

    expect(listener.messages.map(({ id }) => id)).toEqual([
      MAX_ID - 2,
      MAX_ID - 1,
      MAX_ID,
      1,
      2,
      3,
      4,
      5,
      6,
      7,
    ]);
    expect(sends.map(({ outcome }) => outcome)).toEqual(sends.map((_, at) => `accepted "${at}"`));
  });

  it('come round while messages on both sides of the wrap are unsettled', () => {
    const pair = SimPair.open({ lastId: MAX_ID - 2, limits: { messages: 8 } });
    const { dialer, listener } = pair.join();
    const sends = ['a', 'b', 'c', 'd'].map((text) => dialer.send(text));
    pair.run();

    sends[1]?.cancel();
    pair.run();
    for (const message of listener.messages.toReversed()) message.respond(message.text);
    pair.run();

    expect(listener.messages[1]?.aborted).toBe('cancelled');
    expect(sends.map(({ outcome }) => outcome)).toEqual([
      'accepted "a"',
      'failed cancelled maybe',
      'accepted "c"',
      'accepted "d"',
    ]);
  });

  it('are not used again while a message that bears them is unsettled [IC-4.7]', () => {
    const peer = SimPeer.greeted('listener');
    peer.send({ type: FrameType.OPEN, session: 1, meta: { name: 'a' } });
    const accept = { type: FrameType.ACCEPT, flags: Flag.REPLY, session: 1 };
    const { last } = peer.side;
    const stays = last.send('1');
    for (let id = 2; id <= 16; id++) last.send(`${id}`);
    peer.flush();
    for (let id = 2; id <= 16; id++) peer.send({ ...accept, id });

    // As though the ids had come round to that of the first: the table finds it where 17 would be.
    stays.id = 17;
    const next = last.send('next');
    peer.flush();
    expect([next.state, next.hasCredit]).toEqual(['QUEUED', false]);
    peer.send({ ...accept, id: 17 });

    expect(stays.outcome).toBe('accepted');
    expect(peer.lines().at(-1)).toBe('SEND s=1 id=17 4 B');
  });

  it('are taken back across the wrap', () => {
    const pair = SimPair.open({ lastId: MAX_ID });
    const { dialer, listener } = pair.join();
    const large = dialer.send(Buffer.alloc(100_000));

    large.cancel();
    dialer.send('x');
    pair.run();

    expect(listener.messages.map(({ id, text }) => [id, text])).toEqual([[1, 'x']]);
  });

  it('are counted on from any id', () => {
    expect([advanceId(0, 0), advanceId(0, 5), advanceId(MAX_ID - 1, 1)]).toEqual([0, 5, MAX_ID]);
    expect([advanceId(MAX_ID, 1), advanceId(MAX_ID - 2, 5)]).toEqual([1, 3]);
  });

  it('are allowed up to the limit, in serial order [IC-4.8]', () => {
    expect([1, 4, 5].map((id) => isAtMost(id, 4))).toEqual([true, true, false]);
    expect([MAX_ID, 1, 2, 3].map((id) => isAtMost(id, 2))).toEqual([true, true, true, false]);
    expect(isAtMost(1, 0)).toBe(false);
  });

  it('are granted across the wrap', () => {
    const window = new MessageWindow(4, MAX_ID - 2);
    expect([MAX_ID, 2, 3].map((id) => window.allows(id))).toEqual([true, true, false]);

    for (const id of [MAX_ID - 1, MAX_ID]) window.take(id);
    expect([window.free(), window.free()]).toEqual([false, true]);

    expect(window.grant()).toBe(4);
    expect([4, 5].map((id) => window.allows(id))).toEqual([true, false]);
  });
});

describe('Byte counters', () => {
  it('come round after 2^32, at both ends alike', () => {
    const size = 2 ** 29;
    const ours = new SendWindow(size);
    const theirs = new ReceiveWindow(size, 65_536);

    for (let turn = 0; turn < 20; turn++) {
      expect([ours.room, theirs.room]).toEqual([size, size]);
      ours.use(size);
      theirs.take(size, 'test');
      expect([ours.room, theirs.room, theirs.held]).toEqual([0, 0, size]);
      expect(theirs.free(size)).toBe(true);
      expect(ours.raise(theirs.grant())).toBe(true);
    }
  });

  it('know a limit that is lower from one that has come round [IC-4.9]', () => {
    const window = new SendWindow(2 ** 30);
    for (let turn = 1; turn <= 3; turn++) {
      window.use(2 ** 30);
      expect(window.raise((turn + 1) * 2 ** 30)).toBe(true);
    }
    window.use(2 ** 30);

    expect(window.raise(3 * 2 ** 30)).toBe(false);
    expect(window.raise(100)).toBe(true);
    expect(window.room).toBe(100);
  });

  it('take no limit further ahead than may be told apart', () => {
    const window = new SendWindow(1000);
    window.use(1000);

    expect(window.raise(1000 + MAX_WINDOW)).toBe(true);
    expect(() => window.raise(1001 + MAX_WINDOW)).toThrow(
      expect.objectContaining({ code: Code.FLOW }),
    );
  });

  it('refuse the first octet beyond the limit, across the wrap as well', () => {
    const window = new ReceiveWindow(2 ** 30, 65_536);
    for (let turn = 0; turn < 4; turn++) {
      window.take(2 ** 30, 'session');
      window.free(2 ** 30);
      window.grant();
    }

    window.take(2 ** 30, 'session');

    expect(() => window.take(1, 'session')).toThrow('1 bytes more arrived');
  });

  it('leave their reserve to settlements', () => {
    const window = new SendWindow(1000, 300);

    window.use(600);

    expect([window.room, window.requestRoom]).toEqual([400, 100]);
  });
});
