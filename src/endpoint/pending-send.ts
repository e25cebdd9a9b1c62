/** One `send` under way: the message and its promise in one object. */
import { getMaxListeners, setMaxListeners } from 'node:events';
import {
  DRAINING,
  type Failure,
  type FailureKind,
  OutgoingMessage,
  type SessionMachine,
} from '../protocol/index.js';
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

/** @internal Where a message can go once more. */
export interface Sender {
  /** The session of the moment. */
  readonly machine: SessionMachine;
}

/** @internal What of the options of a `send` concerns it after it was sent. */
export interface PendingOptions {
  readonly signal?: AbortSignal;
  readonly oneWay?: boolean;
  readonly idempotent?: boolean;
}

export class PendingSend extends OutgoingMessage {
  readonly #from: Sender;
  readonly #resolve: (outcome: Outcome | undefined) => void;
  readonly #reject: (error: InterconnectError) => void;
  readonly #options: PendingOptions;
  #machine: SessionMachine | undefined;
  #cancel: (() => void) | undefined;

  /** `copied`: nobody else holds the payload. */
  constructor(
    from: Sender,
    payload: Buffer,
    meta: Buffer,
    deadline: number,
    copied: boolean,
    options: PendingOptions,
    resolve: (outcome: Outcome | undefined) => void,
    reject: (error: InterconnectError) => void,
  ) {
    super(payload, meta, deadline, options.oneWay === true, copied);
    this.#from = from;
    this.#options = options;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** Sends it; the signal cancels it while nothing has been decided. */
  submit(): void {
    const machine = this.#from.machine;
    const { signal } = this.#options;
    this.#machine = machine;
    if (signal !== undefined) {
      allowListeners(signal);
      this.#cancel = () => machine.sender.cancel(this);
      signal.addEventListener('abort', this.#cancel, { once: true });
    }
    machine.send(this);
  }

  onOutcome(type: number, meta: Meta, data: Buffer): void {
    const code = meta.code ?? Code.FAILED;
    if (type === FrameType.REJECT && code === Code.MESSAGE_DRAINING) {
      return this.onFailure(DRAINING);
    }
    this.#unlisten();
    const metadata = toMetadata(meta.metadata);
    if (type === FrameType.ACCEPT) return this.#resolve({ accepted: true, data, metadata });
    const reason = meta.text ?? '';
    const late = LATE[code];
    if (late === undefined) return this.#resolve({ accepted: false, code, reason, data, metadata });
    // The other side's clock ran out before ours, or its library cancelled: there is no outcome.
    const message = `The other side gave no outcome: ${codeName(code)}${reason && `, ${reason}`}`;
    this.#reject(new InterconnectError(late.code, message, { ...late, status: code, reason }));
  }

  onFailure(failure: Failure): void {
    this.#unlisten();
    if (this.#mayGoAgain(failure)) this.#again();
    else this.#reject(errorOf(failure));
  }

  onSent(): void {
    this.#unlisten();
    this.#resolve(undefined);
  }

  #unlisten(): void {
    if (this.#cancel !== undefined) {
      this.#options.signal?.removeEventListener('abort', this.#cancel);
    }
  }

  /** Whether there is another connection to send it on, and it does no harm to do so. */
  #mayGoAgain({ kind, executed }: Failure): boolean {
    const { signal, idempotent } = this.#options;
    if (this.#from.machine === this.#machine || signal?.aborted === true) return false;
    return MOVING.has(kind) && (executed === 'no' || idempotent === true);
  }

  /** As a new message: the former connection may still hold this one. */
  #again(): void {
    const { payload, meta, deadline, copied } = this;
    new PendingSend(
      this.#from,
      payload,
      meta,
      deadline,
      copied,
      this.#options,
      this.#resolve,
      this.#reject,
    ).submit();
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

/** What says that the connection, and not the message, was at fault. */
const MOVING: ReadonlySet<FailureKind> = new Set(['connection-lost', 'idle', 'draining']);
