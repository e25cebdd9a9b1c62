/**
 * Computes the pause before the next attempt: a random time, whose limit doubles with each attempt without success. A
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

/** @internal Milliseconds. A connection that has lasted this long is a success, even if nothing was sent over it. */
export const HEALTHY = 10_000;

/** @internal The pauses of one dialer. */
export class Backoff {
  readonly #delays: Delays;
  readonly #clock: Pick<Clock, 'now' | 'random'>;
  /** Attempts since the last successful connection. */
  #attempts = 0;

  constructor(delays: Delays, clock: Pick<Clock, 'now' | 'random'>) {
    this.#delays = delays;
    this.#clock = clock;
  }

  /** Whether an attempt has been made since the last successful connection. */
  get hasTried(): boolean {
    return this.#attempts > 0;
  }

  /** A connection was successful: the pauses begin anew. */
  reset(): void {
    this.#attempts = 0;
  }

  /** Counts an attempt without a pause, or with a pause of another length. */
  count(): void {
    this.#attempts += 1;
  }

  /** Returns the milliseconds before the next attempt, and counts that attempt. */
  next(): number {
    const { minDelay, maxDelay } = this.#delays;
    const limit = Math.min(maxDelay, minDelay * 2 ** this.#attempts);
    this.count();
    return this.#clock.random() * limit;
  }
}
