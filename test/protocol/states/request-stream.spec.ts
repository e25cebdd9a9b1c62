/** The tables of PROTOCOL.md, §7.6: the items of a request, at the side that writes them and at the one that reads them. */
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
  opened,
  receiver,
  sending,
  type Sent,
  spendFloodBudget,
  theirs,
  unfinished,
  written,
} from './scenes.js';

const { MORE, REPLY, STREAM } = Flag;
const { SEND, FRAG, ITEM, ACCEPT, REJECT, CANCEL } = FrameType;
const TIME = 1000;
const ROOM = credit(2, 0, 2 ** 20);

describe('The sender of a request stream [IC-7.6]', () => {
  /** A message whose request stream has used its two items of credit; 'c' waits. */
  function flowing(options: SendOptions = {}): Sent {
    const scene = sending('x', { items: ['a', 'b', 'c', 'd'], ...options });
    expect(scene.message.source?.given).toBe(3);
    return scene;
  }

  /** A message of which one item has begun, and waits for the session's credit. */
  function partial(options: SendOptions = {}): Sent {
    const { peer, session } = opened();
    const message = session.send('x', { items: [LARGE, 'b'], takesItems: true, ...options });
    peer.flush();
    expect(written(peer)[1]).toMatch(/^ITEM s=2 id=1 MORE total=300000 \d+ B$/);
    return { peer, session, message };
  }

  /** STOPPED: no credit makes another frame of the stream leave. */
  function expectStopped({ peer }: Sent): void {
    peer.send(itemCredit(2, 9, REPLY), ROOM);
    expect([written(peer), peer.closeCode]).toEqual([[], undefined]);
  }

  it('7.6 –: SEND with STREAM is whole', () => {
    const { peer, message } = sending(LARGE, { items: ['a'] });
    expect(message.source?.given).toBe(0);

    peer.send(ROOM);

    expect(written(peer).slice(-3)).toEqual([
      expect.stringMatching(/^FRAG s=2 id=1 \d+ B$/),
      'ITEM s=2 id=1 1 B',
      'ITEM s=2 id=1 END',
    ]);
  });

  it('7.6 FLOWING: an element; no item of it is unfinished, and there is credit', () => {
    const { peer, session } = opened();
    const message = session.send('x', { items: ['a', 'b', 'c', 'd'] });
    peer.flush();
    expect(written(peer)).toEqual([
      'SEND s=2 id=1 STREAM 1 B',
      'ITEM s=2 id=1 1 B',
      'ITEM s=2 id=1 1 B',
    ]);
    peer.send(itemCredit(2, 3, REPLY));
    expect(written(peer)).toEqual(['ITEM s=2 id=1 1 B']);
    expect(message.source?.given).toBe(4);

    const large = partial();
    expect(large.message.source?.given).toBe(1);
    large.peer.send(ROOM);
    expect(written(large.peer).slice(-2)).toEqual([
      expect.stringMatching(/^FRAG s=2 id=1 \d+ B$/),
      'ITEM s=2 id=1 1 B',
    ]);
  });

  it('7.6 FLOWING: the application has no more elements', () => {
    const { peer, session } = opened();
    const message = session.send('x', { items: ['a'] });
    peer.flush();

    expect(written(peer).slice(-2)).toEqual(['ITEM s=2 id=1 1 B', 'ITEM s=2 id=1 END']);
    expect(() => message.give('b')).toThrow('takes no item');
    peer.send(itemCredit(2, 9, REPLY));
    peer.expectSilence();
  });

  it('7.6 FLOWING: the application fails, or cancels; patience is over', () => {
    const cancel = ({ message }: Sent): void => message.cancel();
    const wait = ({ peer }: Sent): void => peer.advance(TIME);
    const scenes: [Sent, (scene: Sent) => void][] = [
      [flowing(), cancel],
      [partial(), cancel],
      [flowing({ patience: TIME }), wait],
    ];
    for (const [scene, stop] of scenes) {
      scene.peer.lines();
      stop(scene);
      scene.peer.flush();

      expect(written(scene.peer)).toEqual(['CANCEL s=2 id=1']);
      expectStopped(scene);
    }
  });

  it('7.6 FLOWING: the deadline is over', () => {
    for (const scene of [flowing({ timeout: TIME }), partial({ timeout: TIME })]) {
      scene.peer.lines();
      scene.peer.advance(TIME);

      expect([written(scene.peer), scene.message.outcome]).toEqual([[], 'failed timeout maybe']);
      expectStopped(scene);
    }
  });

  it('7.6 FLOWING: ACCEPT or REJECT, its first frame', () => {
    for (const type of [ACCEPT, REJECT]) {
      for (const scene of [flowing(), partial()]) {
        scene.peer.send(answer(type, { flags: MORE, payload: LEAST }));

        expectStopped(scene);
        expect(scene.message.outcome).toBe('pending');
      }
    }
  });

  it('7.6 FLOWING: the session or the connection ends', () => {
    for (const scene of [flowing(), partial()]) {
      scene.peer.send(end(2, ABORTED));
      expect(written(scene.peer)).toEqual(['END s=2']);
      expectStopped(scene);
    }
    const { peer, message } = flowing();
    peer.side.lose();
    peer.flush();
    expect([written(peer), message.outcome]).toEqual([[], 'failed connection-lost maybe']);
    expect(() => message.give('d')).toThrow('takes no item');
  });

  it('7.6 every state: CREDIT with REPLY, for this message', () => {
    const going = flowing();
    going.peer.send(itemCredit(2, 4, REPLY));
    expect(written(going.peer)).toEqual(['ITEM s=2 id=1 1 B', 'ITEM s=2 id=1 1 B']);

    const ended = sending('x', { items: ['a'] });
    const stopped = flowing();
    stopped.message.cancel();
    stopped.peer.flush();
    written(stopped.peer);
    for (const { peer } of [ended, stopped]) {
      peer.send(itemCredit(2, 9, REPLY));
      peer.expectSilence();
    }
  });
});

