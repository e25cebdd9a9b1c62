/** One `send` under way: the message and its promise in one object. */
import { getMaxListeners, setMaxListeners } from 'node:events';
import {
  DRAINING,
  type Executed,
  type Failure,
  type FailureKind,
  OutgoingMessage,
  type SessionMachine,
} from '../protocol/index.js';
import type { Meta } from '../wire/index.js';
import { errorOf, InterconnectError } from './errors.js';
import { isRefusedUnseen, type Outcome, outcomeOf } from './outcome.js';

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
  #unlisten: (() => void) | undefined;
  /** On a connection before, its handler may have run: no failure after that takes it back. */
  #mayHaveRun = false;

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
      this.#unlisten = whenAborted(signal, () => machine.sender.cancel(this));
    }
    machine.send(this);
  }

  onOutcome(type: number, meta: Meta, data: Buffer): void {
    if (isRefusedUnseen(type, meta)) return this.onFailure(DRAINING);
    this.#unlisten?.();
    const outcome = outcomeOf(type, meta, data);
    if (!(outcome instanceof InterconnectError)) return this.#resolve(outcome);
    const { code, message, status, reason } = outcome;
    const executed = this.#inAll(outcome.executed);
    this.#reject(new InterconnectError(code, message, { executed, status, reason }));
  }

  onFailure(failure: Failure): void {
    this.#unlisten?.();
    const executed = this.#inAll(failure.executed);
    if (this.#mayGoAgain(failure)) this.#again(executed !== 'no');
    else this.#reject(errorOf({ ...failure, executed }));
  }

  onSent(): void {
    this.#unlisten?.();
    this.#resolve(undefined);
  }

  /** Whether the handler ran, on any connection. */
  #inAll(executed: Executed): Executed {
    return executed === 'no' && this.#mayHaveRun ? 'maybe' : executed;
  }

  /** Whether there is another connection to send it on, and it does no harm to do so. */
  #mayGoAgain({ kind, executed }: Failure): boolean {
    const { signal, idempotent } = this.#options;
    if (this.#from.machine === this.#machine || signal?.aborted === true) return false;
    return MOVING.has(kind) && (executed === 'no' || idempotent === true);
  }

  /** As a new message: the former connection may still hold this one. */
  #again(mayHaveRun: boolean): void {
    const { payload, meta, deadline, copied } = this;
    const message = new PendingSend(
      this.#from,
      payload,
      meta,
      deadline,
      copied,
      this.#options,
      this.#resolve,
      this.#reject,
    );
    message.#mayHaveRun = mayHaveRun;
    message.submit();
  }
}

/** @internal Calls `cancel` when the signal aborts, unless the returned function was called before. */
export function whenAborted(signal: AbortSignal, cancel: () => void): () => void {
  allowListeners(signal);
  signal.addEventListener('abort', cancel, { once: true });
  return () => signal.removeEventListener('abort', cancel);
}

/** Many may share a signal, a shutdown's say; Node would warn of a leak from the eleventh on. */
function allowListeners(signal: AbortSignal): void {
  // One that is not Node's own counts for itself; asking it would throw, with a stack, per message.
  if (Object.prototype.toString.call(signal) !== '[object AbortSignal]') return;
  if (getMaxListeners(signal) !== Infinity) setMaxListeners(Infinity, signal);
}

/** @internal What says that the connection, and not the message, was at fault. */
export const MOVING: ReadonlySet<FailureKind> = new Set(['connection-lost', 'idle', 'draining']);
