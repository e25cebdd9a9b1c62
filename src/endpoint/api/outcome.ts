/** The outcome of a message: the other side's decision, or the reason why there is none. */
import { type Executed, type OutgoingMessage, saidAs } from '../../protocol/index.js';
import { Code, executedBy, FrameType, type Meta, quote } from '../../wire/index.js';
import { type Metadata, toMetadata } from '../common/bytes.js';
import { InterconnectError } from '../common/errors.js';

/** The decision of the other side's handler. */
export type Outcome =
  | {
      readonly accepted: true;
      /** The data of the response; empty if the handler only accepted. */
      readonly data: Buffer;
      readonly metadata: Metadata;
      /**
       * `true` if the response was a stream. `onItem` received its items before this outcome; the stream may have had
       * none. Absent if the response was `data` alone.
       */
      readonly streamed?: true;
    }
  | {
      readonly accepted: false;
      /** The reason as a code: see `Code`, or a code of the application. */
      readonly code: number;
      readonly reason: string;
      readonly data: Buffer;
      readonly metadata: Metadata;
      /** @internal Whether the handler ran, if this side knows more than the code says: see `executedOf`. */
      readonly executed?: Executed;
    };

/** @internal Returns the outcome in ACCEPT or REJECT, or an error if the other side had no outcome to give. */
export function outcomeOf(
  type: number,
  meta: Meta,
  data: Buffer,
  session: string,
  { isStreamed, responseItems }: OutgoingMessage,
): Outcome | InterconnectError {
  const metadata = toMetadata(meta.metadata);
  if (type === FrameType.ACCEPT) {
    // [IC-6.46]
    return isStreamed
      ? { accepted: true, data, metadata, streamed: true }
      : { accepted: true, data, metadata };
  }
  const code = meta.code ?? Code.FAILED;
  const reason = meta.text ?? '';
  const none = NO_OUTCOME[code];
  // If an item of the response has come, the handler ran, whatever the code says.
  const hasItems = responseItems !== undefined;
  if (none === undefined) {
    return hasItems
      ? { accepted: false, code, reason, data, metadata, executed: 'yes' }
      : { accepted: false, code, reason, data, metadata };
  }
  const executed = hasItems ? 'yes' : executedBy(code);
  // The time was over at the other side, or the message was cancelled there: its handler gave no outcome.
  const message = `The other side gave no outcome for a message of ${quote(session, 256)}: ${saidAs(code, reason)}`;
  return new InterconnectError(none, message, { executed, status: code, reason });
}

/**
 * @internal Whether the other side refused the message because it drains. The message can be sent on another
 * connection.
 */
export function isRefusedUnseen(type: number, { code }: Meta): boolean {
  return type === FrameType.REJECT && code === Code.MESSAGE_DRAINING;
}

/** @internal Whether the handler of a rejected message ran. */
export function executedOf({ code, executed }: Outcome & { accepted: false }): Executed {
  return executed ?? executedBy(code);
}

/** @internal A rejection as an error, for a caller who gets no `Outcome`. */
export function rejectedError(outcome: Outcome & { accepted: false }): InterconnectError {
  const { code, reason, data } = outcome;
  const message = `The other side rejected the message: ${saidAs(code, reason)}.`;
  return new InterconnectError('IC_ERR_REJECTED', message, {
    executed: executedOf(outcome),
    status: code,
    reason,
    data,
  });
}

const NO_OUTCOME: Readonly<Record<number, 'IC_ERR_TIMEOUT' | 'IC_ERR_CANCELLED'>> = {
  [Code.EXPIRED]: 'IC_ERR_TIMEOUT',
  [Code.DEADLINE]: 'IC_ERR_TIMEOUT',
  [Code.CANCELLED]: 'IC_ERR_CANCELLED',
  [Code.CANCELLED_RUNNING]: 'IC_ERR_CANCELLED',
};
