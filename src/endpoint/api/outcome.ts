/** The outcome of a message: the other side's decision, or the reason why there is none. */
import { saidAs } from '../../protocol/index.js';
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
    };

/** @internal Returns the outcome in ACCEPT or REJECT, or an error if the other side had no outcome to give. */
export function outcomeOf(
  type: number,
  meta: Meta,
  data: Buffer,
  session: string,
  isStreamed: boolean,
): Outcome | InterconnectError {
  const metadata = toMetadata(meta.metadata);
  if (type === FrameType.ACCEPT) {
    // [IC-6.58]
    return isStreamed
      ? { accepted: true, data, metadata, streamed: true }
      : { accepted: true, data, metadata };
  }
  const code = meta.code ?? Code.FAILED;
  const reason = meta.text ?? '';
  const none = NO_OUTCOME[code];
  if (none === undefined) return { accepted: false, code, reason, data, metadata };
  // The other side's clock ran out before ours, or its library cancelled: there is no outcome.
  const message = `The other side gave no outcome for a message of ${quote(session, 256)}: ${saidAs(code, reason)}`;
  return new InterconnectError(none.code, message, { ...none, status: code, reason });
}

/**
 * @internal Whether the other side refused the message because it drains. The message can be sent on another
 * connection.
 */
export function isRefusedUnseen(type: number, { code }: Meta): boolean {
  return type === FrameType.REJECT && code === Code.MESSAGE_DRAINING;
}

/** @internal A rejection as an error, for a caller who gets no `Outcome`. */
export function rejectedError(outcome: Outcome & { accepted: false }): InterconnectError {
  const { code, reason, data } = outcome;
  const message = `The other side rejected the message: ${saidAs(code, reason)}.`;
  const executed = executedBy(code);
  return new InterconnectError('IC_ERR_REJECTED', message, {
    executed,
    status: code,
    reason,
    data,
  });
}

const NO_OUTCOME: Readonly<
  Record<number, { code: 'IC_ERR_TIMEOUT' | 'IC_ERR_CANCELLED'; executed: 'no' | 'maybe' }>
> = {
  [Code.EXPIRED]: { code: 'IC_ERR_TIMEOUT', executed: 'no' },
  [Code.DEADLINE]: { code: 'IC_ERR_TIMEOUT', executed: 'maybe' },
  [Code.CANCELLED]: { code: 'IC_ERR_CANCELLED', executed: 'no' },
  [Code.CANCELLED_RUNNING]: { code: 'IC_ERR_CANCELLED', executed: 'maybe' },
};
