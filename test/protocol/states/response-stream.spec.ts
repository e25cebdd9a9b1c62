/** The tables of PROTOCOL.md, §7.7: the items of an answer, at the side that writes them and at the one that reads them. */
import { describe, expect, it } from '@jest/globals';
import { Flag, FrameType } from '../../../src/wire/index.js';
import type { FrameInit } from '../../support/codec/frame-log.js';
import type { SimPeer } from '../../support/sim/sim-peer.js';
import type { SendOptions, SimMessage } from '../../support/sim/sim-application.js';
import {
  ABORTED,
  answer,
  closeAfter,
  credit,
  end,
  itemCredit,
  LARGE,
  LEAST,
  MAX_MESSAGE,
  opened,
  pending,
  receiver,
  sending,
  type Sent,
  spendFloodBudget,
  theirs,
  written,
} from './scenes.js';

const { MORE, STREAM } = Flag;
const { SEND, FRAG, ITEM, ACCEPT, REJECT, CANCEL } = FrameType;
const TIME = 1000;
const handler = (peer: SimPeer): SimMessage => peer.side.last.last;

describe('The writer of a response stream [IC-7.7]', () => {
  const ROOM = credit(1, 0, 2 ** 20);

  /** A message whose handler runs, and has given as many of the items as it could. It does not settle by itself. */
  function flowing(items: (Buffer | string)[], rest: Partial<FrameInit> = {}): SimPeer {
    const peer = receiver();
    peer.send(theirs(SEND, 1, rest));
    handler(peer).stream(items, () => undefined);
    peer.flush();
    return peer;
  }

  /** The two items of credit are used; 'c' waits. */
  function waiting(): SimPeer {
    const peer = flowing(['a', 'b', 'c', 'd']);
    expect(written(peer)).toEqual(['ITEM s=1 id=1 REPLY 1 B', 'ITEM s=1 id=1 REPLY 1 B']);
    return peer;
  }

  /** One item has begun, and waits for the session's credit. */
  function partial(): SimPeer {
    const peer = flowing([LARGE, 'b']);
    expect(written(peer)[0]).toMatch(/^ITEM s=1 id=1 MORE REPLY total=300000 \d+ B$/);
    return peer;
  }

  /** OVER: no credit makes another frame of the stream leave. */
  function expectOver(peer: SimPeer): void {
    peer.send(itemCredit(1, 9, 0), ROOM);
    expect([written(peer), peer.closeCode]).toEqual([[], undefined]);
  }

  it('7.7 –: the handler starts', () => {
    const peer = pending();
    peer.send(theirs(SEND), itemCredit(1, 9, 0));
    expect(written(peer)).toEqual([]);
    peer.side.last.onHandle = (message) => void message.stream(['a'], () => undefined);

    peer.side.last.accept();
    peer.flush();

    expect(written(peer)).toEqual(['OPENED s=1', 'ITEM s=1 id=1 REPLY 1 B']);
  });

  it('7.7 FLOWING: an element; no item of it is unfinished, and there is credit', () => {
    const peer = waiting();
    peer.send(itemCredit(1, 3, 0));
    expect(written(peer)).toEqual(['ITEM s=1 id=1 REPLY 1 B']);

    const large = partial();
    large.send(ROOM);
    expect(written(large).slice(-2)).toEqual([
      expect.stringMatching(/^FRAG s=1 id=1 REPLY \d+ B$/),
      'ITEM s=1 id=1 REPLY 1 B',
    ]);
  });

  it('7.7 FLOWING: an element, and the item limit is 0', () => {
    const peer = receiver({}, { items: 0 });
    peer.send(theirs(SEND));

    handler(peer).stream(['a'], () => undefined);
    peer.flush();

    expect(written(peer)).toEqual(['REJECT s=1 id=1 REPLY code=REPLY_TOO_LARGE']);
    expect(handler(peer).accept()).toBe(false);
    expectOver(peer);
  });

  it('7.7 FLOWING: the handler settles', () => {
    const accepted = waiting();
    handler(accepted).accept();
    accepted.flush();
    expect(written(accepted)).toEqual(['ACCEPT s=1 id=1 REPLY STREAM']);
    expectOver(accepted);

    const empty = flowing([]);
    handler(empty).accept();
    empty.flush();
    expect(written(empty)).toEqual(['ACCEPT s=1 id=1 REPLY STREAM']);

    const rejected = partial();
    handler(rejected).reject(ABORTED);
    rejected.flush();
    expect(written(rejected)).toEqual([]);
    rejected.send(ROOM);
    expect(written(rejected).slice(-2)).toEqual([
      expect.stringMatching(/^FRAG s=1 id=1 REPLY \d+ B$/),
      'REJECT s=1 id=1 REPLY code=0x9001',
    ]);
  });

  it('7.7 FLOWING: the deadline is over, and no ITEM was written', () => {
    const peer = receiver();
    // Another message uses the credit of the session, and the item waits.
    peer.side.last.send(LARGE);
    peer.send(theirs(SEND, 1, { meta: { deadline: TIME } }));
    handler(peer).stream(['a'], () => undefined);
    peer.flush();
    expect(written(peer).filter((line) => line.startsWith('ITEM'))).toEqual([]);

    peer.advance(TIME);

    expect(written(peer)).toEqual(['REJECT s=1 id=1 REPLY code=DEADLINE']);
    peer.send(itemCredit(1, 9, 0), ROOM);
    expect(written(peer).filter((line) => line.startsWith('ITEM'))).toEqual([]);
  });

  it('7.7 FLOWING: CANCEL', () => {
    const peer = waiting();

    peer.send(theirs(CANCEL));

    expect([written(peer), handler(peer).aborted]).toEqual([[], 'cancelled']);
    expect(handler(peer).accept()).toBe(true);
    peer.flush();
    expect(written(peer)).toEqual(['ACCEPT s=1 id=1 REPLY STREAM']);
  });

  it('7.7 FLOWING: the session or the connection ends', () => {
    for (const peer of [waiting(), partial()]) {
      peer.send(end(1, ABORTED));
      expect(written(peer)).toEqual(['END s=1']);
      expectOver(peer);
    }
    const lost = waiting();
    lost.side.lose();
    expect(handler(lost).accept()).toBe(false);
    lost.flush();
    expect(written(lost)).toEqual([]);
  });

  it('7.7 every state: CREDIT without REPLY, for this message', () => {
    const going = waiting();
    going.send(itemCredit(1, 4, 0));
    expect(written(going)).toEqual(['ITEM s=1 id=1 REPLY 1 B', 'ITEM s=1 id=1 REPLY 1 B']);

    const over = waiting();
    handler(over).accept();
    over.flush();
    written(over);
    spendFloodBudget(over);
    over.send(itemCredit(1, 4, 0));
    expect([written(over), over.closeCode]).toEqual([[], undefined]);
  });
});

