/** Items that no side may write, and some that come too late or are too large. */
import { Code, Flag, FrameType } from '../../../wire/index.js';
import type { ConformanceCase } from '../conformance-case.js';
import { converse } from '../conversation.js';
import { accept, cancel, end, frag, frame, type FrameParts, send, u32 } from '../octets.js';
import { type Ground, harmless, violation } from './rows.js';

const { CREDIT, ITEM } = FrameType;
const { END, MORE, ONEWAY, REPLY, STREAM } = Flag;
const LEAST = Buffer.alloc(4096, 'a');

function item(session: number, id: number, parts: FrameParts = {}): Buffer {
  return frame(ITEM, { ...parts, session, id });
}

function itemCredit(session: number, id: number, items: number, flags = 0): Buffer {
  return frame(CREDIT, { session, id, flags, payload: u32(items) });
}

/** A message with a request stream. Its handler runs and takes no item. */
async function held({ conversation, peer }: Ground): Promise<number> {
  const session = await conversation.open('t.slow');
  peer.write(send(session, 1, { flags: STREAM }));
  return session;
}

/** A message with a request stream. It is settled before its stream has ended. */
async function settledStream({ conversation, peer }: Ground): Promise<number> {
  const session = await conversation.open('t.reject');
  peer.write(send(session, 1, { flags: STREAM }));
  await conversation.rejects(session, 1);
  return session;
}

