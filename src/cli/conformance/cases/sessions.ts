/** Sessions: their numbers, their answers, and the three ways in which they end. */
import { Code, describeFrame, Flag, type Frame, FrameType } from '../../../wire/index.js';
import type { ConformanceCase } from '../conformance-case.js';
import { converse, type Conversation } from '../conversation.js';
import { demand } from '../mismatch.js';
import { cancel, end, open, opened, send } from '../octets.js';
import { harmless } from './rows.js';

const { OPENED, END } = FrameType;
/** An application's own code. */
const ABORT = 0x9001;

/**
 * Checks that no frame of the session comes, or none of these types, except those that the case has already taken.
 */
async function demandQuiet(
  conversation: Conversation,
  session: number,
  ...types: number[]
): Promise<void> {
  await conversation.peer.lull();
  demandNone(conversation, session, ...types);
}

function demandNone({ peer }: Conversation, session: number, ...types: number[]): void {
  const found = peer.frames.find(
    (each) => each.session === session && (types.length === 0 || types.includes(each.type)),
  );
  demand(
    found === undefined,
    `no further frame of session ${session}`,
    found === undefined ? '' : describeFrame(found),
  );
}

/** Waits for END of a session with this code. If no code is given, any code but 0 will do. */
async function ended(conversation: Conversation, session: number, code?: number): Promise<Frame> {
  const answer = await conversation.peer.frame(END, session);
  const actual = answer.meta.code ?? 0;
  const expected = code === undefined ? 'END with a code' : `END with the code ${code}`;
  demand(code === undefined ? actual !== 0 : actual === code, expected, describeFrame(answer));
  return answer;
}

