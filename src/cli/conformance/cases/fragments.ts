/**
 * Messages, items and settlements in fragments: where they are cut, which frames may come between, and how a side
 * stops.
 */
import { Code, encodeMeta, Flag, type Frame, FrameType } from '../../../wire/index.js';
import type { ConformanceCase } from '../conformance-case.js';
import { converse } from '../conversation.js';
import { GENEROUS, NARROW } from '../limits.js';
import { demand, Skip } from '../mismatch.js';
import { credit, frag, inFragments, opened, pattern, ping, reject, send } from '../octets.js';
import { violation } from './rows.js';

const { SEND, FRAG, CANCEL, PONG } = FrameType;
const { MORE, REPLY } = Flag;
const LEAST = Buffer.alloc(4096, 'a');

export const fragmentCases: readonly ConformanceCase[] = [
  violation(
    'malformed/M55',
    ['6.30'],
    'SEND while another SEND of the same side is incomplete in the session',
    ({ session }) => [send(session, 1, { flags: MORE, payload: LEAST }), send(session, 2)],
    'PROTOCOL',
  ),
  violation(
    'malformed/M56.a',
    ['6.37'],
    'FRAG without a first frame',
    ({ session }) => [frag(session, 1, { payload: 'x' })],
    'PROTOCOL',
  ),
  violation(
    'malformed/M56.b',
    ['6.37'],
    'FRAG after the last frame of a message',
    ({ session }) => [
      send(session, 1, { flags: MORE, payload: LEAST }),
      frag(session, 1, { payload: 'x' }),
      frag(session, 1, { payload: 'x' }),
    ],
    'PROTOCOL',
  ),
  violation(
    'malformed/M56.c',
    ['6.37'],
    'FRAG of another message than the incomplete one',
    ({ session }) => [
      send(session, 1, { flags: MORE, payload: LEAST }),
      frag(session, 2, { payload: 'x' }),
    ],
    'PROTOCOL',
  ),
  violation(
    'malformed/M56.d',
    ['6.37'],
    'FRAG with REPLY without a settlement in fragments',
    async ({ conversation }) => [
      frag((await conversation.reversed()).back, 1, { flags: REPLY, payload: 'x' }),
    ],
    'PROTOCOL',
  ),
  violation(
    'malformed/M58.a',
    ['6.3'],
    'SEND with MORE and 4095 octets of payload',
    ({ session }) => [send(session, 1, { flags: MORE, payload: LEAST.subarray(1) })],
    'PROTOCOL',
  ),
  violation(
    'malformed/M58.b',
    ['6.3'],
    'FRAG with MORE and 4095 octets of payload',
    ({ session }) => [
      send(session, 1, { flags: MORE, payload: LEAST }),
      frag(session, 1, { flags: MORE, payload: LEAST.subarray(1) }),
    ],
    'PROTOCOL',
  ),
  violation(
    'malformed/M59',
    ['6.36'],
    'FRAG without payload',
    ({ session }) => [send(session, 1, { flags: MORE, payload: LEAST }), frag(session, 1)],
    'PROTOCOL',
  ),
  violation(
    'malformed/M60.a',
    ['9.4'],
    'a message in fragments with one octet more than its TOTAL',
    ({ session }) => [
      send(session, 1, { flags: MORE, meta: { total: 4100 }, payload: LEAST }),
      frag(session, 1, { payload: 'five!' }),
    ],
    'PROTOCOL',
  ),
  violation(
    'malformed/M60.b',
    ['9.4'],
    'a message in fragments with one octet less than its TOTAL',
    ({ session }) => [
      send(session, 1, { flags: MORE, meta: { total: 4100 }, payload: LEAST }),
      frag(session, 1, { payload: 'abc' }),
    ],
    'PROTOCOL',
  ),
  {
    id: 'malformed/M61',
    clauses: ['6.35', '6.37', '7.1', '8.11'],
    sentence: 'TOTAL above MAX_MESSAGE: REJECT(TOO_LARGE) at once, and the FRAGs are ignored',
    run: async (subject) => {
      const conversation = await converse(subject);
      const session = await conversation.open('t.echo');
      const total = conversation.peer.limits.maxMessage + 1;
      conversation.peer.write(send(session, 1, { flags: MORE, meta: { total }, payload: LEAST }));
      await conversation.rejects(session, 1, Code.TOO_LARGE);
      conversation.peer.write(
        frag(session, 1, { flags: MORE, payload: LEAST }),
        frag(session, 1, { flags: MORE, payload: LEAST }),
        send(session, 2, { payload: 'next' }),
      );
      await conversation.accepts(session, 2, 'next');
    },
  },
  {
    id: 'malformed/M62',
    clauses: ['7.1', '8.10', '9.5'],
    sentence:
      'a message without TOTAL that grows beyond MAX_MESSAGE: REJECT(TOO_LARGE), and the rest is ignored',
    run: async (subject) => {
      const conversation = await converse(subject);
      const { maxMessage, maxFrame } = conversation.peer.limits;
      if (maxMessage > 2 ** 26) throw new Skip(`MAX_MESSAGE is ${maxMessage}`);
      const session = await conversation.open('t.echo');
      const size = Math.min(maxFrame, 16_384);
      const payload = Buffer.alloc(maxMessage + 4096 + 1);
      await conversation.deliver(inFragments(SEND, { session, id: 1 }, payload, size));
      await conversation.rejects(session, 1, Code.TOO_LARGE);
      await conversation.deliver([send(session, 2, { payload: 'next' })]);
      await conversation.accepts(session, 2, 'next');
    },
  },
  {
    id: 'malformed/M64',
    clauses: ['8.14'],
    sentence:
      'incomplete messages in many sessions that fill all credit but the reserve: REJECT(BUSY) of one',
    run: async (subject) => {
      const conversation = await converse(subject);
      const { peer } = conversation;
      const { limits, ledger } = peer;
      const share = Math.min(limits.effectiveMaxMessage - 1, limits.sessionBytes - limits.small);
      const sessions: number[] = [];
      let session = 0;
      let begun = 0;
      // The last session begins another message, so that at least two messages are incomplete.
      while (limits.bytes - ledger.usedBytes >= limits.small + 4096) {
        if (begun === 0) {
          if (sessions.length + 1 >= limits.opens) throw new Skip('the opens credit is too small');
          session = await conversation.open('t.echo');
          sessions.push(session);
        }
        const left = Math.min(
          limits.bytes - ledger.usedBytes - limits.small,
          share - begun,
          limits.maxFrame,
        );
        const payload = Buffer.alloc(Math.max(4096, left));
        peer.write(
          begun === 0
            ? send(session, 1, { flags: MORE, payload })
            : frag(session, 1, { flags: MORE, payload }),
        );
        begun += payload.length;
        if (share - begun < 4096) begun = 0;
      }
      const rejected = await peer.next('REJECT(BUSY)', ({ type }) => type === FrameType.REJECT);
      demand(rejected.meta.code === Code.BUSY, 'REJECT(BUSY)', `code ${rejected.meta.code}`);
      demand(
        sessions.includes(rejected.session),
        'REJECT(BUSY) of one of the messages',
        rejected.session,
      );
      await peer.fence();
    },
  },
  {
    id: 'fragments/identical',
    clauses: ['6.3', '9.1', '9.2', '9.3', '9.4'],
    sentence:
      'a message in the smallest fragments comes back octet for octet, in frames that its reader accepts',
    run: async (subject) => {
      const conversation = await converse(subject, NARROW);
      const { peer } = conversation;
      const size = Math.min(50_000, peer.limits.effectiveMaxMessage);
      const payload = pattern(size);
      const session = await conversation.open('t.echo');
      await conversation.deliver(
        inFragments(SEND, { session, id: 1, meta: { total: size } }, payload, 4096),
      );
      // The session credit bounds the first part of the answer. The rest follows when there is credit.
      const answer = conversation.accepts(session, 1, payload);
      peer.write(credit(session, 1024, 32_768 + size + 8192));
      const { frames, meta } = await answer;
      for (const each of frames) {
        const body = each.payload.length;
        demand(body <= 16_384, 'at most 16384 octets of body', body);
        const isCut = (each.flags & MORE) !== 0;
        demand(!isCut || body >= 4096, 'MORE with at least 4096 octets', body);
      }
      const total = meta.total ?? size;
      demand(total === size, `TOTAL ${size}, or none`, total);
    },
  },
  {
    id: 'fragments/without-total',
    clauses: ['9.3', '9.5'],
    sentence: 'a message in fragments without TOTAL is accepted',
    run: async (subject) => {
      const conversation = await converse(subject);
      const session = await conversation.open('t.echo');
      const payload = pattern(12_289);
      conversation.peer.write(...inFragments(SEND, { session, id: 1 }, payload, 4096));
      await conversation.accepts(session, 1, payload);
    },
  },
  {
    id: 'fragments/interleaved',
    clauses: ['9.3', '9.8'],
    sentence: 'the fragments of two messages, in two sessions and in turn, arrive as two messages',
    run: async (subject) => {
      const conversation = await converse(subject);
      const payloads = [pattern(20_000), pattern(16_000).reverse()];
      const sessions = [await conversation.open('t.echo'), await conversation.open('t.echo')];
      const units = sessions.map((session, index) =>
        inFragments(SEND, { session, id: 1 }, payloads[index] ?? LEAST, 4096),
      );
      for (let at = 0; at < 5; at += 1) {
        conversation.peer.write(...units.flatMap((unit) => unit.slice(at, at + 1)));
      }
      for (const [index, session] of sessions.entries()) {
        await conversation.accepts(session, 1, payloads[index] ?? LEAST);
      }
    },
  },
  {
    id: 'fragments/between',
    clauses: ['9.8', '6.10', '8.7'],
    sentence: 'during an upload, PING and the messages of other sessions are answered',
    run: async (subject) => {
      const conversation = await converse(subject);
      const { peer } = conversation;
      const long = await conversation.open('t.echo');
      const short = await conversation.open('t.echo');
      peer.write(send(long, 1, { flags: MORE, payload: LEAST }), ping(5));
      await peer.next('PONG', ({ type, id }) => type === PONG && id === 5);
      peer.write(send(short, 1, { payload: 'short' }));
      await conversation.accepts(short, 1, 'short');
      peer.write(frag(long, 1, { payload: 'end' }));
      await conversation.accepts(long, 1, Buffer.concat([LEAST, Buffer.from('end')]));
    },
  },
  {
    id: 'fragments/own-whole',
    clauses: ['6.3', '8.1', '8.2', '8.5', '9.1', '9.3', '9.4'],
    sentence: 'a message of the implementation in fragments: within the credit, and unchanged',
    run: async (subject) => {
      const conversation = await converse(subject, NARROW);
      const { peer } = conversation;
      const size = Math.min(50_000, peer.limits.effectiveMaxMessage);
      const payload = pattern(size);
      const { own, back } = await conversation.reverse();
      peer.write(opened(back));
      await conversation.deliver(inFragments(SEND, { session: own, id: 1 }, payload, 16_384));
      const first = await peer.next(
        'SEND',
        ({ type, session }) => type === SEND && session === back,
      );
      const parts = [first];
      let used = bodyOf(first);
      let limit = 32_768;
      while (((parts.at(-1)?.flags ?? 0) & MORE) !== 0) {
        const isNext = ({ type, session }: Frame): boolean => type === FRAG && session === back;
        const most = limit - 16_384;
        demand(used <= most, `at most ${most} octets, the reserve included`, used);
        if (!peer.frames.some(isNext)) await peer.lull();
        if (!peer.frames.some(isNext)) {
          limit += 16_384;
          peer.write(credit(back, 1024, limit));
        }
        const next = await peer.frame(FRAG, back);
        used += bodyOf(next);
        parts.push(next);
      }
      const whole = Buffer.concat(parts.map((each) => each.payload));
      demand(whole.equals(payload), 'the payload as it was sent', `${whole.length} octets`);
      demand(
        (first.meta.total ?? size) === size,
        `TOTAL ${size}, or none`,
        String(first.meta.total),
      );
    },
  },
  {
    id: 'fragments/own-stopped',
    clauses: ['9.6'],
    sentence:
      'a settlement within a message of the implementation: it sends no further FRAG, and no CANCEL',
    run: async (subject) => {
      const conversation = await converse(subject, NARROW);
      const { peer } = conversation;
      const { own, back } = await conversation.reverse();
      const size = Math.min(50_000, peer.limits.effectiveMaxMessage);
      peer.write(opened(back));
      await conversation.deliver(inFragments(SEND, { session: own, id: 1 }, pattern(size), 16_384));
      const first = await peer.frame(SEND, back);
      demand((first.flags & MORE) !== 0, 'SEND with MORE: the credit is 32768 octets', first.flags);
      peer.write(reject(back, 1, Code.FAILED));
      await conversation.rejects(own, 1);
      peer.frames.length = 0;
      peer.write(credit(back, 1024, 2 ** 20));
      await conversation.deliver([send(own, 2, { payload: 'next' })]);
      const next = await conversation.message(back);
      demand(next.id === 2, 'message 2', next.id);
      await peer.lull();
      const late = peer.frames.find(
        ({ type, session }) => session === back && (type === FRAG || type === CANCEL),
      );
      demand(late === undefined, 'neither FRAG nor CANCEL', `type ${late?.type}`);
    },
  },
  {
    id: 'fragments/settlements-beside',
    clauses: ['9.3', '9.8'],
    sentence: 'settlements of two messages, in fragments and in turn, arrive as two settlements',
    run: async (subject) => {
      const conversation = await converse(subject, GENEROUS);
      const { peer } = conversation;
      const { own, back } = await conversation.reversed();
      await conversation.deliver([send(own, 2, { payload: 'second' })]);
      await conversation.message(back);
      const size = Math.min(12_000, peer.limits.effectiveMaxMessage);
      const payloads = [pattern(size), pattern(size).reverse()];
      const units = payloads.map((payload, index) =>
        inFragments(
          FrameType.ACCEPT,
          { session: back, id: index + 1, flags: REPLY },
          payload,
          4096,
        ),
      );
      for (let at = 0; at < 3; at += 1)
        peer.write(...units.flatMap((unit) => unit.slice(at, at + 1)));
      for (const [index, payload] of payloads.entries()) {
        await conversation.accepts(own, index + 1, payload);
      }
    },
  },
];

/** The octets that count against the credit: the meta and the payload. */
function bodyOf({ meta, payload }: Frame): number {
  return encodeMeta(meta).length + payload.length;
}
