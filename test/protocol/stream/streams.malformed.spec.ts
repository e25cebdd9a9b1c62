/** Malformed and hostile input of streams, at a machine. The numbers are those of PROTOCOL.md. */
import { describe, expect, it } from '@jest/globals';
import {
  type Code,
  creditPayload,
  encodeFrame,
  encodeMeta,
  Flag,
  FrameType,
  writeHeader,
} from '../../../src/wire/index.js';
import type { FrameInit } from '../../support/codec/frame-log.js';
import type { SimMessage, SimSend } from '../../support/sim/sim-application.js';
import { SimPeer } from '../../support/sim/sim-peer.js';

const { MORE, REPLY, STREAM, END } = Flag;
const { SEND, FRAG, ITEM, ACCEPT, REJECT, CANCEL, CREDIT, OPEN, OPENED } = FrameType;
const kib4 = Buffer.alloc(4096);
const EMPTY = Buffer.alloc(0);
const MAX_MESSAGE = 20_000;

type Reaction = keyof typeof Code | 'IGNORED';
type Row = readonly [
  number: string,
  input: string,
  frames: readonly FrameInit[],
  reaction: Reaction,
];

function reactionOf(peer: SimPeer): string {
  return peer.closeCode ?? (peer.side.status === 'open' ? 'IGNORED' : peer.side.status);
}

const their = (id: number, rest: Partial<FrameInit> = {}): FrameInit => ({
  type: ITEM,
  session: 1,
  id,
  ...rest,
});
const answer = (rest: Partial<FrameInit> = {}): FrameInit => ({
  type: ITEM,
  session: 2,
  id: 1,
  flags: REPLY,
  ...rest,
});
const accept = { type: ACCEPT, session: 2, id: 1, flags: REPLY };
const acceptStream = { ...accept, flags: REPLY | STREAM };
const itemCredit = (session: number, id: number, count: number, flags = 0): FrameInit => ({
  type: CREDIT,
  session,
  id,
  flags,
  payload: creditPayload(count),
});

/**
 * A listener that has accepted session 1, in which message 1 is a stream and message 2 is not, both with
 * handlers that run; and has opened session 2, with one message of its own, which is a stream without an
 * end and takes items.
 */
function connected(): { peer: SimPeer; ours: SimSend; theirs: SimMessage } {
  const limits = { items: 4, maxMessage: MAX_MESSAGE };
  const peer = SimPeer.greeted('listener', { limits });
  peer.send(
    { type: OPEN, session: 1, meta: { name: 'theirs' } },
    { type: SEND, session: 1, id: 1, flags: STREAM },
    { type: SEND, session: 1, id: 2 },
  );
  const session = peer.side.session('ours');
  const ours = session.send('x', { items: [], end: false, takesItems: true });
  ours.reads = false;
  peer.flush();
  peer.send({ type: OPENED, session: 2 });
  peer.lines();
  const [theirs] = peer.side.last.messages;
  return { peer, ours, theirs: theirs! };
}

