/** Messages and settlements that no side may write, and some that are answered or ignored. */
import { Code, Flag, FrameType } from '../../../wire/index.js';
import type { ConformanceCase } from '../conformance-case.js';
import { converse } from '../conversation.js';
import { Skip } from '../mismatch.js';
import { accept, cancel, frag, frame, inFragments, reject, send } from '../octets.js';
import { harmless, violation } from './rows.js';

const { ACCEPT, REJECT } = FrameType;
const { MORE, REPLY, ONEWAY, STREAM, END } = Flag;

export const messageRuleCases: readonly ConformanceCase[] = [
  violation(
    'malformed/M52.b',
    ['4.6', '4.7'],
    'a message id twice',
    ({ session }) => [send(session, 1), send(session, 1)],
    'PROTOCOL',
  ),
  violation(
    'malformed/M52.c',
    ['4.6'],
    'a message id that is left out',
    ({ session }) => [send(session, 1), send(session, 3)],
    'PROTOCOL',
  ),
  violation(
    'malformed/M52.d',
    ['4.6'],
    'a first message with id 2',
    ({ session }) => [send(session, 2)],
    'PROTOCOL',
  ),
  violation(
    'malformed/M65.a',
    ['6.1'],
    'ACCEPT without REPLY',
    async ({ conversation }) => [
      frame(ACCEPT, { session: (await conversation.reversed()).back, id: 1 }),
    ],
    'PROTOCOL',
  ),
  violation(
    'malformed/M65.b',
    ['6.1'],
    'REJECT without REPLY',
    async ({ conversation }) => {
      const { back } = await conversation.reversed();
      return [frame(REJECT, { session: back, id: 1, meta: { code: Code.FAILED } })];
    },
    'PROTOCOL',
  ),
  violation(
    'malformed/M66.a',
    ['7.1'],
    'ACCEPT of a message that was never sent',
    ({ session }) => [accept(session, 1)],
    'PROTOCOL',
  ),
  violation(
    'malformed/M66.b',
    ['7.1'],
    'REJECT of the message after the last',
    async ({ conversation }) => [reject((await conversation.reversed()).back, 2, Code.FAILED)],
    'PROTOCOL',
  ),
  harmless('malformed/M67.a', ['7.1'], 'a second settlement', async ({ conversation }) => {
    const { back } = await conversation.reversed();
    return [accept(back, 1), accept(back, 1), reject(back, 1, Code.FAILED)];
  }),
  violation(
    'malformed/M67.b',
    ['6.40'],
    'a second settlement while the first is in fragments',
    async ({ conversation }) => {
      const { back } = await conversation.reversed();
      return [accept(back, 1, { flags: MORE, payload: Buffer.alloc(4096) }), accept(back, 1)];
    },
    'PROTOCOL',
  ),
  violation(
    'malformed/M67.d',
    ['6.37', '7.1'],
    'a second settlement in fragments: counted as useless, and its FRAG continues nothing',
    async ({ conversation }) => {
      const { back } = await conversation.reversed();
      return [
        accept(back, 1),
        accept(back, 1, { flags: MORE, payload: Buffer.alloc(4096) }),
        frag(back, 1, { flags: REPLY, payload: 'x' }),
      ];
    },
    'PROTOCOL',
  ),
  violation(
    'malformed/M56.e',
    ['6.37'],
    'FRAG of a message that was complete when it was settled',
    async ({ conversation, peer, session }) => {
      peer.write(send(session, 1));
      await conversation.accepts(session, 1, '');
      return [frag(session, 1, { payload: 'x' })];
    },
    'PROTOCOL',
  ),
  harmless(
    'malformed/M68',
    ['7.1'],
    'a settlement of a one-way message',
    async ({ conversation }) => [
      accept((await conversation.reversed({ flags: ONEWAY, payload: 'x' })).back, 1),
    ],
  ),
  harmless(
    'malformed/M74.a',
    ['10.7', '10.8'],
    'a second CANCEL of a message whose handler runs',
    async ({ conversation }) => {
      const session = await conversation.open('t.slow');
      return [send(session, 1), cancel(session, 1), cancel(session, 1)];
    },
  ),
  harmless(
    'malformed/M74.b',
    ['10.8'],
    'CANCEL of a message that is settled',
    async ({ conversation, peer, session }) => {
      peer.write(send(session, 1));
      await conversation.accepts(session, 1, '');
      return [cancel(session, 1)];
    },
  ),
  violation(
    'malformed/M75',
    ['7.1'],
    'CANCEL of a message that was never sent',
    ({ session }) => [cancel(session, 1)],
    'PROTOCOL',
  ),
  violation(
    'malformed/M73',
    ['6.29'],
    'SEND with ONEWAY and STREAM',
    ({ session }) => [send(session, 1, { flags: ONEWAY | STREAM })],
    'PROTOCOL',
  ),
  violation(
    'malformed/M108',
    ['7.1'],
    'ITEM with REPLY and END',
    async ({ conversation }) => {
      const { back } = await conversation.reversed();
      return [frame(FrameType.ITEM, { session: back, id: 1, flags: REPLY | END })];
    },
    'PROTOCOL',
  ),
  {
    id: 'malformed/M112',
    clauses: ['6.35', '6.61'],
    sentence: 'SEND in one frame with a payload above MAX_MESSAGE: REJECT(TOO_LARGE)',
    run: async (subject) => {
      const conversation = await converse(subject);
      const { maxFrame, maxMessage } = conversation.peer.limits;
      if (maxMessage >= maxFrame) {
        throw new Skip(
          `MAX_MESSAGE is ${maxMessage}: a larger message does not fit into MAX_FRAME ${maxFrame}`,
        );
      }
      const session = await conversation.open('t.echo');
      conversation.peer.write(
        send(session, 1, { payload: Buffer.alloc(maxMessage + 1) }),
        send(session, 2, { payload: 'x' }),
      );
      await conversation.rejects(session, 1, Code.TOO_LARGE);
      await conversation.accepts(session, 2, 'x');
    },
  },
  violation(
    'malformed/M113.a',
    ['9.4'],
    'SEND in one frame whose payload is shorter than its TOTAL',
    ({ session }) => [send(session, 1, { meta: { total: 5 }, payload: 'four' })],
    'PROTOCOL',
  ),
  violation(
    'malformed/M113.b',
    ['9.4'],
    'SEND in one frame whose payload is longer than its TOTAL',
    ({ session }) => [send(session, 1, { meta: { total: 3 }, payload: 'four' })],
    'PROTOCOL',
  ),
  violation(
    'malformed/M113.c',
    ['9.4'],
    'ACCEPT in one frame whose payload is shorter than its TOTAL',
    async ({ conversation }) => [
      accept((await conversation.reversed()).back, 1, { meta: { total: 5 }, payload: 'four' }),
    ],
    'PROTOCOL',
  ),
  violation(
    'malformed/M113.d',
    ['9.4'],
    'REJECT in one frame whose payload is longer than its TOTAL',
    async ({ conversation }) => {
      const { back } = await conversation.reversed();
      const meta = { code: Code.FAILED, total: 3 };
      return [frame(REJECT, { session: back, id: 1, flags: REPLY, meta, payload: 'four' })];
    },
    'PROTOCOL',
  ),
  {
    id: 'malformed/M63',
    clauses: ['6.32', '10.3'],
    sentence: 'a message in fragments that stops coming: REJECT(EXPIRED) at its DEADLINE',
    run: async (subject) => {
      const conversation = await converse(subject);
      const session = await conversation.open('t.echo');
      conversation.peer.write(
        send(session, 1, { flags: MORE, meta: { deadline: 30 }, payload: Buffer.alloc(4096) }),
      );
      await conversation.rejects(session, 1, Code.EXPIRED);
      conversation.peer.write(send(session, 2, { payload: 'next' }));
      await conversation.accepts(session, 2, 'next');
    },
  },
  {
    id: 'malformed/M107',
    clauses: ['9.7'],
    sentence:
      'a settlement above the MAX_MESSAGE of its reader: discarded, and the connection goes on',
    run: async (subject) => {
      const conversation = await converse(subject);
      const { peer } = conversation;
      const { maxMessage } = peer.limits;
      if (maxMessage > 2 ** 26) throw new Skip(`MAX_MESSAGE is ${maxMessage}`);
      const { own, back } = await conversation.reversed();
      const payload = Buffer.alloc(maxMessage + 1);
      const parts = { flags: REPLY };
      await conversation.deliver(
        inFragments(ACCEPT, { session: back, id: 1, ...parts }, payload, peer.limits.maxFrame),
      );
      await conversation.rejects(own, 1);
      await conversation.stillWorks();
    },
  },
];
