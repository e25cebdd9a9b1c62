/** Messages and their settlements. */
import { Code, Flag, FrameType } from '../../../wire/index.js';
import type { ConformanceCase } from '../conformance-case.js';
import { converse, type Conversation, describeUnit } from '../conversation.js';
import { limitsOf, NARROW } from '../limits.js';
import { demand, Skip } from '../mismatch.js';
import {
  accept,
  cancel,
  field,
  inFragments,
  open,
  opened,
  pattern,
  reject,
  send,
} from '../octets.js';

const { ACCEPT, REJECT } = FrameType;
const { MORE, ONEWAY } = Flag;

/** Checks that no settlement comes in the session except those that the case has already taken. */
async function demandUnsettled({ peer }: Conversation, session: number): Promise<void> {
  await peer.lull();
  const found = peer.frames.filter(
    (each) => (each.type === ACCEPT || each.type === REJECT) && each.session === session,
  );
  const ids = found.map((each) => each.id).join(', ');
  demand(found.length === 0, 'no settlement, or no further one', `a settlement of message ${ids}`);
}

export const messageCases: readonly ConformanceCase[] = [
  {
    id: 'messages/settled-once',
    clauses: ['4.6', '6.32', '6.34', '9.3'],
    sentence: 'many messages in one piece: each is settled once, and the handlers start in order',
    run: async (subject) => {
      const conversation = await converse(subject);
      const session = await conversation.open('t.echo');
      const count = Math.min(100, conversation.peer.limits.messages);
      const ids = Array.from({ length: count }, (_, index) => index + 1);
      conversation.peer.write(...ids.map((id) => send(session, id, { payload: `message ${id}` })));
      for (const id of ids) {
        const [next] = conversation.peer.frames.filter(({ type }) => type === ACCEPT);
        demand(next === undefined || next.id === id, `message ${id} first`, `message ${next?.id}`);
        await conversation.accepts(session, id, `message ${id}`);
      }
      await demandUnsettled(conversation, session);
    },
  },
  {
    id: 'messages/empty',
    clauses: ['6.32'],
    sentence: 'a message without payload is a message, and so is its response',
    run: async (subject) => {
      const conversation = await converse(subject);
      const session = await conversation.open('t.echo');
      conversation.peer.write(send(session, 1));
      await conversation.accepts(session, 1, '');
    },
  },
  {
    id: 'messages/rejected',
    clauses: ['6.32', '6.38'],
    sentence: 'a handler that rejects: REJECT with its code, TEXT and payload',
    run: async (subject) => {
      const conversation = await converse(subject);
      const session = await conversation.open('t.reject');
      conversation.peer.write(send(session, 1, { payload: 'no' }));
      const unit = await conversation.rejects(session, 1, Code.REFUSED);
      demand(unit.payload.toString() === 'no', 'the payload "no"', describeUnit(unit));
    },
  },
  {
    id: 'messages/largest-frame',
    clauses: ['4.1', '4.3', '9.1'],
    sentence: 'a frame whose body has MAX_FRAME octets is read',
    run: async (subject) => {
      const conversation = await converse(subject);
      const { maxFrame, maxMeta, effectiveMaxMessage } = conversation.peer.limits;
      const session = await conversation.open('t.sink');
      const payload = pattern(Math.min(maxFrame, effectiveMaxMessage));
      // If the payload may not fill the frame, an ignorable field fills the rest. Its octets count like any others.
      const rest = Math.min(maxFrame - payload.length, maxMeta);
      const meta = rest < 3 ? Buffer.alloc(0) : field(0x8a, Buffer.alloc(rest - 3));
      conversation.peer.write(send(session, 1, { meta, payload }));
      await conversation.accepts(session, 1, '');
    },
  },
  {
    id: 'messages/one-way',
    clauses: ['6.33', '8.8'],
    sentence: 'one-way messages are not settled, and their credit returns when their handlers end',
    run: async (subject) => {
      const conversation = await converse(subject);
      const { peer } = conversation;
      const session = await conversation.open('t.sink');
      const count = 2 * Math.min(500, peer.limits.messages);
      for (let id = 1; id <= count; id += 1) {
        await conversation.deliver([send(session, id, { flags: ONEWAY, payload: 'x' })]);
      }
      await conversation.stillWorks();
      await demandUnsettled(conversation, session);
    },
  },
  {
    id: 'messages/cancel-waiting',
    clauses: ['6.32', '6.39', '10.8'],
    sentence: 'CANCEL of a message in a session that is not answered yet: REJECT(CANCELLED)',
    run: async (subject) => {
      const conversation = await converse(subject);
      const session = conversation.openMute();
      conversation.peer.write(send(session, 1), cancel(session, 1));
      await conversation.rejects(session, 1, Code.CANCELLED);
      await conversation.stillWorks();
      await demandUnsettled(conversation, session);
    },
  },
  {
    id: 'messages/cancel-running',
    clauses: ['6.32', '10.7', '10.8'],
    sentence:
      'CANCEL of a message whose handler runs: the handler is told, and the message is settled once',
    run: async (subject) => {
      const conversation = await converse(subject);
      const session = await conversation.open('t.slow');
      conversation.peer.write(send(session, 1));
      // After this wait, the handler runs.
      await conversation.peer.lull();
      conversation.peer.write(cancel(session, 1));
      await conversation.rejects(session, 1);
      await conversation.stillWorks();
      await demandUnsettled(conversation, session);
    },
  },
  {
    id: 'messages/cancel-upload',
    clauses: ['6.32', '6.47'],
    sentence: 'CANCEL during an upload: REJECT(CANCELLED), and the next message follows',
    run: async (subject) => {
      const conversation = await converse(subject);
      const session = await conversation.open('t.echo');
      conversation.peer.write(
        send(session, 1, { flags: MORE, payload: Buffer.alloc(4096) }),
        cancel(session, 1),
        send(session, 2, { payload: 'next' }),
      );
      await conversation.rejects(session, 1, Code.CANCELLED);
      await conversation.accepts(session, 2, 'next');
    },
  },
  {
    id: 'messages/expired',
    clauses: ['6.42', '10.2', '10.3'],
    sentence: 'a DEADLINE that passes before the handler starts: REJECT(EXPIRED)',
    run: async (subject) => {
      const conversation = await converse(subject);
      const session = conversation.openMute();
      conversation.peer.write(send(session, 1, { meta: { deadline: 30 } }));
      await conversation.rejects(session, 1, Code.EXPIRED);
    },
  },
  {
    id: 'messages/deadline',
    clauses: ['10.2', '10.3'],
    sentence: 'a DEADLINE that passes while the handler runs: REJECT(DEADLINE), once',
    run: async (subject) => {
      const conversation = await converse(subject);
      const session = await conversation.open('t.slow');
      conversation.peer.write(send(session, 1, { meta: { deadline: subject.patience } }));
      await conversation.peer.lull();
      await conversation.rejects(session, 1, Code.DEADLINE);
      // The handler settles the message late. The implementation must not write this second settlement.
      conversation.peer.write(send(session, 2, { payload: 'go' }));
      await conversation.accepts(session, 2, '');
      await demandUnsettled(conversation, session);
    },
  },
  {
    id: 'messages/own-ids',
    clauses: ['4.6', '6.32'],
    sentence:
      'the messages of the implementation have the ids 1, 2, 3, and it accepts their settlements',
    run: async (subject) => {
      const conversation = await converse(subject);
      const { own, back } = await conversation.reverse();
      conversation.peer.write(opened(back));
      for (let id = 1; id <= 3; id += 1) {
        conversation.peer.write(send(own, id, { payload: `there ${id}` }));
        const message = await conversation.message(back);
        demand(message.id === id, `message ${id}`, `message ${message.id}`);
        demand(message.payload.toString() === `there ${id}`, 'its payload', describeUnit(message));
        conversation.peer.write(accept(back, id, { payload: `and back ${id}` }));
        await conversation.accepts(own, id, `and back ${id}`);
      }
    },
  },
  {
    id: 'messages/own-rejected',
    clauses: ['6.38', '13.1'],
    sentence:
      'REJECT with a code that PROTOCOL.md does not define: treated by its class, and passed on',
    run: async (subject) => {
      const conversation = await converse(subject);
      const { own, back } = await conversation.reversed();
      conversation.peer.write(reject(back, 1, 0x7ffe));
      await conversation.rejects(own, 1);
      await conversation.stillWorks();
    },
  },
  {
    id: 'messages/own-deadline',
    clauses: ['10.1'],
    sentence:
      'a DEADLINE that is passed on is the remaining time: at least 1, and at most the original',
    run: async (subject) => {
      const conversation = await converse(subject);
      const { own, back } = await conversation.reverse();
      conversation.peer.write(opened(back), send(own, 1, { meta: { deadline: 10_000 } }));
      const { meta } = await conversation.message(back);
      const { deadline = 0 } = meta;
      demand(deadline >= 1 && deadline <= 10_000, 'a DEADLINE from 1 to 10000', deadline);
    },
  },
  {
    id: 'messages/own-cancel',
    clauses: ['6.48', '10.8'],
    sentence: 'the implementation cancels a message: one CANCEL, and the outcome is discarded',
    run: async (subject) => {
      const conversation = await converse(subject);
      const { own, back } = await conversation.reversed();
      conversation.peer.write(cancel(own, 1));
      await conversation.peer.frame(FrameType.CANCEL, back);
      conversation.peer.write(accept(back, 1, { payload: 'late' }));
      await conversation.rejects(own, 1);
      await conversation.stillWorks();
      const again = conversation.peer.frames.some(({ type }) => type === FrameType.CANCEL);
      demand(!again, 'one CANCEL', 'a second one');
    },
  },
  {
    id: 'messages/own-one-way',
    clauses: ['6.33'],
    sentence: 'one-way messages of the implementation have ONEWAY, and need no settlement',
    run: async (subject) => {
      const conversation = await converse(subject);
      const { own, back } = await conversation.reverse();
      conversation.peer.write(opened(back), send(own, 1, { flags: ONEWAY, payload: 'x' }));
      const { flags, meta } = await conversation.message(back);
      demand((flags & ONEWAY) !== 0, 'SEND with ONEWAY', `flags ${flags}`);
      demand(meta.deadline === undefined, 'no DEADLINE', `DEADLINE ${meta.deadline}`);
      await conversation.stillWorks();
      await demandUnsettled(conversation, own);
    },
  },
  {
    id: 'messages/reply-too-large',
    clauses: ['6.41'],
    sentence: 'a response above the MAX_MESSAGE of its reader: REJECT(REPLY_TOO_LARGE)',
    run: async (subject) => {
      const conversation = await converse(subject, { maxMessage: 1000 });
      const session = await conversation.open('t.echo');
      conversation.peer.write(send(session, 1, { payload: pattern(1001) }));
      await conversation.rejects(session, 1, Code.REPLY_TOO_LARGE);
      conversation.peer.write(send(session, 2, { payload: pattern(1000) }));
      await conversation.accepts(session, 2, pattern(1000));
    },
  },
  {
    id: 'messages/reply-effective',
    clauses: ['6.35', '6.41'],
    sentence: 'a response above the effective MAX_MESSAGE of its reader: REJECT(REPLY_TOO_LARGE)',
    run: async (subject) => {
      const connectionCredit = { opens: 1024, bytes: 49_152 };
      const conversation = await converse(subject, { ...NARROW, connectionCredit });
      const { limits } = conversation.peer;
      const most = limitsOf({ ...NARROW, connectionCredit }).effectiveMaxMessage;
      if (limits.effectiveMaxMessage <= most)
        throw new Skip('the implementation accepts no larger message itself');
      const session = await conversation.open('t.echo');
      const sizes = [most + 1, most];
      for (const [index, size] of sizes.entries()) {
        const units = inFragments(
          FrameType.SEND,
          { session, id: index + 1 },
          pattern(size),
          16_384,
        );
        await conversation.deliver(units);
      }
      await conversation.rejects(session, 1, Code.REPLY_TOO_LARGE);
      await conversation.accepts(session, 2, pattern(most));
    },
  },
  {
    id: 'messages/own-too-large',
    clauses: ['6.35'],
    sentence: 'a message above the MAX_MESSAGE of its reader is not sent',
    run: async (subject) => {
      const conversation = await converse(subject, { maxMessage: 1000 });
      const { own, back } = await conversation.reverse();
      conversation.peer.write(opened(back), send(own, 1, { payload: pattern(1001) }));
      await conversation.rejects(own, 1);
      await conversation.peer.lull();
      const sent = conversation.peer.frames.some(({ type }) => type === FrameType.SEND);
      demand(!sent, 'no SEND', 'a SEND');
    },
  },
  {
    id: 'messages/late-open',
    clauses: ['6.31', '6.39'],
    sentence: 'OPENED comes late: neither SEND nor ACCEPT of the acceptor comes before it',
    run: async (subject) => {
      const conversation = await converse(subject);
      const session = conversation.nextSession();
      conversation.peer.write(open(session, 't.echo'), send(session, 1));
      const first = await conversation.peer.next(
        'OPENED',
        (each) => each.session === session && each.type !== FrameType.CREDIT,
      );
      demand(first.type === FrameType.OPENED, 'OPENED first', `type ${first.type}`);
      await conversation.accepts(session, 1, '');
    },
  },
];