describe('The receiver of a request stream [IC-7.6]', () => {
  const item = (text: string, flags = 0): FrameInit =>
    theirs(ITEM, 1, { flags, payload: Buffer.from(text) });
  const lastItem = theirs(ITEM, 1, { flags: Flag.END });
  const handler = (peer: SimPeer): SimMessage => peer.side.last.last;
  const held = (peer: SimPeer): number => peer.side.connection.receiveWindow.held;

  /** A message with a request stream, whose handler runs and has taken nothing yet. */
  function flowing(...items: FrameInit[]): SimPeer {
    const peer = receiver();
    peer.send(theirs(SEND, 1, { flags: STREAM }), ...items);
    peer.lines();
    return peer;
  }

  const ended = (...items: FrameInit[]): SimPeer => flowing(...items, lastItem);

  /** DROPPED: nothing is left to take, nothing is held, and what still comes is given back at once. */
  function expectDropped(peer: SimPeer): void {
    handler(peer).read();
    expect([handler(peer).texts, handler(peer).ended, held(peer)]).toEqual([[], false, 0]);
  }

  it('7.6 –: SEND with STREAM is whole', () => {
    const early = receiver();
    early.send(unfinished(1, { flags: STREAM }));
    expect(closeAfter(early, item('a'))).toBe('PROTOCOL');

    const peer = receiver();
    peer.send(unfinished(1, { flags: STREAM }), theirs(FRAG, 1, { payload: LEAST }), item('a'));
    handler(peer).read();
    expect(handler(peer).texts).toEqual(['a']);
  });

  it('7.6 FLOWING: a whole item', () => {
    const peer = flowing(item('a'), item('b'));

    expect(handler(peer).texts).toEqual([]);
    handler(peer).read(1);
    expect(handler(peer).texts).toEqual(['a']);
    handler(peer).read();

    expect([handler(peer).texts, handler(peer).ended]).toEqual([['a', 'b'], false]);
    // An item in fragments is whole with its last one.
    peer.send(theirs(ITEM, 1, { flags: MORE, payload: LEAST }));
    handler(peer).read();
    expect(handler(peer).items).toHaveLength(2);
    peer.send(theirs(FRAG, 1, { payload: LEAST }));
    handler(peer).read();
    expect(handler(peer).items.at(-1)).toHaveLength(2 * LEAST.length);
  });

  it('7.6 FLOWING: a whole item with END', () => {
    for (const last of [[item('b', Flag.END)], [item('b'), lastItem]]) {
      const peer = flowing(item('a'), ...last);

      handler(peer).read(1);
      expect([handler(peer).texts, handler(peer).ended]).toEqual([['a'], false]);
      handler(peer).read();

      expect([handler(peer).texts, handler(peer).ended]).toEqual([['a', 'b'], true]);
      expect(closeAfter(peer, item('c'))).toBe('PROTOCOL');
    }
  });

  it('7.6 FLOWING, ENDED: the handler takes an element', () => {
    const peer = flowing(item('a'), item('b'));
    handler(peer).read(1);
    peer.flush();
    expect(peer.lines()).toEqual([]);

    handler(peer).read(1);
    peer.flush();

    expect(peer.lines()).toEqual(['CREDIT s=1 id=1 REPLY items=6']);
    expect(held(peer)).toBe(0);
    const after = ended(item('a'), item('b'));
    handler(after).read();
    after.flush();
    // After END the machine announces no more items, and gives the octets back.
    expect([written(after), held(after)]).toEqual([[], 0]);
  });

  it('7.6 FLOWING: CANCEL', () => {
    const peer = flowing(item('a'));

    peer.send(theirs(CANCEL));

    expect([written(peer), handler(peer).aborted]).toEqual([[], 'cancelled']);
    expectDropped(peer);
    peer.send(item('b'));
    expectDropped(peer);
  });

  it('7.6 FLOWING, ENDED: the message is settled, for whatever reason', () => {
    for (const peer of [flowing(item('a')), ended(item('a'))]) {
      handler(peer).accept();
      peer.flush();
      expectDropped(peer);
    }
    const peer = receiver();
    const timed = theirs(SEND, 1, { flags: STREAM, meta: { deadline: TIME } });
    peer.send(timed, item('a'));
    peer.advance(TIME);
    expect(written(peer)).toEqual(['REJECT s=1 id=1 REPLY code=DEADLINE']);
    handler(peer).accept();
    expectDropped(peer);
  });

  it('7.6 FLOWING, ENDED: the session or the connection ends', () => {
    for (const scene of [flowing, ended]) {
      const [session, connection] = [scene(item('a')), scene(item('a'))];
      session.send(end(1, ABORTED));
      connection.side.lose();
      for (const peer of [session, connection]) {
        expect(handler(peer).aborted).toBe('lost');
        expectDropped(peer);
      }
    }
  });

  it('7.6 ENDED: ITEM', () => {
    expect(closeAfter(ended(item('a')), item('b'))).toBe('PROTOCOL');
    expect(closeAfter(ended(), lastItem)).toBe('PROTOCOL');
  });

  it('7.6 DROPPED: ITEM, FRAG', () => {
    const dropped = (...items: FrameInit[]): SimPeer => {
      const peer = flowing(...items);
      handler(peer).accept();
      peer.flush();
      spendFloodBudget(peer);
      return peer;
    };
    const fragment = theirs(FRAG, 1, { payload: LEAST });
    const begun = theirs(ITEM, 1, { flags: MORE, meta: { total: 8192 }, payload: LEAST });
    const ignored = dropped(begun);
    ignored.send(fragment, item('b'), item('c'), lastItem);
    expect(ignored.closeCode).toBeUndefined();
    expectDropped(ignored);

    // The frames are judged: beyond the four items of credit, longer than TOTAL says, behind the end.
    const greedy = dropped(...['a', 'b', 'c', 'd'].map((text) => item(text)));
    expect(closeAfter(greedy, item('e'))).toBe('FLOW');
    const longer = dropped(begun);
    expect(closeAfter(longer, { ...fragment, payload: Buffer.alloc(5000) })).toBe('PROTOCOL');
    const behind = dropped(item('a'));
    behind.send(lastItem);
    expect(closeAfter(behind, item('b'))).toBe('PROTOCOL');
  });
});