export const streamRuleCases: readonly ConformanceCase[] = [
  violation(
    'malformed/M69.a',
    ['6.50'],
    'ITEM for a message without STREAM',
    async ({ conversation }) => {
      const session = await conversation.open('t.slow');
      return [send(session, 1), item(session, 1)];
    },
    'PROTOCOL',
  ),
  violation(
    'malformed/M69.b',
    ['6.50'],
    'ITEM for a message that was never sent',
    ({ session }) => [item(session, 1)],
    'PROTOCOL',
  ),
  violation(
    'malformed/M69.c',
    ['6.51'],
    'ITEM with REPLY for a message that was never sent',
    ({ session }) => [item(session, 1, { flags: REPLY })],
    'PROTOCOL',
  ),
  violation(
    'malformed/M70.a',
    ['8.1', '8.15', '8.16'],
    'one ITEM more than the item credit',
    async (ground) => {
      const session = await held(ground);
      const { items } = ground.peer.limits;
      return Array.from({ length: items + 1 }, () => item(session, 1, { payload: 'x' }));
    },
    'FLOW',
  ),
  violation(
    'malformed/M70.b',
    ['8.1', '8.15'],
    'one ITEM with REPLY more than the item credit',
    async ({ conversation, peer }) => {
      const { back } = await conversation.reversed();
      const { items } = peer.limits;
      return Array.from({ length: items + 1 }, () => item(back, 1, { flags: REPLY, payload: 'x' }));
    },
    'FLOW',
  ),
  violation(
    'malformed/M71.a',
    ['6.50'],
    'ITEM after the one with END',
    async (ground) => {
      const session = await held(ground);
      return [item(session, 1, { flags: END }), item(session, 1)];
    },
    'PROTOCOL',
  ),
  violation(
    'malformed/M71.b',
    ['6.51'],
    'ITEM with REPLY after the settlement',
    async ({ conversation }) => {
      const { back } = await conversation.reversed();
      return [accept(back, 1), item(back, 1, { flags: REPLY })];
    },
    'PROTOCOL',
  ),
  violation(
    'malformed/M71.c',
    ['6.51'],
    'ITEM with REPLY of a message with ONEWAY',
    async ({ conversation }) => {
      const { back } = await conversation.reversed({ flags: ONEWAY });
      return [item(back, 1, { flags: REPLY })];
    },
    'PROTOCOL',
  ),
  harmless(
    'malformed/M72.a',
    ['8.21', '8.22'],
    'items of a message that is settled',
    async ({ conversation, peer }) => {
      const session = await conversation.open('t.reject');
      peer.write(send(session, 1, { flags: STREAM }));
      await conversation.rejects(session, 1);
      return [item(session, 1, { payload: 'late' }), item(session, 1, { flags: END })];
    },
  ),
  harmless(
    'malformed/M72.b',
    ['10.8'],
    'ITEM with REPLY of a message that the implementation has cancelled',
    async ({ conversation, peer }) => {
      const { own, back } = await conversation.reversed();
      peer.write(cancel(own, 1));
      await peer.frame(FrameType.CANCEL, back);
      return [item(back, 1, { flags: REPLY, payload: 'late' }), accept(back, 1, { flags: STREAM })];
    },
  ),
  violation(
    'malformed/M51.b',
    ['6.24'],
    'ITEM after END of the session',
    async (ground) => {
      const session = await held(ground);
      return [item(session, 1, { flags: END }), end(session), item(session, 1)];
    },
    'PROTOCOL',
  ),
  violation(
    'malformed/M100.b',
    ['6.53'],
    'ITEM of the acceptor before OPENED',
    async ({ conversation, peer }) => {
      const { own, back } = await conversation.reverse();
      peer.write(send(own, 1));
      // If the implementation sends before OPENED, its message has come by the end of this wait.
      await peer.lull();
      return [item(back, 1, { flags: REPLY })];
    },
    'PROTOCOL',
  ),
  violation(
    'malformed/M115.a',
    ['6.14'],
    'CREDIT for items of a message that was never sent',
    ({ session }) => [itemCredit(session, 1, 99, REPLY)],
    'PROTOCOL',
  ),
  harmless(
    'malformed/M115.b',
    ['6.15', '15.1'],
    'CREDIT for items of a message without STREAM',
    async ({ conversation }) => [itemCredit((await conversation.reversed()).back, 1, 99, REPLY)],
  ),
  violation(
    'malformed/M79.d',
    ['8.4'],
    'CREDIT for items, more than 2^30 ahead',
    async ({ conversation, peer }) => {
      const session = await conversation.open('t.slow');
      peer.write(send(session, 1));
      return [itemCredit(session, 1, 2 ** 30 + 2000)];
    },
    'FLOW',
  ),
  violation(
    'malformed/M116.a',
    ['6.52'],
    'a second ITEM before the first is complete',
    async (ground) => {
      const session = await held(ground);
      return [item(session, 1, { flags: MORE, payload: LEAST }), item(session, 1)];
    },
    'PROTOCOL',
  ),
  violation(
    'malformed/M116.b',
    ['6.52'],
    'a settlement before the item with REPLY is complete',
    async ({ conversation }) => {
      const { back } = await conversation.reversed();
      return [
        item(back, 1, { flags: REPLY | MORE, payload: LEAST }),
        accept(back, 1, { flags: STREAM }),
      ];
    },
    'PROTOCOL',
  ),
  violation(
    'malformed/M125',
    ['6.45'],
    'ACCEPT without STREAM after an ITEM with REPLY',
    async ({ conversation }) => {
      const { back } = await conversation.reversed();
      return [item(back, 1, { flags: REPLY, payload: 'one' }), accept(back, 1)];
    },
    'PROTOCOL',
  ),
  violation(
    'malformed/M116.c',
    ['6.52'],
    'ITEM before its SEND is complete',
    async ({ conversation }) => {
      const session = await conversation.open('t.slow');
      return [send(session, 1, { flags: STREAM | MORE, payload: LEAST }), item(session, 1)];
    },
    'PROTOCOL',
  ),
  violation(
    'malformed/M116.d',
    ['6.52'],
    'ITEM of a message that was refused before its last FRAG',
    async ({ conversation, peer }) => {
      const session = await conversation.open('t.slow');
      const total = peer.limits.maxMessage + 1;
      const flags = STREAM | MORE;
      peer.write(send(session, 1, { flags, meta: { total }, payload: LEAST }));
      await conversation.rejects(session, 1, Code.TOO_LARGE);
      return [item(session, 1)];
    },
    'PROTOCOL',
  ),
  violation(
    'malformed/M116.e',
    ['6.52', '8.21'],
    'a second late item before the first is complete',
    async (ground) => {
      const session = await settledStream(ground);
      return [item(session, 1, { flags: MORE, payload: LEAST }), item(session, 1)];
    },
    'PROTOCOL',
  ),
  violation(
    'malformed/M71.d',
    ['6.50', '8.21'],
    'a late item after the one with END',
    async (ground) => {
      const session = await settledStream(ground);
      return [item(session, 1, { flags: END }), item(session, 1)];
    },
    'PROTOCOL',
  ),
  violation(
    'malformed/M70.c',
    ['8.1', '8.21', '8.22'],
    'one late item more than the item credit',
    async (ground) => {
      const session = await settledStream(ground);
      const { items } = ground.peer.limits;
      return Array.from({ length: items + 1 }, () => item(session, 1, { payload: 'x' }));
    },
    'FLOW',
  ),
  harmless(
    'malformed/M69.d',
    ['6.50', '15.1'],
    'ITEM of a settled message without STREAM',
    async ({ conversation, peer }) => {
      const session = await conversation.open('t.sink');
      peer.write(send(session, 1));
      await conversation.accepts(session, 1, '');
      return [item(session, 1), item(session, 1)];
    },
  ),
  violation(
    'malformed/M58.c',
    ['6.3'],
    'ITEM with MORE and 4095 octets of payload',
    async (ground) => [item(await held(ground), 1, { flags: MORE, payload: LEAST.subarray(1) })],
    'PROTOCOL',
  ),
  violation(
    'malformed/M60.c',
    ['9.4'],
    'ITEM with more octets than its TOTAL',
    async (ground) => [item(await held(ground), 1, { meta: { total: 3 }, payload: 'four' })],
    'PROTOCOL',
  ),
  {
    id: 'malformed/M117',
    clauses: ['6.57'],
    sentence: 'ITEM beyond MAX_MESSAGE, its handler runs: REJECT(FAILED)',
    run: async (subject) => {
      const conversation = await converse(subject);
      const { peer } = conversation;
      const session = await conversation.open('t.slow');
      const total = peer.limits.maxMessage + 1;
      peer.write(
        send(session, 1, { flags: STREAM }),
        item(session, 1, { flags: MORE, meta: { total }, payload: LEAST }),
      );
      await conversation.rejects(session, 1, Code.FAILED);
      peer.write(frag(session, 1, { flags: MORE, payload: LEAST }));
      await conversation.stillWorks();
    },
  },
  {
    id: 'malformed/M118',
    clauses: ['6.58'],
    sentence: 'ITEM with REPLY beyond MAX_MESSAGE: CANCEL, and the outcome is discarded',
    run: async (subject) => {
      const conversation = await converse(subject);
      const { peer } = conversation;
      const { back } = await conversation.reversed();
      const total = peer.limits.maxMessage + 1;
      peer.write(item(back, 1, { flags: REPLY | MORE, meta: { total }, payload: LEAST }));
      await peer.frame(FrameType.CANCEL, back);
      peer.write(frag(back, 1, { flags: REPLY | MORE, payload: LEAST }));
      await conversation.stillWorks();
    },
  },
  harmless(
    'malformed/M119',
    ['6.47'],
    'ITEM and FRAG without REPLY after CANCEL',
    async (ground) => {
      const session = await held(ground);
      return [
        item(session, 1, { flags: MORE, payload: LEAST }),
        cancel(session, 1),
        frag(session, 1, { payload: 'late' }),
        item(session, 1, { flags: END }),
      ];
    },
  ),
];