const requests: readonly Row[] = [
  ['M69', 'ITEM of a message that is no stream [IC-6.50]', [their(2)], 'PROTOCOL'],
  ['M69', 'ITEM of a message never sent [IC-6.50]', [their(3)], 'PROTOCOL'],
  ['M69', 'ITEM of a session never opened', [{ type: ITEM, session: 9, id: 1 }], 'PROTOCOL'],
  ['M70', 'as many items as allowed', Array.from({ length: 4 }, () => their(1)), 'IGNORED'],
  ['M70', 'one item more', Array.from({ length: 5 }, () => their(1)), 'FLOW'],
  [
    'M70',
    'an end alone beyond what is allowed [IC-8.16]',
    [...Array.from({ length: 4 }, () => their(1)), their(1, { flags: END })],
    'FLOW',
  ],
  [
    'M70',
    'as many items as allowed, one of them in fragments [IC-8.16]',
    [
      their(1, { flags: MORE, payload: kib4 }),
      { type: FRAG, session: 1, id: 1, flags: MORE, payload: kib4 },
      { type: FRAG, session: 1, id: 1, payload: kib4 },
      ...Array.from({ length: 3 }, () => their(1)),
    ],
    'IGNORED',
  ],
  ['M71', 'ITEM after END [IC-6.50]', [their(1, { flags: END }), their(1)], 'PROTOCOL'],
  ['M71', 'END twice', [their(1, { flags: END }), their(1, { flags: END })], 'PROTOCOL'],
  [
    'M71',
    'ITEM after END of its session',
    [{ type: FrameType.END, session: 1 }, their(1)],
    'PROTOCOL',
  ],
  [
    'M60',
    'an item with more than TOTAL [IC-9.4]',
    [
      their(1, { flags: MORE, meta: { total: 5000 }, payload: kib4 }),
      { type: FRAG, session: 1, id: 1, payload: kib4 },
    ],
    'PROTOCOL',
  ],
  [
    'M60',
    'an item with less than TOTAL',
    [
      their(1, { flags: MORE, meta: { total: 5000 }, payload: kib4 }),
      { type: FRAG, session: 1, id: 1, payload: Buffer.alloc(1) },
    ],
    'PROTOCOL',
  ],
  [
    'M113',
    'a small item not as TOTAL says [IC-9.4]',
    [their(1, { meta: { total: 1 } })],
    'PROTOCOL',
  ],
  [
    'M55',
    'an item while the one before it is unfinished [IC-6.52]',
    [their(1, { flags: MORE, payload: kib4 }), their(1)],
    'PROTOCOL',
  ],
  [
    'M56',
    'FRAG of a stream without an item [IC-6.37]',
    [{ ...their(1), type: FRAG, payload: kib4 }],
    'PROTOCOL',
  ],
  [
    'M56',
    'FRAG after the last of an item',
    [
      their(1, { flags: MORE, payload: kib4 }),
      { type: FRAG, session: 1, id: 1, payload: kib4 },
      { type: FRAG, session: 1, id: 1, payload: kib4 },
    ],
    'PROTOCOL',
  ],
  ['–', 'a field that items do not take', [their(1, { meta: { key: Buffer.from('x') } })], 'META'],
  ['–', 'metadata of an item', [their(1, { meta: { metadata: [['a', 'b']] } })], 'IGNORED'],
  [
    '–',
    'an item before its message is whole [IC-6.52]',
    [{ type: SEND, session: 1, id: 3, flags: STREAM | MORE, payload: kib4 }, their(3)],
    'PROTOCOL',
  ],
  ['M72', 'ITEM after CANCEL', [{ type: CANCEL, session: 1, id: 1 }, their(1)], 'IGNORED'],
];

const answers: readonly Row[] = [
  ['M70', 'as many items as allowed', Array.from({ length: 4 }, () => answer()), 'IGNORED'],
  ['M70', 'one item more', Array.from({ length: 5 }, () => answer()), 'FLOW'],
  ['M71', 'ITEM after the settlement [IC-6.51]', [accept, answer()], 'PROTOCOL'],
  [
    'M71',
    'ITEM amid the settlement [IC-6.51]',
    [{ ...accept, flags: REPLY | MORE, payload: kib4 }, answer()],
    'PROTOCOL',
  ],
  [
    'M71',
    'the settlement amid an item [IC-6.43]',
    [answer({ flags: REPLY | MORE, payload: kib4 }), acceptStream],
    'PROTOCOL',
  ],
  ['–', 'ACCEPT with STREAM after an item', [answer(), acceptStream], 'IGNORED'],
  ['–', 'ACCEPT with STREAM and without an item', [acceptStream], 'IGNORED'],
  ['M125', 'ACCEPT without STREAM after an item [IC-6.45]', [answer(), accept], 'PROTOCOL'],
  [
    'M125',
    'ACCEPT in fragments without STREAM after an item [IC-6.45]',
    [answer(), { ...accept, flags: REPLY | MORE, payload: kib4 }],
    'PROTOCOL',
  ],
  [
    'M71',
    'a rejection amid an item [IC-6.43]',
    [
      answer({ flags: REPLY | MORE, payload: kib4 }),
      { type: REJECT, session: 2, id: 1, flags: REPLY, meta: { code: 0x0501 } },
    ],
    'PROTOCOL',
  ],
  ['M69', 'ITEM for a message never sent [IC-6.51]', [answer({ id: 2 })], 'PROTOCOL'],
  [
    'M56',
    'FRAG of an answer without an item',
    [{ type: FRAG, session: 2, id: 1, flags: REPLY, payload: kib4 }],
    'PROTOCOL',
  ],
];

