/** One `send` under way: the message and its promise in one object. */
import { getMaxListeners, setMaxListeners } from 'node:events';
import { type Failure, OutgoingMessage } from '../protocol/index.js';
import { Code, codeName, FrameType, type Meta } from '../wire/index.js';
import { type Metadata, toMetadata } from './bytes.js';
import { errorOf, InterconnectError } from './errors.js';

/** What the other side's handler decided. */
export type Outcome =
  | {
      readonly accepted: true;
      /** What it responded with; empty if it only accepted. */
      readonly data: Buffer;
      readonly metadata: Metadata;
    }
  | {
      readonly accepted: false;
      /** Why: see `Code`, or the application's own. */
      readonly code: number;
      readonly reason: string;
      readonly data: Buffer;
      readonly metadata: Metadata;
    };

export class PendingSend extends OutgoingMessage {
  readonly #resolve: (outcome: Outcome | undefined) => void;
  readonly #reject: (error: InterconnectError) => void;
  #unlisten: (() => void) | undefined;

  constructor(
    payload: Buffer,
    meta: Buffer,
    deadline: number,
    oneWay: boolean,
    resolve: (outcome: Outcome | undefined) => void,
    reject: (error: InterconnectError) => void,
  ) {
    super(payload, meta, deadline, oneWay);
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** Calls `cancel` when the signal aborts while nothing has been decided. */
  cancelOn(signal: AbortSignal, cancel: () => void): void {
    allowListeners(signal);
    signal.addEventListener('abort', cancel, { once: true });
    this.#unlisten = () => signal.removeEventListener('abort', cancel);
  }

  onOutcome(type: number, meta: Meta, data: Buffer): void {
    this.#unlisten?.();
    const metadata = toMetadata(meta.metadata);
    if (type === FrameType.ACCEPT) return this.#resolve({ accepted: true, data, metadata });
    const code = meta.code ?? Code.FAILED;
    const reason = meta.text ?? '';
    const late = LATE[code];
    if (late === undefined) return this.#resolve({ accepted: false, code, reason, data, metadata });
    // The other side's clock ran out before ours, or its library cancelled: there is no outcome.
    const message = `The other side gave no outcome: ${codeName(code)}${reason && `, ${reason}`}`;
    this.#reject(new InterconnectError(late.code, message, { ...late, status: code, reason }));
  }

  onFailure(failure: Failure): void {
    this.#unlisten?.();
    this.#reject(errorOf(failure));
  }

  onSent(): void {
    this.#unlisten?.();
    this.#resolve(undefined);
  }
}

/** Many may share a signal, a shutdown's say; Node would warn of a leak from the eleventh on. */
function allowListeners(signal: AbortSignal): void {
  // One that is not Node's own counts for itself; asking it would throw, with a stack, per message.
  if (Object.prototype.toString.call(signal) !== '[object AbortSignal]') return;
  if (getMaxListeners(signal) !== Infinity) setMaxListeners(Infinity, signal);
}

const LATE: Readonly<
  Record<number, { code: 'IC_ERR_TIMEOUT' | 'IC_ERR_CANCELLED'; executed: 'no' | 'maybe' }>
> = {
  [Code.EXPIRED]: { code: 'IC_ERR_TIMEOUT', executed: 'no' },
  [Code.DEADLINE]: { code: 'IC_ERR_TIMEOUT', executed: 'maybe' },
  [Code.CANCELLED]: { code: 'IC_ERR_CANCELLED', executed: 'no' },
  [Code.CANCELLED_RUNNING]: { code: 'IC_ERR_CANCELLED', executed: 'maybe' },
};
