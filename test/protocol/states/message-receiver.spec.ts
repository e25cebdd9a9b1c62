/** The table of PROTOCOL.md, §7.4: a message at the side that receives it. */
import { describe, expect, it } from '@jest/globals';
import { Flag, FrameType } from '../../../src/wire/index.js';
import type { FrameInit } from '../../support/codec/frame-log.js';
import type { SimPeer } from '../../support/sim/sim-peer.js';
import type { SimMessage } from '../../support/sim/sim-application.js';
import {
  ABORTED,
  closeAfter,
  credit,
  end,
  LARGE,
  LEAST,
  MAX_MESSAGE,
  OPEN,
  pending,
  receiver,
  spendFloodBudget,
  theirs,
  unfinished,
  written,
} from './scenes.js';

const { MORE, ONEWAY, STREAM } = Flag;
const { SEND, FRAG, ITEM, CANCEL } = FrameType;
const TIME = 1000;
const TIMED: Partial<FrameInit> = { meta: { deadline: TIME } };
const TOO_LARGE = Buffer.alloc(MAX_MESSAGE + 1);
const MORE_OF_IT = theirs(FRAG, 1, { flags: MORE, payload: LEAST });
const REST = theirs(FRAG, 1, { payload: LEAST });
const KIB = 1024;

/** A peer whose first message has this SEND. Its session is open, and the handler of a whole message starts. */
function after(first: FrameInit): SimPeer {
  const peer = receiver();
  peer.send(first);
  return peer;
}

/** A message in WAITING: its session is not accepted. */
function waiting(rest: Partial<FrameInit> = {}): SimPeer {
  const peer = pending();
  peer.send(theirs(SEND, 1, rest));
  return peer;
}

const running = (rest: Partial<FrameInit> = {}): SimPeer => after(theirs(SEND, 1, rest));
const handler = (peer: SimPeer): SimMessage => peer.side.last.last;

/** The message is CUT: its FRAGs are ignored until the last. No handler has started. */
function expectCut(peer: SimPeer): void {
  peer.send(MORE_OF_IT, MORE_OF_IT);
  expect([written(peer), peer.closeCode]).toEqual([[], undefined]);
  expect(peer.side.last.messages).toEqual([]);
}

/** The message is SETTLED: it takes no FRAG, and its handler cannot settle it. */
function expectSettled(peer: SimPeer): void {
  expect(peer.side.last.messages.map((message) => message.accept()).filter(Boolean)).toEqual([]);
  peer.flush();
  expect(written(peer)).toEqual([]);
  expect(closeAfter(peer, REST)).toBe('PROTOCOL');
}

