/**
 * How long to wait before the next attempt: a random time, whose limit doubles with each attempt that brings nothing. A
 * thousand dialers that lost the same listener must not come back at the same moment.
 */
import type { Clock } from './clock.js';

/** @internal Milliseconds: the limits of the pauses. */
export interface Delays {
  /** The limit of the first pause. */
  readonly minDelay: number;
  /** The limit of every pause. */
  readonly maxDelay: number;
}

/** @internal The option `reconnect`, with its defaults filled in. Nothing is checked. */
export function delaysOf(
  reconnect:
    | { readonly minDelay?: number | undefined; readonly maxDelay?: number | undefined }
    | false
    | undefined,
): Delays {
  const { minDelay = 100, maxDelay = 10_000 } = reconnect || {};
  return { minDelay, maxDelay };
}

/** @internal Milliseconds that a connection must have stood to count as a success, even if nothing was sent over it. */
export const HEALTHY = 10_000;

/** @internal */
export class Backoff {
  readonly #delays: Delays;
  readonly #clock: Pick<Clock, 'now' | 'random'>;
  /** Attempts since a connection was of use. */
  #attempts = 0;

  constructor(delays: Delays, clock: Pick<Clock, 'now' | 'random'>) {
    this.#delays = delays;
    this.#clock = clock;
  }

  /** Whether an attempt has been made since a connection was of use. */
  get hasTried(): boolean {
    return this.#attempts > 0;
  }

  /** A connection was of use: the pauses begin anew. */
  reset(): void {
    this.#attempts = 0;
  }

  /** Counts an attempt that has no pause, or a pause of another length, before it. */
  count(): void {
    this.#attempts += 1;
  }

  /** Milliseconds before the next attempt. Counts that attempt. */
  next(): number {
    const { minDelay, maxDelay } = this.#delays;
    const limit = Math.min(maxDelay, minDelay * 2 ** this.#attempts);
    this.count();
    return this.#clock.random() * limit;
  }
}