const credits: readonly Row[] = [
  ['–', 'CREDIT for our items', [itemCredit(2, 1, 9, REPLY)], 'IGNORED'],
  ['–', 'CREDIT for our answer', [itemCredit(1, 1, 9)], 'IGNORED'],
  ['M79', 'that jumps too far [IC-8.4]', [itemCredit(2, 1, 2 ** 30 + 1, REPLY)], 'FLOW'],
  ['M79', 'that jumps too far, for an answer', [itemCredit(1, 1, 2 ** 30 + 1)], 'FLOW'],
  [
    '–',
    'CREDIT for items of a message never sent [IC-6.14]',
    [itemCredit(2, 2, 9, REPLY)],
    'PROTOCOL',
  ],
  ['–', 'CREDIT for answers to one never sent [IC-6.14]', [itemCredit(1, 3, 9)], 'PROTOCOL'],
  ['M81', 'CREDIT for items of no session', [itemCredit(9, 1, 9)], 'PROTOCOL'],
  ['M78', 'CREDIT that allows as much as before', [itemCredit(2, 1, 4, REPLY)], 'IGNORED'],
];

describe('Streams with a peer that does not keep to the rules', () => {
  it.each([...requests, ...answers, ...credits])('%s: %s', (_number, _input, frames, reaction) => {
    const { peer: whole } = connected();
    const { peer: dribbled } = connected();

    whole.burst(frames);
    for (const octet of Buffer.concat(frames.map((frame) => encodeFrame(frame)))) {
      dribbled.bytes(Buffer.from([octet]));
    }

    expect(reactionOf(whole)).toBe(reaction);
    expect(reactionOf(dribbled)).toBe(reaction);
  });

  it('ITEM of the acceptor before OPENED: PROTOCOL [IC-6.53]', () => {
    const peer = SimPeer.greeted('listener');
    peer.side.session('ours').send('x', { takesItems: true });
    peer.flush();

    peer.send(answer());

    expect(peer.closeCode).toBe('PROTOCOL');
  });

  it('M72: an item that crosses the cancel of its message is ignored, and no credit goes out', () => {
    const { peer, ours } = connected();
    peer.send(answer({ payload: Buffer.from('a') }));
    ours.cancel();
    peer.flush();
    expect(peer.lines()).toEqual(['CANCEL s=2 id=1']);

    for (let more = 0; more < 3; more++) peer.send(answer({ payload: Buffer.from('b') }));

    peer.expectSilence();
    expect(peer.side.connection.receiveWindow.held).toBe(0);
    peer.send(answer());
    expect(peer.closeCode).toBe('FLOW');
  });

  it('an answer by items to a side that takes none is too large, and one without items is not [IC-6.59]', () => {
    const peer = SimPeer.greeted('listener', {}, { items: 0 });
    peer.send(
      { type: OPEN, session: 1, meta: { name: 'a' } },
      { type: SEND, session: 1, id: 1 },
      { type: SEND, session: 1, id: 2 },
    );
    peer.lines();
    const [one, other] = peer.side.last.messages;

    one?.stream(['a']);
    other?.stream([]);
    peer.flush();

    expect(peer.lines()).toEqual([
      expect.stringContaining('REJECT s=1 id=1 REPLY code=REPLY_TOO_LARGE'),
      'ACCEPT s=1 id=2 REPLY STREAM',
    ]);
  });

  it('an item of a one-way message has nothing to answer: PROTOCOL [IC-6.51]', () => {
    const { peer } = connected();
    peer.side.sessions.at(-1)?.send('y', { oneWay: true });
    peer.flush();

    peer.send(answer({ id: 2 }));

    expect(peer.closeCode).toBe('PROTOCOL');
  });

  it('CREDIT for answers to a one-way message: PROTOCOL [IC-6.14]', () => {
    const { peer } = connected();
    peer.send({ type: SEND, session: 1, id: 3, flags: Flag.ONEWAY });

    peer.send(itemCredit(1, 3, 9));

    expect(peer.closeCode).toBe('PROTOCOL');
  });

  it('items that cross an early settlement are ignored, one beyond the credit is not [IC-8.21] [IC-8.22]', () => {
    const { peer, theirs } = connected();
    peer.send(their(1, { payload: kib4 }));
    theirs.accept();
    peer.flush();
    peer.lines();

    peer.send(their(1, { payload: kib4 }));
    peer.send(their(1, { flags: MORE, payload: kib4 }));
    peer.send({ type: FRAG, session: 1, id: 1, payload: kib4 });
    peer.send(their(1, { flags: MORE, payload: kib4 }));
    peer.expectSilence();
    // The two messages: one of them has its handler still running.
    expect(peer.side.connection.receiveWindow.held).toBe(0);
    peer.send({ type: FRAG, session: 1, id: 1, payload: kib4 });
    peer.send(their(1));

    expect(peer.closeCode).toBe('FLOW');
  });

  /** A listener of these limits with `count` streams of session 1 that it has settled early. */
  function settledEarly(count: number, messages: number): SimPeer {
    const peer = SimPeer.greeted('listener', { limits: { items: 4, messages } });
    peer.send({ type: OPEN, session: 1, meta: { name: 'a' } });
    for (let id = 1; id <= count; id++) {
      peer.send({ type: SEND, session: 1, id, flags: STREAM });
      peer.side.last.last.accept();
      peer.flush();
    }
    return peer;
  }

  it.each([1, 2, 3])('late items of as many streams as may be unsettled are known: %i', (id) => {
    const peer = settledEarly(3, 3);

    peer.burst(Array.from({ length: 4 }, () => their(id)));
    expect(peer.closeCode).toBeUndefined();
    peer.send(their(id));

    expect(peer.closeCode).toBe('FLOW');
  });

  it('of no more streams than that', () => {
    const peer = settledEarly(4, 3);

    peer.burst(Array.from({ length: 1000 }, () => their(1)));
    expect(peer.closeCode).toBeUndefined();
    peer.send(their(1));

    expect(peer.closeCode).toBe('CALM');
  });

  it('items of a message that was settled as it was whole cost the flood budget [IC-8.22]', () => {
    const { peer, theirs } = connected();
    peer.send(their(1, { flags: END }));
    theirs.accept();
    peer.flush();

    peer.burst(Array.from({ length: 1000 }, () => their(1)));
    expect(peer.closeCode).toBeUndefined();
    peer.send(their(1));

    expect(peer.closeCode).toBe('CALM');
  });

  it.each<[string, Buffer, string[]]>([
    ['nothing', Buffer.alloc(0), []],
    ['a field that nobody knows', Buffer.from([0x8a, 0, 1, 0]), []],
    ['TOTAL', encodeMeta({ total: 0 }), ['']],
    ['metadata', encodeMeta({ metadata: [['a', 'b']] }), ['']],
  ])('END with %s, and no payload, has as many items [IC-6.54]', (_what, meta, items) => {
    const { peer, theirs } = connected();
    theirs.readAll();
    const header = Buffer.alloc(16);
    writeHeader(header, 0, { type: ITEM, flags: END, session: 1, id: 1 }, meta.length, meta.length);

    peer.bytes(Buffer.concat([header, meta]));

    expect(theirs.texts).toEqual(items);
    expect(theirs.ended).toBe(true);
    expect(peer.side.connection.receiveWindow.held).toBe(0);
  });

  it('CREDIT that crosses the end of an answer costs nothing, the same again does [IC-6.15]', () => {
    const { peer, theirs } = connected();
    theirs.stream(['a']);
    peer.flush();
    peer.lines();

    for (let count = 5; count < 3000; count++) peer.send(itemCredit(1, 1, count));
    peer.expectSilence();
    for (let count = 0; count < 1001; count++) peer.send(itemCredit(1, 1, 2999));

    expect(peer.closeCode).toBe('CALM');
  });

  it.each<[string, FrameInit[]]>([
    ['with TOTAL', [their(1, { flags: MORE, meta: { total: MAX_MESSAGE + 1 }, payload: kib4 })]],
    [
      'without TOTAL',
      [
        their(1, { flags: MORE, payload: kib4 }),
        ...Array.from({ length: 4 }, () => ({
          type: FRAG,
          session: 1,
          id: 1,
          flags: MORE,
          payload: kib4,
        })),
      ],
    ],
    ['in one frame', [their(1, { payload: Buffer.alloc(MAX_MESSAGE + 1) })]],
  ])('an item that is too large, %s, has its message rejected [IC-6.57]', (_how, frames) => {
    const { peer, theirs } = connected();

    peer.send(...frames);

    expect(peer.lines().filter((line) => line.startsWith('REJECT'))).toEqual([
      'REJECT s=1 id=1 REPLY code=FAILED text="An item of the message exceeds maxMessageSize 20000."',
    ]);
    expect(theirs.aborted).toBe('too-large');
    expect(theirs.accept()).toBe(false);
    expect(peer.side.connection.receiveWindow.held).toBe(0);
    expect(peer.side.status).toBe('open');
  });

  it('an item that is too large before the handler has started says that it has not [IC-6.42] [IC-6.57]', () => {
    const peer = SimPeer.greeted('listener', { limits: { maxMessage: 100 } });
    peer.side.onSession = () => undefined;
    peer.send(
      { type: OPEN, session: 1, meta: { name: 'a' } },
      { type: SEND, session: 1, id: 1, flags: STREAM },
      their(1, { payload: Buffer.alloc(101) }),
    );

    expect(peer.lines()).toEqual([expect.stringContaining('code=TOO_LARGE')]);
    peer.side.last.accept();
    expect(peer.side.last.messages).toEqual([]);
  });

  it.each([
    ['with TOTAL', [answer({ flags: REPLY | MORE, meta: { total: 20_001 }, payload: kib4 })]],
    ['in one frame', [answer({ payload: Buffer.alloc(20_001) })]],
  ])('an item of an answer that is too large, %s, fails its caller [IC-6.58]', (_how, frames) => {
    const { peer, ours } = connected();

    peer.send(...frames);

    expect(ours.outcome).toBe('failed too-large yes');
    expect(peer.lines()).toEqual(['CANCEL s=2 id=1']);
    expect(peer.side.connection.receiveWindow.held).toBe(0);
  });

  it('a greeting, or OPEN, that allows more than 2^30 items: META [IC-6.6] [IC-6.19]', () => {
    const credit = { messages: 1, bytes: 200_000, items: 2 ** 30 + 1 };
    const { peer } = connected();

    peer.bytes(encodeFrame({ type: OPEN, session: 3, meta: { name: 'a', sessionCredit: credit } }));

    expect(peer.closeCode).toBe('META');
    expect(encodeMeta({ sessionCredit: credit }).length).toBe(15);
  });

  it('unfinished items that fill all memory: one of the messages is rejected [IC-6.42] [IC-8.14]', () => {
    const limits = { maxMessage: 100_000, connectionBytes: 150_000, sessionBytes: 100_000 };
    const peer = SimPeer.greeted('listener', { limits });
    peer.send({ type: OPEN, session: 1, meta: { name: 'a' } });
    for (let id = 1; id <= 3; id++) peer.send({ type: SEND, session: 1, id, flags: STREAM });
    const payload = Buffer.alloc(30_000);
    for (let id = 1; id <= 3; id++) {
      peer.send(their(id, { flags: MORE, meta: { total: 100_000 }, payload }));
    }
    peer.send({ type: FRAG, session: 1, id: 1, flags: MORE, payload: payload.subarray(0, 15_000) });
    peer.send({ type: FRAG, session: 1, id: 2, flags: MORE, payload: payload.subarray(0, 5000) });
    peer.lines();

    peer.send({ type: FRAG, session: 1, id: 1, flags: MORE, payload: payload.subarray(0, 20_000) });

    expect(peer.lines().filter((line) => line.startsWith('REJECT'))).toEqual([
      'REJECT s=1 id=3 REPLY code=FAILED text="There is no memory to receive the message now."',
    ]);
    expect(peer.side.last.messages.map(({ aborted }) => aborted)).toEqual([
      undefined,
      undefined,
      'too-large',
    ]);
  });
});

