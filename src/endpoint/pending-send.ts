/** One `send` under way: the message and its promise in one object. */
import { getMaxListeners, setMaxListeners } from 'node:events';
import { type Failure, OutgoingMessage } from '../protocol/index.js';
import type { Meta } from '../wire/index.js';
import { errorOf, InterconnectError } from './errors.js';
import { type Outcome, outcomeOf } from './outcome.js';

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
    this.#unlisten = whenAborted(signal, cancel);
  }

  onOutcome(type: number, meta: Meta, data: Buffer): void {
    this.#unlisten?.();
    const outcome = outcomeOf(type, meta, data);
    if (outcome instanceof InterconnectError) this.#reject(outcome);
    else this.#resolve(outcome);
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
