/** Credit: when the implementation returns credit, and when it waits for credit. */
import { Flag, type Frame, FrameType, readCredit } from '../../../wire/index.js';
import type { ConformanceCase } from '../conformance-case.js';
import { converse, type Conversation } from '../conversation.js';
import { GENEROUS, NARROW } from '../limits.js';
import { demand, Skip } from '../mismatch.js';
import { accept, cancel, credit, end, frame, opened, pattern, ping, send } from '../octets.js';

const { CREDIT, SEND, OPEN, ACCEPT, FRAG } = FrameType;
const ABORT = 0x9001;

export const flowCases: readonly ConformanceCase[] = [
  {
    id: 'flow/returned',
    clauses: ['4.9', '8.7', '8.8', '8.9', '8.10', '8.13'],
    sentence:
      'twice the messages and octets of all credits go through one session, within the credit',
    run: async (subject) => {
      const conversation = await converse(subject);
      const { limits } = conversation.peer;
      const session = await conversation.open('t.sink');
      const length = Math.min(
        32_768,
        limits.effectiveMaxMessage,
        limits.maxFrame,
        limits.sessionBytes - limits.small,
      );
      const octets = 2 * Math.min(limits.bytes, 2 ** 27);
      const count = Math.max(Math.ceil(octets / length), 2 * Math.min(limits.messages, 2000));
      const payload = Buffer.alloc(length);
      for (let id = 1; id <= count; id += 1) {
        await conversation.deliver([send(session, id, { payload })]);
        forget(conversation, ACCEPT);
      }
    },
  },
  {
    id: 'flow/fragments-returned',
    clauses: ['8.9', '8.10', '8.13'],
    sentence:
      'the octets of a message in fragments return to the session before the message is complete',
    run: async (subject) => {
      const conversation = await converse(subject);
      const { limits } = conversation.peer;
      const session = await conversation.open('t.sink');
      const size = Math.min(limits.effectiveMaxMessage, 2 ** 23);
      const length = Math.min(16_384, limits.maxFrame);
      const count = 1 + Math.ceil((2 * limits.sessionBytes) / size);
      for (let id = 1; id <= count; id += 1) {
        for (let at = 0; at < size; at += length) {
          const payload = Buffer.alloc(Math.min(length, size - at));
          const flags = at + length < size ? Flag.MORE : 0;
          const type = at === 0 ? SEND : FRAG;
          await conversation.deliver([frame(type, { session, id, flags, payload })]);
        }
        await conversation.accepts(session, id, '');
      }
    },
  },
  {
    id: 'flow/closed-returned',
    clauses: ['8.11', '8.13'],
    sentence: 'the octets of frames for a closed session return to the connection',
    run: async (subject) => {
      const conversation = await converse(subject);
      const { peer } = conversation;
      const session = await conversation.open('t.sink');
      peer.write(end(session, ABORT));
      await peer.frame(FrameType.END, session);
      const payload = Buffer.alloc(Math.min(peer.limits.maxFrame, 65_536));
      const count = Math.ceil((2 * Math.min(peer.limits.bytes, 2 ** 27)) / payload.length);
      for (let id = 1; id <= count; id += 1) {
        await peer.until('credit of the connection', () =>
          peer.ledger.usedBytes + payload.length <= peer.ledger.bytes ? null : undefined,
        );
        peer.write(send(session, id, { payload }));
      }
      await conversation.stillWorks();
    },
  },
  {
    id: 'flow/count',
    clauses: ['6.12', '8.13'],
    sentence: 'CREDIT for the connection has the count of sequenced frames that were read',
    run: async (subject) => {
      const conversation = await converse(subject);
      const { peer } = conversation;
      const session = await conversation.open('t.sink');
      const length = Math.min(32_768, peer.limits.maxFrame, peer.limits.effectiveMaxMessage);
      const payload = Buffer.alloc(length);
      // CREDIT, PING and ignorable frames are not counted.
      peer.write(credit(0, 0, 0), ping(1), frame(0x8a));
      const isTheirs = ({ type, session: of }: Frame): boolean => type === CREDIT && of === 0;
      for (let id = 1; !peer.frames.some(isTheirs); id += 1) {
        await conversation.deliver([send(session, id, { payload })]);
        await conversation.accepts(session, id, '');
      }
      const { id: count } = await peer.next('CREDIT for the connection', isTheirs);
      const { written } = peer.ledger;
      // The implementation may have written CREDIT before it read the last frame.
      demand(count <= written && count >= written - 1, `a count of ${written}`, count);
    },
  },
  {
    id: 'flow/until-handler-ends',
    clauses: ['8.8', '8.9', '10.7', '15.2'],
    sentence:
      'messages whose DEADLINE has passed keep their credit until their handlers have ended',
    run: async (subject) => {
      const conversation = await converse(subject);
      const { peer } = conversation;
      const { messages } = peer.limits;
      if (messages > 10_000) throw new Skip(`the credit is ${messages} messages`);
      const session = await conversation.open('t.slow');
      const other = await conversation.open('t.slow');
      const deadline = subject.patience;
      for (let id = 1; id <= messages; id += 1)
        peer.write(send(session, id, { meta: { deadline } }));
      await peer.lull();
      for (let id = 1; id <= messages; id += 1) await conversation.rejects(session, id);
      // The messages are settled. CANCEL no longer reaches their handlers.
      for (let id = 1; id <= messages; id += 1) peer.write(cancel(session, id));
      await peer.lull();
      const { messages: before } = peer.ledger.grantedIn(session);
      demand(
        before === messages,
        `a limit of ${messages} messages while their handlers run`,
        before,
      );
      peer.write(send(other, 1, { payload: 'go' }));
      await peer.until('CREDIT when the handlers have ended', () =>
        peer.ledger.grantedIn(session).messages > messages ? null : undefined,
      );
    },
  },
  {
    id: 'flow/obeys-messages',
    clauses: ['6.20', '8.1'],
    sentence: 'a credit of one message: the second comes after CREDIT',
    run: async (subject) => {
      const sessionCredit = { messages: 1, bytes: 2 ** 20, items: 1 };
      const conversation = await converse(subject, { sessionCredit });
      const { peer } = conversation;
      const { own, back } = await conversation.reverse();
      peer.write(opened(back), send(own, 1), send(own, 2));
      await peer.frame(SEND, back);
      await conversation.stillWorks();
      await peer.lull();
      demandNone(conversation, SEND, back);
      peer.write(accept(back, 1), credit(back, 2, 2 ** 20));
      const { id } = await peer.frame(SEND, back);
      demand(id === 2, 'message 2', id);
    },
  },
  {
    id: 'flow/obeys-bytes',
    clauses: ['8.1', '8.2', '8.5'],
    sentence: 'a credit of 32768 octets: requests leave 16384 of them, and go on after CREDIT',
    run: async (subject) => {
      const conversation = await converse(subject, NARROW);
      const { peer } = conversation;
      const { own, back } = await conversation.reverse();
      const payload = pattern(5000);
      peer.write(opened(back));
      for (let id = 1; id <= 4; id += 1) await conversation.deliver([send(own, id, { payload })]);
      await peer.frame(SEND, back);
      await conversation.stillWorks();
      await peer.lull();
      const octets = payload.length + octetsOf(conversation, SEND) + octetsOf(conversation, FRAG);
      demand(octets <= 16_384, 'at most 16384 octets of requests', octets);
      peer.write(credit(back, 1024, 65_536));
      for (let id = 2; id <= 4; id += 1) {
        const next = await conversation.message(back);
        demand(next.id === id, `message ${id}`, next.id);
      }
    },
  },
  {
    id: 'flow/obeys-bytes-of-connection',
    clauses: ['8.1', '8.2', '8.5'],
    sentence: 'a connection credit of 49152 octets: requests of all sessions leave 16384 of them',
    run: async (subject) => {
      const connectionCredit = { opens: 1024, bytes: 49_152 };
      const conversation = await converse(subject, { ...NARROW, connectionCredit });
      const { peer } = conversation;
      const sessions = [];
      for (let count = 1; count <= 3; count += 1) sessions.push(await conversation.reverse());
      for (const { own, back } of sessions) {
        peer.write(opened(back), send(own, 1, { payload: pattern(12_000) }));
      }
      await peer.lull();
      const octets = octetsOf(conversation, SEND) + octetsOf(conversation, FRAG);
      demand(octets <= 32_768, 'at most 32768 octets of requests', octets);
      peer.write(credit(0, 1024, 98_304));
      for (const { back } of sessions) await conversation.message(back);
    },
  },
  {
    id: 'flow/obeys-opens',
    clauses: ['6.20', '8.1'],
    sentence: 'a credit of one session: the second OPEN comes after CREDIT',
    run: async (subject) => {
      const connectionCredit = { opens: 1, bytes: 2 ** 28 };
      const conversation = await converse(subject, { connectionCredit });
      const { peer } = conversation;
      // A dialer has opened `t.echo` already.
      const isUsed = subject.role === 'dialer';
      if (!isUsed) await conversation.reverse();
      const own = await conversation.open('t.reverse');
      await peer.lull();
      demandNone(conversation, OPEN);
      peer.write(credit(0, 2, 2 ** 28));
      const { session } = await peer.frame(OPEN);
      peer.write(opened(session), send(own, 1, { payload: 'x' }));
      await conversation.message(session);
    },
  },
  {
    id: 'flow/obeys-bytes-of-settlements',
    clauses: ['8.1', '8.2'],
    sentence: 'settlements stay within the credit, and go on after CREDIT',
    run: async (subject) => {
      const conversation = await converse(subject, NARROW);
      const { peer } = conversation;
      const session = await conversation.open('t.echo');
      const payload = pattern(15_000);
      const count = Math.min(4, peer.limits.messages);
      for (let id = 1; id <= count; id += 1) {
        await conversation.deliver([send(session, id, { payload })]);
      }
      await conversation.accepts(session, 1, payload);
      await conversation.accepts(session, 2, payload);
      await peer.lull();
      const octets = peer.frames
        .filter((each) => each.session === session && (each.type === ACCEPT || each.type === FRAG))
        .reduce((sum, each) => sum + each.payload.length, 0);
      demand(octets <= 2768, 'at most 2768 octets more', octets);
      peer.write(credit(session, 1024, 32_768 + 65_536));
      for (let id = 3; id <= count; id += 1) await conversation.accepts(session, id, payload);
    },
  },
  {
    id: 'flow/own-credit-of-open',
    clauses: ['6.19'],
    sentence: 'SESSION_CREDIT on OPEN replaces that of HELLO or WELCOME for the answers',
    run: async (subject) => {
      const conversation = await converse(subject, { ...GENEROUS, maxFrame: 16_384 });
      const { peer } = conversation;
      const sessionCredit = { messages: 4, bytes: 32_768, items: 1 };
      const session = await conversation.open('t.echo', { sessionCredit });
      const payload = pattern(15_000);
      const count = Math.min(3, peer.limits.messages);
      for (let id = 1; id <= count; id += 1) {
        await conversation.deliver([send(session, id, { payload })]);
      }
      await conversation.accepts(session, 1, payload);
      await conversation.accepts(session, 2, payload);
      await peer.lull();
      const whole = peer.frames.some(
        ({ type, flags }) => type === ACCEPT && (flags & Flag.MORE) === 0,
      );
      demand(!whole, 'no third answer within 32768 octets', 'a third answer');
      peer.write(credit(session, 4, 2 ** 20));
      await conversation.accepts(session, count, payload);
    },
  },
  {
    id: 'flow/only-raises',
    clauses: ['8.13', '4.9'],
    sentence: 'the limits that CREDIT announces never go down',
    run: async (subject) => {
      const conversation = await converse(subject);
      const { peer } = conversation;
      const session = await conversation.open('t.sink');
      const length = Math.min(16_384, peer.limits.effectiveMaxMessage);
      const count = Math.min(400, 4 + Math.ceil((2 * peer.limits.sessionBytes) / length));
      for (let id = 1; id <= count; id += 1) {
        await conversation.deliver([send(session, id, { payload: Buffer.alloc(length) })]);
      }
      await peer.lull();
      let last = { count: 0, bytes: 0 };
      for (const { type, session: of, payload } of peer.frames) {
        if (type !== CREDIT || of !== session) continue;
        const next = readCredit(payload, 0, payload.length);
        const isHigher = next.count >= last.count && next.bytes >= last.bytes;
        demand(isHigher, `at least ${JSON.stringify(last)}`, JSON.stringify(next));
        last = next;
      }
    },
  },
];

/** Drops all received frames of this type without a check. */
function forget({ peer }: Conversation, type: number): void {
  const rest = peer.frames.filter((each) => each.type !== type);
  peer.frames.splice(0, peer.frames.length, ...rest);
}

function octetsOf({ peer }: Conversation, type: number): number {
  const frames = peer.frames.filter((each) => each.type === type);
  return frames.reduce((sum, each) => sum + each.payload.length, 0);
}

function demandNone({ peer }: Conversation, type: number, session?: number): void {
  const found = peer.frames.some(
    (each) => each.type === type && (session === undefined || each.session === session),
  );
  demand(!found, 'nothing more before CREDIT', 'another frame');
}
