/** Streams of items, in both directions of a message. */
import { Code, Flag, FrameType } from '../../../wire/index.js';
import type { ConformanceCase } from '../conformance-case.js';
import { converse } from '../conversation.js';
import { NARROW } from '../limits.js';
import { demand } from '../mismatch.js';
import {
  accept,
  cancel,
  frame,
  type FrameParts,
  inFragments,
  opened,
  pattern,
  send,
  u32,
} from '../octets.js';

const { ACCEPT, CREDIT, ITEM, REJECT } = FrameType;
const { END, REPLY, STREAM } = Flag;

function item(session: number, id: number, parts: FrameParts = {}): Buffer {
  return frame(ITEM, { ...parts, session, id });
}

function itemCredit(session: number, id: number, items: number, flags = 0): Buffer {
  return frame(CREDIT, { session, id, flags, payload: u32(items) });
}

/** Whether this ACCEPT ends a response stream. */
function demandStream(flags: number, expected: boolean): void {
  const found = (flags & STREAM) !== 0;
  demand(found === expected, `ACCEPT ${word(expected)}`, `ACCEPT ${word(found)}`);
}

function word(hasStream: boolean): string {
  return hasStream ? 'with STREAM' : 'without STREAM';
}

export const streamCases: readonly ConformanceCase[] = [
  {
    id: 'streams/taken',
    clauses: ['6.56', '8.15', '8.17', '8.18'],
    sentence:
      't.collect: three times as many items as the item credit are accepted, and come back as one payload',
    run: async (subject) => {
      const conversation = await converse(subject);
      const { peer } = conversation;
      const session = await conversation.open('t.collect');
      const count = 3 * Math.min(peer.limits.items, 1000);
      peer.write(send(session, 1, { flags: STREAM }));
      let granted = peer.limits.items;
      for (let index = 0; index < count; index += 1) {
        await peer.until(`credit for item ${index + 1}`, () => {
          for (const each of peer.frames) {
            if (each.type !== CREDIT || each.session !== session || each.id !== 1) continue;
            granted = Math.max(granted, each.payload.readUInt32BE(0));
          }
          return granted > index ? null : undefined;
        });
        const flags = index === count - 1 ? END : 0;
        peer.write(item(session, 1, { flags, payload: String(index % 10) }));
      }
      const expected = Array.from({ length: count }, (_, index) => index % 10).join('');
      await conversation.accepts(session, 1, expected);
    },
  },
  {
    id: 'streams/end-alone',
    clauses: ['6.54', '6.55'],
    sentence:
      't.collect: END without payload is no item of the stream, and an empty ITEM before it is one',
    run: async (subject) => {
      const conversation = await converse(subject);
      const session = await conversation.open('t.collect');
      conversation.peer.write(
        send(session, 1, { flags: STREAM }),
        item(session, 1, { payload: 'a' }),
        item(session, 1),
        item(session, 1, { flags: END }),
      );
      await conversation.accepts(session, 1, 'a');
    },
  },
  {
    id: 'streams/collected-too-large',
    clauses: ['6.41'],
    sentence:
      't.collect: items whose sum is above the MAX_MESSAGE of the suite: REJECT(REPLY_TOO_LARGE)',
    run: async (subject) => {
      const conversation = await converse(subject, { maxMessage: 1000 });
      const session = await conversation.open('t.collect');
      const payload = 'x'.repeat(501);
      conversation.peer.write(
        send(session, 1, { flags: STREAM }),
        item(session, 1, { payload }),
        item(session, 1, { flags: END, payload }),
      );
      await conversation.rejects(session, 1, Code.REPLY_TOO_LARGE);
    },
  },
  {
    id: 'streams/no-items',
    clauses: ['6.59'],
    sentence:
      't.stream: an item credit of 0, and a stream of one item or more: REJECT(REPLY_TOO_LARGE)',
    run: async (subject) => {
      const sessionCredit = { messages: 1024, bytes: 2 ** 26, items: 0 };
      const conversation = await converse(subject, { sessionCredit });
      const session = await conversation.open('t.stream');
      conversation.peer.write(
        send(session, 1, { payload: '3' }),
        send(session, 2, { payload: '0' }),
      );
      await conversation.rejects(session, 1, Code.REPLY_TOO_LARGE);
      await conversation.accepts(session, 2, '');
    },
  },
  {
    id: 'streams/amid-upload',
    clauses: ['6.51', '7.1'],
    sentence:
      'ITEM with REPLY and ACCEPT, before the message of the implementation is complete: accepted',
    run: async (subject) => {
      const conversation = await converse(subject, NARROW);
      const { peer } = conversation;
      const { own, back } = await conversation.reverse();
      const size = Math.min(50_000, peer.limits.effectiveMaxMessage);
      peer.write(opened(back));
      await conversation.deliver(
        inFragments(FrameType.SEND, { session: own, id: 1 }, pattern(size), 16_384),
      );
      const first = await peer.frame(FrameType.SEND, back);
      const isCut = (first.flags & Flag.MORE) !== 0;
      demand(isCut, 'SEND with MORE: the credit is 32768 octets', first.flags);
      const early = item(back, 1, { flags: REPLY, payload: 'early' });
      peer.write(early, accept(back, 1, { flags: STREAM }));
      await conversation.settlement(own, 1);
      await conversation.stillWorks();
    },
  },
  {
    id: 'streams/written',
    clauses: ['6.56', '8.1', '8.16'],
    sentence: 't.stream: items within the item credit, in order, and the settlement after the last',
    run: async (subject) => {
      const sessionCredit = { messages: 1024, bytes: 2 ** 26, items: 4 };
      const conversation = await converse(subject, { sessionCredit });
      const { peer } = conversation;
      const session = await conversation.open('t.stream');
      peer.write(send(session, 1, { payload: '10' }));
      for (let index = 0; index < 10; index += 1) {
        const { payload } = await peer.frame(ITEM, session);
        demand(payload.toString() === String(index), `item ${index}`, payload.toString());
        if (index !== 3) continue;
        await peer.lull();
        demand(!peer.frames.some(({ type }) => type === ITEM), 'no fifth item', 'a fifth item');
        peer.write(itemCredit(session, 1, 20));
      }
      const { flags } = await conversation.accepts(session, 1, '');
      demandStream(flags, true);
      await peer.lull();
      demand(!peer.frames.some(({ type }) => type === ITEM), 'no item behind', 'an item');
    },
  },
  {
    id: 'streams/empty',
    clauses: ['6.44'],
    sentence: 't.stream and t.sink: an answer without items has STREAM, an empty answer has not',
    run: async (subject) => {
      const conversation = await converse(subject);
      const stream = await conversation.open('t.stream');
      const sink = await conversation.open('t.sink');
      conversation.peer.write(send(stream, 1, { payload: '0' }), send(sink, 1));
      demandStream((await conversation.accepts(stream, 1, '')).flags, true);
      demandStream((await conversation.accepts(sink, 1, '')).flags, false);
    },
  },
  {
    id: 'streams/own-empty',
    clauses: ['6.46'],
    sentence: 't.reverse: an answer without items is passed on as such, an empty answer likewise',
    run: async (subject) => {
      const conversation = await converse(subject);
      const { peer } = conversation;
      const { own, back } = await conversation.reversed();
      peer.write(accept(back, 1, { flags: STREAM }));
      demandStream((await conversation.accepts(own, 1, '')).flags, true);
      peer.write(send(own, 2, { payload: 'again' }));
      const { id } = await conversation.message(back);
      peer.write(accept(back, id));
      demandStream((await conversation.accepts(own, 2, '')).flags, false);
    },
  },
  {
    id: 'streams/deadline',
    clauses: ['10.10'],
    sentence: 't.stream: a DEADLINE that passes after the first item does not end the answer',
    run: async (subject) => {
      const sessionCredit = { messages: 1024, bytes: 2 ** 26, items: 1 };
      const conversation = await converse(subject, { sessionCredit });
      const { peer } = conversation;
      const session = await conversation.open('t.stream');
      const slow = await conversation.open('t.slow');
      const deadline = subject.patience;
      peer.write(send(session, 1, { meta: { deadline }, payload: '2' }));
      await peer.frame(ITEM, session);
      // The DEADLINE of this message is the later one: when it has passed, that of the first message has passed too.
      peer.write(send(slow, 1, { meta: { deadline } }));
      await peer.lull();
      await conversation.rejects(slow, 1, Code.DEADLINE);
      peer.write(itemCredit(session, 1, 2));
      const { payload } = await peer.frame(ITEM, session);
      demand(payload.toString() === '1', 'item 1', payload.toString());
      demandStream((await conversation.accepts(session, 1, '')).flags, true);
    },
  },
  {
    id: 'streams/own-late',
    clauses: ['10.13'],
    sentence: 'an item in answer to a message of the implementation whose time is over: one CANCEL',
    run: async (subject) => {
      const conversation = await converse(subject);
      const { peer } = conversation;
      const { own, back } = await conversation.reversed({ meta: { deadline: subject.patience } });
      await peer.lull();
      await conversation.rejects(own, 1, Code.DEADLINE, Code.FAILED);
      peer.write(item(back, 1, { flags: REPLY }), item(back, 1, { flags: REPLY }));
      await peer.frame(FrameType.CANCEL, back);
      await conversation.stillWorks();
      await peer.lull();
      const again = peer.frames.some(({ type }) => type === FrameType.CANCEL);
      demand(!again, 'one CANCEL', 'a second one');
    },
  },
  {
    id: 'streams/cancelled',
    clauses: ['7.1', '10.7'],
    sentence: 't.stream: CANCEL ends a stream that waits for credit, with one settlement',
    run: async (subject) => {
      const sessionCredit = { messages: 1024, bytes: 2 ** 26, items: 2 };
      const conversation = await converse(subject, { sessionCredit });
      const session = await conversation.open('t.stream');
      conversation.peer.write(send(session, 1, { payload: '1000000' }));
      await conversation.peer.frame(ITEM, session);
      conversation.peer.write(cancel(session, 1));
      await conversation.rejects(session, 1);
      await conversation.stillWorks();
      await conversation.peer.lull();
      const again = conversation.peer.frames.some(
        ({ type, session: of }) => (type === ACCEPT || type === REJECT) && of === session,
      );
      demand(!again, 'one settlement', 'a second one');
    },
  },
];
