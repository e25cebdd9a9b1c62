/** What the caller of a failed send is told, and whether the message may go on another connection instead. */
import type { Failure, FailureKind, OutgoingMessage } from '../../protocol/index.js';
import { Flag, quote } from '../../wire/index.js';
import { InterconnectError } from '../common/errors.js';
import type { Route } from './route.js';

/** @internal Whether the connection, and not the message, was at fault. */
export function isConnectionsFault({ kind }: Failure): boolean {
  return CONNECTIONS_FAULTS.has(kind);
}

/**
 * @internal The failure with a limit in its words: the protocol knows instants only, and a timeout says after how many
 * milliseconds it came. If there is no socket, the words say why.
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
    'The signal aborted before all items of the answer were read.',
    { executed: 'yes' },
  );
}

const CONNECTIONS_FAULTS: ReadonlySet<FailureKind> = new Set([
  'connection-lost',
  'idle',
  'draining',
]);
