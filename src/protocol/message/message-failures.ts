/** The failures that tell the application why a message of this side has no outcome. */
import { DEADLINE_LENGTH, FrameType, TOTAL_LENGTH } from '../../wire/index.js';
import type { Failure } from '../common/failure.js';
import type { Limits } from '../flow/limits.js';
import type { Unit } from '../output/unit.js';

/** Returns a failure if the message exceeds the limits of the peer. [IC-6.35] */
export function tooLargeFor(
  { meta, payload }: Unit,
  { maxMessage, maxMeta }: Limits,
): Failure | undefined {
  const fields = meta.length + DEADLINE_LENGTH + TOTAL_LENGTH;
  const kind = 'too-large';
  const executed = 'no';
  if (fields > maxMeta) {
    const message = `Metadata of ${fields} bytes exceeds the ${maxMeta} bytes that the other side takes.`;
    return { kind, executed, message };
  }
  if (payload.length <= maxMessage) return undefined;
  const message =
    `A message of ${payload.length} bytes exceeds the ${maxMessage} bytes that the other ` +
    `side takes. Send it in parts, or raise maxMessageSize there.`;
  return { kind, executed, message };
}

/** The failure for a settlement that is too large. An ACCEPT shows that a handler has run. A REJECT leaves it open. */
export function tooLarge(type: number, size: number, limit: number): Failure {
  return {
    kind: 'too-large',
    executed: type === FrameType.ACCEPT ? 'yes' : 'maybe',
    message: `The other side's response of ${size} bytes exceeds maxMessageSize ${limit}.`,
  };
}

/** The failure for a settlement that this side has no memory for, because many others are unfinished too. */
export function noRoomFor(type: number, unfinished: number): Failure {
  return {
    kind: 'too-large',
    executed: type === FrameType.ACCEPT ? 'yes' : 'maybe',
    message:
      `The other side's response was given up: the responses that arrive at the same time hold ${unfinished} bytes, and ` +
      `connectionWindow allows no more. Ask for fewer large responses at once, or raise connectionWindow.`,
  };
}

export const TIMED_OUT: Failure = {
  kind: 'timeout',
  executed: 'maybe',
  message: 'The message was neither accepted nor rejected in time.',
};

export const CANCELLED: Failure = {
  kind: 'cancelled',
  executed: 'maybe',
  message: 'The message was cancelled by its sender.',
};
