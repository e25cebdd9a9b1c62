/** CREDIT that no side may write, and limits that no side may exceed. */
import { Flag, FrameType } from '../../../wire/index.js';
import type { ConformanceCase } from '../conformance-case.js';
import { Skip } from '../mismatch.js';
import { credit, frame, send, u32 } from '../octets.js';
import { type Ground, harmless, violation } from './rows.js';

const { CREDIT } = FrameType;
const FAR = 2 ** 30;

/** Sends messages of this many octets in all. Their handlers hold them, so that their credit does not return. */
function fill(ground: Ground, session: number, octets: number, firstId = 1): number {
  const { limits } = ground.peer;
  let id = firstId;
  for (let left = octets; left > 0; id += 1) {
    const length = Math.min(left, limits.maxFrame, limits.effectiveMaxMessage);
    if (id > limits.messages) throw new Skip('the messages credit ends before the byte credit');
    ground.peer.write(send(session, id, { payload: Buffer.alloc(length) }));
    left -= length;
  }
  return id;
}

export const creditCases: readonly ConformanceCase[] = [
  violation(
    'malformed/M53',
    ['4.8', '8.1'],
    'one message more than the messages limit',
    async ({ conversation, peer }) => {
      const session = await conversation.open('t.slow');
      return Array.from({ length: peer.limits.messages + 1 }, (_, index) =>
        send(session, index + 1),
      );
    },
    'FLOW',
  ),
  violation(
    'malformed/M54.a',
    ['8.1', '8.2'],
    'one octet more than the byte limit of a session',
    async (ground) => {
      const session = await ground.conversation.open('t.slow');
      const { limits } = ground.peer;
      if (limits.sessionBytes > limits.bytes) throw new Skip('the connection has less credit');
      const id = fill(ground, session, limits.sessionBytes);
      await ground.peer.fence('the limit itself may be used');
      return [send(session, id, { payload: 'x' })];
    },
    'FLOW',
  ),
  violation(
    'malformed/M54.b',
    ['8.1', '8.2'],
    'one octet more than the byte limit of the connection',
    async (ground) => {
      const { limits, ledger } = ground.peer;
      // The implementation may return a little credit between two rounds.
      while (ledger.usedBytes < ledger.bytes) {
        const session = await ground.conversation.open('t.slow');
        fill(ground, session, Math.min(limits.sessionBytes >> 1, ledger.bytes - ledger.usedBytes));
        await ground.peer.fence('the limit itself may be used');
      }
      const last = await ground.conversation.open('t.slow');
      return [send(last, 1, { payload: 'x' })];
    },
    'FLOW',
  ),
  ...[4, 5, 0, 9].map((length, index) =>
    violation(
      `malformed/M77.${'abcd'[index]}`,
      ['6.1'],
      `CREDIT for a session with a payload of ${length} octets`,
      ({ session }) => [frame(CREDIT, { session, payload: Buffer.alloc(length) })],
      'PROTOCOL',
    ),
  ),
  violation(
    'malformed/M77.e',
    ['6.1'],
    'CREDIT for items with a payload of 8 octets',
    ({ session }) => [frame(CREDIT, { session, id: 1, payload: u32(1, 1) })],
    'PROTOCOL',
  ),
  harmless(
    'malformed/M78',
    ['8.3'],
    'CREDIT that raises nothing and acknowledges nothing',
    ({ session }) => [credit(session, 0, 0), credit(0, 0, 0), credit(session, 1, 1)],
  ),
  violation(
    'malformed/M79.a',
    ['8.4'],
    'CREDIT for the connection, more than 2^30 octets ahead',
    () => [credit(0, 1024, FAR + 2 ** 20)],
    'FLOW',
  ),
  violation(
    'malformed/M79.b',
    ['8.4'],
    'CREDIT for a session, more than 2^30 octets ahead',
    ({ session }) => [credit(session, 1024, FAR + 2 ** 20)],
    'FLOW',
  ),
  violation(
    'malformed/M79.c',
    ['8.4'],
    'CREDIT for a session, more than 2^30 messages ahead',
    async ({ conversation }) => {
      // CREDIT that raises the limit by more than 2^30 at once would read as a lower limit, so two steps raise it.
      const { back } = await conversation.reversed();
      return [credit(back, FAR - 1, 2 ** 26), credit(back, FAR + 1024, 2 ** 26)];
    },
    'FLOW',
  ),
  violation(
    'malformed/M126',
    ['4.9'],
    'CREDIT for a session with a messages limit of 2^31',
    ({ session }) => [credit(session, 2 ** 31, 2 ** 26)],
    'PROTOCOL',
  ),
  violation(
    'malformed/M80.a',
    ['6.13'],
    'CREDIT that acknowledges frames that were never sent',
    () => [credit(0, 1024, 2 ** 28, 9999)],
    'PROTOCOL',
  ),
  violation(
    'malformed/M80.b',
    ['6.13'],
    'CREDIT whose count of received frames goes back',
    () => [credit(0, 1024, 2 ** 28, 1), credit(0, 1024, 2 ** 28, 0)],
    'PROTOCOL',
  ),
  violation(
    'malformed/M81.a',
    ['7.1'],
    'CREDIT for a session that was never opened',
    ({ session }) => [credit(session + 2, 1024, 2 ** 26)],
    'PROTOCOL',
  ),
  violation(
    'malformed/M109.a',
    ['6.11'],
    'CREDIT for the connection with REPLY',
    () => [frame(CREDIT, { flags: Flag.REPLY, payload: u32(1024, 2 ** 28) })],
    'PROTOCOL',
  ),
  violation(
    'malformed/M109.b',
    ['6.11'],
    'CREDIT for a session with REPLY',
    ({ session }) => [frame(CREDIT, { session, flags: Flag.REPLY, payload: u32(1024, 2 ** 26) })],
    'PROTOCOL',
  ),
];
