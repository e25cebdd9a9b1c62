/** The errors of a failed send, and the decision whether the message may be sent on another connection. */
import type { Failure, FailureKind, OutgoingMessage } from '../../protocol/index.js';
import { Flag, quote } from '../../wire/index.js';
import { InterconnectError } from '../common/errors.js';
import type { Route } from './route.js';

/** @internal Whether the cause of the failure is the connection, and not the message. */
export function isConnectionsFault({ kind }: Failure): boolean {
  return CONNECTIONS_FAULTS.has(kind);
}

/**
 * @internal Completes the text of a failure. The text of a timeout gets the limit in milliseconds, because the protocol
 * floor knows only instants. If there is no socket, the text gets the reason.
 */
export function withLimits(
  failure: Failure,
  message: OutgoingMessage,
  { machine, context }: Route,
  timeout: number | undefined,
): Failure {
  if (failure.kind !== 'timeout') return context.explained(failure);
  const hasStream = (message.flags & Flag.STREAM) !== 0 || message.responseItems !== undefined;
  const what =
    timeout === undefined && hasStream
      ? 'made no progress within'
      : 'was neither accepted nor rejected within its';
  const limit = timeout ?? context.messageTimeout;
  const sentence = `A message of ${quote(machine.name, 256)} ${what} ${limit} ms.`;
  return context.explained({ ...failure, message: sentence });
}

/** @internal */
export function cancelledBefore(): InterconnectError {
  return new InterconnectError(
    'IC_ERR_CANCELLED',
    'The signal had aborted before the message was sent.',
  );
}

/** @internal */
export function cancelledAfter(): InterconnectError {
  return new InterconnectError(
    'IC_ERR_CANCELLED',
    'The signal aborted before all items of the response were read.',
    { executed: 'yes' },
  );
}

const CONNECTIONS_FAULTS: ReadonlySet<FailureKind> = new Set([
  'connection-lost',
  'idle',
  'draining',
]);