describe('The reader of a response stream [IC-7.7]', () => {
  const item = (text: string): FrameInit => answer(ITEM, { payload: Buffer.from(text) });
  const begun = answer(ITEM, { flags: MORE, meta: { total: 8192 }, payload: LEAST });
  const rest = answer(FRAG, { payload: LEAST });
  const accepted = answer(ACCEPT, { flags: STREAM });
  const held = ({ peer }: Sent): number => peer.side.connection.receiveWindow.held;

  /** A message whose answer has these items. The application takes none of them by itself. */
  function flowing(items: FrameInit[], options: SendOptions = {}): Sent {
    const scene = sending('x', options);
    scene.message.reads = false;
    scene.peer.send(...items);
    scene.peer.lines();
    return scene;
  }

  /** The application has given the message up, and CANCEL is written. */
  function dropped(...items: FrameInit[]): Sent {
    const scene = flowing(items);
    scene.message.cancel();
    scene.peer.flush();
    expect(written(scene.peer)).toEqual(['CANCEL s=2 id=1']);
    return scene;
  }

  /** Nothing is left to take, nothing is held, no credit is given. DROPPED ignores the next item; OVER closes by `next`. */
  function expectDropped(scene: Sent, next?: string): void {
    scene.message.read();
    scene.peer.flush();
    expect([scene.message.texts, held(scene)]).toEqual([[], 0]);
    expect(scene.peer.lines()).toEqual([]);
    expect(closeAfter(scene.peer, item('z'))).toBe(next);
    expect(held(scene)).toBe(next === undefined ? 0 : 1);
  }

  it('7.7 –: SEND is written', () => {
    const unsent = opened();
    expect(closeAfter(unsent.peer, item('a'))).toBe('PROTOCOL');

    for (const payload of ['x', LARGE]) {
      const scene = sending(payload);
      scene.peer.send(item('a'));
      expect([scene.message.texts, scene.peer.closeCode]).toEqual([['a'], undefined]);
    }
  });

  it('7.7 FLOWING: a whole item', () => {
    const { message, peer } = flowing([item('a'), begun]);
    expect(message.texts).toEqual([]);

    message.read();
    expect(message.texts).toEqual(['a']);
    peer.send(rest);
    message.read();

    expect(message.items.at(-1)).toHaveLength(8192);
    expect(message.outcome).toBe('pending');
  });

  it('7.7 FLOWING: the application takes an element', () => {
    const scene = flowing([item('a'), item('b')]);
    scene.message.read(1);
    scene.peer.flush();
    expect(scene.peer.lines()).toEqual([]);

    scene.message.read(1);
    scene.peer.flush();

    expect(scene.peer.lines()).toEqual(['CREDIT s=2 id=1 items=6']);
    expect(held(scene)).toBe(0);
  });

  it('7.7 FLOWING: an item exceeds the own MAX_MESSAGE', () => {
    const scene = flowing([answer(ITEM, { payload: Buffer.alloc(MAX_MESSAGE) })]);
    expect(scene.message.outcome).toBe('pending');

    scene.peer.send(answer(ITEM, { payload: Buffer.alloc(MAX_MESSAGE + 1) }));

    expect(written(scene.peer)).toEqual(['CANCEL s=2 id=1']);
    expect(scene.message.outcome).toBe('failed too-large yes');
    expectDropped(scene);
  });

  it('7.7 FLOWING, DROPPED: ACCEPT without STREAM, after an item', () => {
    for (const scene of [flowing([item('a')]), dropped(item('a'))]) {
      expect(closeAfter(scene.peer, answer(ACCEPT))).toBe('PROTOCOL');
    }
    expect(closeAfter(flowing([]).peer, answer(ACCEPT))).toBeUndefined();
  });

  it('7.7 FLOWING: ACCEPT with STREAM, or REJECT', () => {
    for (const settlement of [accepted, answer(REJECT)]) {
      const scene = flowing([item('a'), item('b')]);

      scene.peer.send(settlement);

      expect(scene.message.outcome).toBe(settlement === accepted ? 'accepted' : 'rejected FAILED');
      // The elements before the outcome are still there to be taken, and no more are allowed.
      scene.message.read();
      scene.peer.flush();
      expect([scene.message.texts, scene.peer.lines()]).toEqual([['a', 'b'], []]);
      expect(closeAfter(scene.peer, item('c'))).toBe('PROTOCOL');
    }
  });

  it('7.7 FLOWING: cancelled, deadline, patience is over', () => {
    const cancelled = flowing([item('a'), begun]);
    cancelled.message.cancel();
    const expired = flowing([item('a')], { timeout: TIME });
    const impatient = flowing([begun], { patience: TIME });
    for (const scene of [expired, impatient]) scene.peer.advance(TIME);

    for (const scene of [cancelled, expired, impatient]) {
      scene.peer.flush();
      expect(written(scene.peer)).toEqual(['CANCEL s=2 id=1']);
      if (scene !== expired) scene.peer.send(rest);
      expectDropped(scene);
    }
  });

  it('7.7 FLOWING, DROPPED: the session or the connection ends', () => {
    for (const scene of [flowing, (items: FrameInit[]) => dropped(...items)]) {
      const ended = scene([item('a')]);
      ended.peer.send(end(2, ABORTED));
      expect(written(ended.peer)).toEqual(['END s=2']);
      expectDropped(ended);
      const lost = scene([item('a')]);
      lost.peer.side.lose();
      lost.message.read();
      expect([lost.message.texts, held(lost)]).toEqual([[], 0]);
      expect(lost.message.outcome).toMatch(/^failed/);
    }
  });

  it('7.7 DROPPED: ITEM with REPLY, FRAG with REPLY', () => {
    const scene = dropped(begun);
    spendFloodBudget(scene.peer);

    scene.peer.send(rest, item('a'), begun, rest);

    expect(written(scene.peer)).toEqual([]);
    expectDropped(scene);
    // The credit of four items is used.
    expect(closeAfter(scene.peer, item('e'))).toBe('FLOW');
  });

  it('7.7 DROPPED: ACCEPT or REJECT', () => {
    for (const settlement of [accepted, answer(REJECT)]) {
      const scene = dropped(item('a'));

      scene.peer.send(settlement);

      expect([written(scene.peer), scene.message.outcome]).toEqual([[], 'failed cancelled maybe']);
      expectDropped(scene, 'PROTOCOL');
    }
  });

  it('7.7 OVER: ITEM with REPLY', () => {
    const scene = flowing([item('a')]);
    scene.peer.send(accepted);

    expect(closeAfter(scene.peer, item('b'))).toBe('PROTOCOL');
    // The same holds while the settlement is not whole.
    const partial = flowing([]);
    partial.peer.send(answer(REJECT, { flags: MORE, payload: LEAST }));
    expect(closeAfter(partial.peer, item('b'))).toBe('PROTOCOL');
  });
});