describe('The receiver of a message [IC-7.4]', () => {
  it('7.4 –: SEND without MORE', () => {
    const peer = waiting();

    expect([written(peer), peer.side.last.messages]).toEqual([[], []]);
    peer.side.last.accept();
    expect(peer.side.last.messages).toHaveLength(1);
  });

  it('7.4 –: SEND without MORE, payload above the own MAX_MESSAGE', () => {
    const peer = running({ payload: TOO_LARGE });

    expect(written(peer)).toEqual(['REJECT s=1 id=1 REPLY code=TOO_LARGE']);
    expect(peer.side.last.messages).toEqual([]);
    expectSettled(peer);
  });

  it('7.4 –: SEND without MORE, payload not as long as TOTAL', () => {
    for (const total of [LEAST.length - 1, LEAST.length + 1]) {
      expect(running({ meta: { total }, payload: LEAST }).closeCode).toBe('PROTOCOL');
    }
  });

  it('7.4 –: SEND with MORE', () => {
    const peer = after(unfinished());

    expect([written(peer), peer.side.last.messages]).toEqual([[], []]);
    peer.send(MORE_OF_IT, REST);
    expect(handler(peer).data).toHaveLength(3 * LEAST.length);
  });

  it('7.4 –: SEND with MORE, TOTAL above the own MAX_MESSAGE', () => {
    const peer = after(unfinished(1, { meta: { total: MAX_MESSAGE + 1 } }));

    expect(written(peer)).toEqual(['REJECT s=1 id=1 REPLY code=TOO_LARGE']);
    expectCut(peer);
  });

  it('7.4 –: SEND, while this side drains (§12.1)', () => {
    const draining = (first: FrameInit): SimPeer => {
      const peer = receiver();
      peer.side.connection.drain();
      peer.flush();
      peer.lines();
      peer.send(first);
      return peer;
    };
    const whole = draining(theirs(SEND));
    expect(written(whole)).toEqual(['REJECT s=1 id=1 REPLY code=MESSAGE_DRAINING']);
    expect(whole.side.last.messages).toEqual([]);
    expectSettled(whole);

    const partial = draining(unfinished());
    expect(written(partial)).toEqual(['REJECT s=1 id=1 REPLY code=MESSAGE_DRAINING']);
    expectCut(partial);
    // The machine takes a one-way message instead.
    expect(draining(theirs(SEND, 1, { flags: ONEWAY })).side.last.messages).toHaveLength(1);
  });

  it('7.4 RECEIVING: last FRAG', () => {
    const peer = pending();
    peer.send(unfinished());

    peer.send(REST);

    expect([written(peer), peer.side.last.messages]).toEqual([[], []]);
    peer.side.last.accept();
    expect(handler(peer).data).toHaveLength(2 * LEAST.length);
    expect(closeAfter(peer, REST)).toBe('PROTOCOL');
  });

  it('7.4 RECEIVING: more octets than the own MAX_MESSAGE', () => {
    const peer = after(unfinished());

    peer.send(theirs(FRAG, 1, { flags: MORE, payload: Buffer.alloc(MAX_MESSAGE - 4095) }));

    expect(written(peer)).toEqual(['REJECT s=1 id=1 REPLY code=TOO_LARGE']);
    expectCut(peer);
  });

  it('7.4 RECEIVING: no room, and only unfinished units hold it (§8.5)', () => {
    const limits = { maxFrame: 16 * KIB, connectionBytes: 128 * KIB, maxMessage: 100 * KIB };
    const peer = receiver(limits);
    const payload = Buffer.alloc(15 * KIB);
    peer.send(unfinished(1, { payload }));
    for (const session of [3, 5, 7, 9, 11, 13]) {
      peer.send({ ...OPEN, session }, { ...unfinished(1, { payload }), session });
    }
    expect(written(peer).filter((line) => line.startsWith('REJECT'))).toEqual([]);

    peer.send({ ...MORE_OF_IT, session: 3 });

    expect(written(peer)).toEqual(['REJECT s=1 id=1 REPLY code=BUSY']);
    peer.send(MORE_OF_IT, MORE_OF_IT);
    expect([written(peer), peer.closeCode]).toEqual([[], undefined]);
  });

  it('7.4 WAITING: the session is open, all messages before it have started', () => {
    const peer = waiting({ payload: Buffer.from('1') });
    peer.send(theirs(SEND, 2, { payload: Buffer.from('2') }));
    expect(peer.side.last.messages).toEqual([]);

    peer.side.last.accept();

    expect(peer.side.last.messages.map(({ text }) => text)).toEqual(['1', '2']);
    peer.send(theirs(CANCEL, 2));
    expect(handler(peer).aborted).toBe('cancelled');
  });

  it('7.4 RECEIVING: CANCEL', () => {
    const peer = after(unfinished());

    peer.send(theirs(CANCEL));

    expect(written(peer)).toEqual(['REJECT s=1 id=1 REPLY code=CANCELLED']);
    expectCut(peer);
  });

  it('7.4 WAITING: CANCEL', () => {
    const peer = waiting();

    peer.send(theirs(CANCEL));

    expect(written(peer)).toEqual(['REJECT s=1 id=1 REPLY code=CANCELLED']);
    peer.side.last.accept();
    expect(peer.side.last.messages).toEqual([]);
    peer.flush();
    expect(written(peer)).toEqual(['OPENED s=1']);
    expectSettled(peer);
  });

  it('7.4 RECEIVING: deadline', () => {
    const peer = after(unfinished(1, TIMED));

    peer.advance(TIME - 1);
    expect(written(peer)).toEqual([]);
    peer.advance(1);

    expect(written(peer)).toEqual(['REJECT s=1 id=1 REPLY code=EXPIRED']);
    expectCut(peer);
  });

  it('7.4 WAITING: deadline', () => {
    const peer = waiting(TIMED);

    peer.advance(TIME - 1);
    expect(written(peer)).toEqual([]);
    peer.advance(1);

    expect(written(peer)).toEqual(['REJECT s=1 id=1 REPLY code=EXPIRED']);
    peer.side.last.accept();
    expect(peer.side.last.messages).toEqual([]);
    peer.flush();
    expect(written(peer)).toEqual(['OPENED s=1']);
    expectSettled(peer);
  });

  it('7.4 RUNNING: the handler gives an element', () => {
    const peer = running(TIMED);

    handler(peer).stream(['a'], () => undefined);
    peer.flush();

    expect(written(peer)).toEqual(['ITEM s=1 id=1 REPLY 1 B']);
    peer.advance(10 * TIME);
    expect([written(peer), handler(peer).aborted]).toEqual([[], undefined]);
    expect(handler(peer).accept()).toBe(true);
  });

  it('7.4 RUNNING: the handler settles', () => {
    const accepted = running();
    expect(handler(accepted).accept()).toBe(true);
    accepted.flush();
    expect(written(accepted)).toEqual(['ACCEPT s=1 id=1 REPLY']);
    expectSettled(accepted);

    const rejected = running();
    expect(handler(rejected).reject(ABORTED)).toBe(true);
    rejected.flush();
    expect(written(rejected)).toEqual(['REJECT s=1 id=1 REPLY code=0x9001']);
    expectSettled(rejected);

    // The credit of the session is enough for a part of the item.
    const streamed = running();
    handler(streamed).stream([LARGE], () => undefined);
    streamed.flush();
    handler(streamed).accept();
    streamed.flush();
    expect(written(streamed)).toEqual([
      expect.stringMatching(/^ITEM s=1 id=1 MORE REPLY total=300000 \d+ B$/),
      expect.stringMatching(/^FRAG s=1 id=1 MORE REPLY \d+ B$/),
    ]);
    streamed.send(credit(1, 0, 2 ** 20));
    expect(written(streamed).slice(-2)).toEqual([
      expect.stringMatching(/^FRAG s=1 id=1 REPLY \d+ B$/),
      'ACCEPT s=1 id=1 REPLY STREAM',
    ]);
  });

  it('7.4 RUNNING: deadline', () => {
    const peer = running(TIMED);

    peer.advance(TIME - 1);
    expect([written(peer), handler(peer).aborted]).toEqual([[], undefined]);
    peer.advance(1);

    expect(written(peer)).toEqual(['REJECT s=1 id=1 REPLY code=DEADLINE']);
    expect(handler(peer).aborted).toBe('timeout');
    expectSettled(peer);
  });

  it('7.4 RUNNING: CANCEL', () => {
    const peer = running();

    peer.send(theirs(CANCEL));

    expect([written(peer), handler(peer).aborted]).toEqual([[], 'cancelled']);
    expect(handler(peer).accept()).toBe(true);
    peer.flush();
    expect(written(peer)).toEqual(['ACCEPT s=1 id=1 REPLY']);
  });

  it('7.4 WAITING, RUNNING: an item of its request stream exceeds the own MAX_MESSAGE', () => {
    const item = theirs(ITEM, 1, { payload: TOO_LARGE });
    const unstarted = waiting({ flags: STREAM });
    unstarted.send(item);
    expect(written(unstarted)).toEqual(['REJECT s=1 id=1 REPLY code=TOO_LARGE']);
    unstarted.side.last.accept();
    expect(unstarted.side.last.messages).toEqual([]);

    const started = running({ flags: STREAM });
    started.send(item);
    expect(written(started)).toEqual(['REJECT s=1 id=1 REPLY code=FAILED']);
    expect(handler(started).aborted).toBe('too-large');
    expectSettled(started);
  });

  it('7.4 every state: the session or the connection ends', () => {
    const scenes: (() => SimPeer)[] = [
      () => after(unfinished()),
      waiting,
      running,
      () => after(unfinished(1, { meta: { total: MAX_MESSAGE + 1 } })),
      () => {
        const settled = running();
        handler(settled).accept();
        settled.flush();
        return settled;
      },
    ];
    const ends = [
      (peer: SimPeer) => peer.send(end(1, ABORTED)),
      (peer: SimPeer) => peer.side.lose(),
    ];
    const told = scenes.flatMap((scene) =>
      ends.map((endBy) => {
        const peer = scene();
        peer.lines();
        endBy(peer);
        const [message] = peer.side.last.messages;
        const settles = message?.reject();
        peer.flush();
        expect(written(peer).filter((line) => line !== 'END s=1')).toEqual([]);
        expect(peer.side.connection.receiveWindow.held).toBe(0);
        return [message?.aborted, settles];
      }),
    );

    const [unstarted, lost, over] = [
      [undefined, undefined],
      ['lost', false],
      [undefined, false],
    ];
    expect(told).toEqual(
      [unstarted, unstarted, lost, unstarted, over].flatMap((each) => [each, each]),
    );
  });

  it('7.4 CUT: FRAG', () => {
    const peer = after(unfinished());
    peer.send(theirs(CANCEL));
    written(peer);
    spendFloodBudget(peer);

    peer.send(MORE_OF_IT);

    expectCut(peer);
    expect(peer.side.connection.receiveWindow.held).toBe(0);
  });

  it('7.4 CUT: last FRAG, or the next SEND of the session', () => {
    for (const last of [REST, theirs(SEND, 2)]) {
      const peer = after(unfinished());
      peer.send(theirs(CANCEL));
      written(peer);

      peer.send(last);

      expect([written(peer), peer.closeCode]).toEqual([[], undefined]);
      expect(closeAfter(peer, REST)).toBe('PROTOCOL');
    }
  });

  it('7.4 SETTLED: as many later messages of the session are settled as the messages value allows (§8.6)', () => {
    const settled = (later: number): SimPeer => {
      const peer = running({ flags: STREAM });
      handler(peer).accept();
      peer.flush();
      for (let id = 2; id < 2 + later; id++) {
        peer.send(theirs(SEND, id, { flags: STREAM }));
        handler(peer).accept();
        peer.flush();
      }
      spendFloodBudget(peer);
      return peer;
    };
    const late = theirs(ITEM, 1, { payload: LEAST });

    expect(closeAfter(settled(3), late)).toBeUndefined();
    expect(closeAfter(settled(4), late)).toBe('CALM');
  });
});