describe('An item with END', () => {
  const field = Buffer.from([0x8a, 0, 1, 0]);

  it.each([
    ['nothing else is the end alone', {}, EMPTY, 0],
    ['fields that mean nothing is the end alone', {}, field, 0],
    ['a payload is the last element', { payload: Buffer.from('x') }, EMPTY, 1],
    ['metadata is an element without octets', { meta: { metadata: [['a', 'b']] } }, EMPTY, 1],
    ['TOTAL is one as well', { meta: { total: 0 } }, EMPTY, 1],
  ] as const)('and %s [IC-6.54]', (_what, rest, ignorable, elements) => {
    const { peer, theirs } = connected();
    const frame = encodeFrame(their(1, { flags: END, ...rest }));
    frame.writeUInt16BE(frame.readUInt16BE(2) + ignorable.length, 2);
    frame.writeUInt32BE(frame.readUInt32BE(4) + ignorable.length, 4);

    peer.bytes(Buffer.concat([frame, ignorable]));
    theirs.readAll();

    expect([theirs.items.length, theirs.ended]).toEqual([elements, true]);
    expect(peer.side.connection.receiveWindow.held).toBe(0);
  });
});

describe('The credit of a session', () => {
  it('in OPEN replaces that of the greeting for the items of the acceptor [IC-8.15]', () => {
    const { peer } = connected();
    const sessionCredit = { messages: 9, bytes: 200_000, items: 2 };
    peer.send({ type: OPEN, session: 3, meta: { name: 'a', sessionCredit } });

    const send = peer.side.last.send('', { items: ['1', '2', '3', '4'] });
    peer.flush();

    expect(send.source?.given).toBe(3);
  });

  it('in OPENED raises it, for streams that have begun too [IC-8.15]', () => {
    const peer = SimPeer.greeted('listener', {}, { items: 1 });
    const session = peer.side.session('ours');
    const items = ['1', '2', '3', '4', '5', '6', '7'];
    const begun = session.send('', { items });
    peer.flush();
    expect(begun.source?.given).toBe(2);

    const sessionCredit = { messages: 256, bytes: 4_194_304, items: 4 };
    peer.send({ type: OPENED, session: 2, meta: { sessionCredit } });
    const later = session.send('', { items });
    peer.flush();

    expect([begun.source?.given, later.source?.given]).toEqual([5, 5]);
  });
});