export const sessionCases: readonly ConformanceCase[] = [
  harmless(
    'sessions/skipped-number',
    ['4.5'],
    'SEND and END for a number that was skipped',
    async ({ conversation }) => {
      const skipped = conversation.nextSession();
      await conversation.open('t.echo');
      return [send(skipped, 1), end(skipped)];
    },
  ),
  {
    id: 'sessions/answered-once',
    clauses: ['6.18', '6.22'],
    sentence:
      'each OPEN has one answer: OPENED, or END with a code of class 03 for an unknown name',
    run: async (subject) => {
      const conversation = await converse(subject);
      const names = ['t.echo', 'nobody serves this', 't.sink'];
      const sessions = names.map((name) => ({ name, number: conversation.nextSession() }));
      conversation.peer.write(...sessions.map(({ name, number }) => open(number, name)));
      for (const { name, number } of sessions) {
        if (name.startsWith('t.')) {
          await conversation.peer.frame(OPENED, number);
          continue;
        }
        const { meta } = await ended(conversation, number);
        demand((meta.code ?? 0) >>> 8 === 3, 'a code of class 03', String(meta.code));
      }
      await conversation.peer.lull();
      for (const { number } of sessions) demandNone(conversation, number, OPENED, END);
    },
  },
  {
    id: 'sessions/same-name',
    clauses: ['4.6', '6.18'],
    sentence: 'two sessions with the same name are independent: each has its own message 1',
    run: async (subject) => {
      const conversation = await converse(subject);
      const first = await conversation.open('t.echo');
      const second = await conversation.open('t.echo');
      conversation.peer.write(
        send(first, 1, { payload: 'first' }),
        send(second, 1, { payload: 'second' }),
      );
      await conversation.accepts(first, 1, 'first');
      await conversation.accepts(second, 1, 'second');
    },
  },
  {
    id: 'sessions/refusal-drops',
    clauses: ['6.18', '6.22', '6.32'],
    sentence: 'messages sent ahead in a session that is refused: END, and no settlement',
    run: async (subject) => {
      const conversation = await converse(subject);
      const session = conversation.nextSession();
      conversation.peer.write(
        open(session, 'nobody serves this'),
        send(session, 1),
        send(session, 2),
      );
      await ended(conversation, session);
      await conversation.stillWorks();
      await demandQuiet(conversation, session);
    },
  },
  {
    id: 'sessions/ahead',
    clauses: ['6.18', '6.32', '6.34'],
    sentence: 'OPEN, messages and END in one piece: OPENED, all settlements and END',
    run: async (subject) => {
      const conversation = await converse(subject);
      const session = conversation.nextSession();
      const payloads = ['one', 'two', 'three'];
      conversation.peer.write(
        open(session, 't.echo'),
        ...payloads.map((payload, index) => send(session, index + 1, { payload })),
        end(session),
      );
      await conversation.peer.frame(OPENED, session);
      for (const [index, payload] of payloads.entries()) {
        await conversation.accepts(session, index + 1, payload);
      }
      await ended(conversation, session, 0);
      await demandQuiet(conversation, session, OPENED, END, FrameType.ACCEPT, FrameType.REJECT);
    },
  },
  {
    id: 'sessions/ahead-one-way',
    clauses: ['6.25', '6.26', '6.34'],
    sentence: 'OPEN, a one-way message and END in one piece: OPENED, and the handler runs',
    run: async (subject) => {
      const conversation = await converse(subject);
      const session = conversation.nextSession();
      conversation.peer.write(
        open(session, 't.reverse'),
        send(session, 1, { flags: Flag.ONEWAY, payload: 'x' }),
        end(session),
      );
      await conversation.peer.frame(OPENED, session);
      const { session: back } = await conversation.peer.frame(FrameType.OPEN);
      conversation.peer.write(opened(back));
      const { payload } = await conversation.message(back);
      demand(payload.toString() === 'x', 'the message in t.back', `${payload.length} octets`);
      await ended(conversation, session, 0);
    },
  },
  {
    id: 'sessions/numbers',
    clauses: ['4.5'],
    sentence: 'the sessions of the implementation have its parity, and numbers that increase',
    run: async (subject) => {
      const conversation = await converse(subject);
      const { back: first } = await conversation.reverse();
      const { back: second } = await conversation.reverse();
      const parity = subject.role === 'dialer' ? 1 : 0;
      demand(first % 2 === parity, parity === 1 ? 'an odd number' : 'an even number', first);
      demand(second % 2 === parity && second > first, `a number above ${first}`, second);
    },
  },
  {
    id: 'sessions/refusal-unanswered',
    clauses: ['6.22'],
    sentence: 'a refusal of a session of the implementation: the implementation does not answer it',
    run: async (subject) => {
      const conversation = await converse(subject);
      const { own, back } = await conversation.reverse();
      conversation.peer.write(end(back, Code.NO_SUCH_SESSION), send(own, 1));
      await conversation.rejects(own, 1);
      await demandQuiet(conversation, back, END);
    },
  },
  {
    id: 'sessions/end',
    clauses: ['6.25', '6.26'],
    sentence: 'END with code 0: answered by END with code 0, and the session is closed',
    run: async (subject) => {
      const conversation = await converse(subject);
      const session = await conversation.open('t.echo');
      conversation.peer.write(end(session));
      await ended(conversation, session, 0);
      await conversation.stillWorks();
      await demandQuiet(conversation, session);
    },
  },
  {
    id: 'sessions/end-unsettled',
    clauses: ['6.25', '6.26', '6.32'],
    sentence: 'END with an unsettled message: the session stays until the message is settled',
    run: async (subject) => {
      const conversation = await converse(subject);
      const session = await conversation.open('t.slow');
      conversation.peer.write(send(session, 1), end(session));
      await ended(conversation, session, 0);
      conversation.peer.write(cancel(session, 1));
      await conversation.rejects(session, 1);
      await conversation.stillWorks();
    },
  },
  {
    id: 'sessions/end-pending',
    clauses: ['6.25'],
    sentence: 'END of a session that is not answered yet, with nothing unsettled: END with code 0',
    run: async (subject) => {
      const conversation = await converse(subject);
      const session = conversation.openMute();
      conversation.peer.write(end(session));
      await ended(conversation, session, 0);
      await conversation.stillWorks();
    },
  },
  {
    id: 'sessions/abort',
    clauses: ['6.27'],
    sentence:
      'an abort is answered by END with code 0, and no message of the session is settled after it',
    run: async (subject) => {
      const conversation = await converse(subject);
      const session = await conversation.open('t.slow');
      const other = await conversation.open('t.slow');
      conversation.peer.write(send(session, 1), end(session, ABORT));
      await ended(conversation, session, 0);
      // The handler goes on, but its settlement must not be written.
      conversation.peer.write(send(other, 1, { payload: 'go' }));
      await conversation.accepts(other, 1, '');
      await demandQuiet(conversation, session);
    },
  },
  {
    id: 'sessions/abort-pending',
    clauses: ['6.27'],
    sentence: 'an abort of a session that is not answered yet: END with code 0',
    run: async (subject) => {
      const conversation = await converse(subject);
      const session = conversation.openMute();
      conversation.peer.write(send(session, 1), end(session, ABORT));
      await ended(conversation, session, 0);
      await conversation.stillWorks();
      await demandQuiet(conversation, session);
    },
  },
  {
    id: 'sessions/abort-after-end',
    clauses: ['6.27', '6.28'],
    sentence: 'an abort after END: the session is closed, and END is not written twice',
    run: async (subject) => {
      const conversation = await converse(subject);
      const session = await conversation.open('t.slow');
      conversation.peer.write(send(session, 1), end(session));
      await ended(conversation, session, 0);
      conversation.peer.write(end(session, ABORT));
      await conversation.stillWorks();
      await demandQuiet(conversation, session);
    },
  },
  {
    id: 'sessions/end-of-the-other',
    clauses: ['6.25', '6.26'],
    sentence: 'the implementation ends a session: END with code 0, after the settlement',
    run: async (subject) => {
      const conversation = await converse(subject);
      const session = await conversation.open('t.close');
      conversation.peer.write(send(session, 1, { payload: 'session' }));
      await conversation.accepts(session, 1, '');
      await ended(conversation, session, 0);
      conversation.peer.write(end(session));
      await conversation.stillWorks();
      await demandQuiet(conversation, session, END);
    },
  },
  {
    id: 'sessions/timeout',
    clauses: ['10.2', '10.4'],
    sentence: 'a session that is neither accepted nor refused in time: END(SESSION_TIMEOUT)',
    run: async (subject) => {
      const conversation = await converse(subject);
      const session = conversation.openMute({ deadline: 30 });
      await ended(conversation, session, Code.SESSION_TIMEOUT);
      await conversation.stillWorks();
    },
  },
  {
    id: 'sessions/opens-return',
    clauses: ['6.20', '8.12', '8.13'],
    sentence:
      'sessions that have ended return their opens credit: twice the limit can be opened in turn',
    run: async (subject) => {
      const conversation = await converse(subject);
      const { peer } = conversation;
      const count = 2 * peer.limits.opens;
      for (let opens = 1; opens <= count; opens += 1) {
        await peer.until(`credit for session ${opens}`, () =>
          peer.ledger.opens >= opens ? null : undefined,
        );
        const session = conversation.nextSession();
        peer.write(open(session, 't.sink'), end(session));
        // If END comes before the application has decided, the application need not decide any more: END is the only
        // answer.
        const answer = await peer.next(
          `OPENED or END for session ${session}`,
          (each) => each.session === session && (each.type === OPENED || each.type === END),
        );
        if (answer.type === OPENED) await ended(conversation, session, 0);
        else demand((answer.meta.code ?? 0) === 0, 'END with code 0', describeFrame(answer));
      }
    },
  },
];
