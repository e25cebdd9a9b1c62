/** Floods: frames that are legal one by one, and an attack in large numbers. */
import { Code, FrameType } from '../../../wire/index.js';
import type { ConformanceCase } from '../conformance-case.js';
import { accept, cancel, credit, end, frame, open, ping, send } from '../octets.js';
import { converse, type Conversation } from '../conversation.js';

/**
 * Far more than the flood budget of PROTOCOL.md, §15.3: an implementation with a flood budget cannot accept this
 * number.
 */
const MANY = 5000;

type Make = (conversation: Conversation) => Promise<(index: number) => Buffer[]>;

function flood(id: string, clauses: readonly string[], what: string, make: Make): ConformanceCase {
  return {
    id,
    clauses: ['15.1', ...clauses],
    sentence: `${MANY} times ${what}: CLOSE(CALM)`,
    run: async (subject) => {
      const conversation = await converse(subject);
      const each = await make(conversation);
      const octets = Array.from({ length: MANY }, (_, index) => each(index)).flat();
      conversation.peer.write(...octets);
      await conversation.peer.closes(Code.CALM);
    },
  };
}

export const floodCases: readonly ConformanceCase[] = [
  flood('malformed/M30.b', ['16.2'], 'a frame of an unknown ignorable type', async () => () => [
    frame(0x8a),
  ]),
  flood('malformed/M46', [], 'OPEN and END of a session that is not answered yet', churn),
  flood('malformed/M67.c', [], 'the same settlement', async (conversation) => {
    const { back } = await conversation.reversed();
    return () => [accept(back, 1)];
  }),
  flood('malformed/M74.c', ['10.8'], 'CANCEL of one message', async (conversation) => {
    const session = await conversation.open('t.slow');
    conversation.peer.write(send(session, 1));
    return () => [cancel(session, 1)];
  }),
  flood('malformed/M78.b', ['8.3'], 'CREDIT that raises nothing', async () => () => [
    credit(0, 0, 0),
  ]),
  flood('malformed/M82.b', ['6.10'], 'PING in one piece', async () => (index) => [ping(index)]),
  flood('malformed/M83.b', [], 'PONG without a PING', async () => (index) => [
    frame(FrameType.PONG, { id: index }),
  ]),
];

/**
 * Opens sessions and ends each of them before the implementation can answer. Sessions that have ended return their
 * credit.
 */
async function churn(conversation: Conversation): Promise<(index: number) => Buffer[]> {
  const { peer } = conversation;
  for (let opens = 1; opens <= MANY; opens += 1) {
    await peer.until('credit for another session', () =>
      peer.ledger.opens >= opens || peer.isEnded ? null : undefined,
    );
    if (peer.isEnded) break;
    const session = conversation.nextSession();
    peer.write(open(session, 't.mute'), end(session));
  }
  return () => [];
}
