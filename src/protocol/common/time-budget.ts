/** A time limit on waiting for the peer. Time in which this thread stood still does not count. */

/**
 * A time limit that is spent in looks, four in the whole limit. Each look spends the time since the last look. If a look
 * comes late, this thread stood still: the peer may have sent something that this thread has not read. So a look spends
 * at most one step (a quarter of the limit), and nothing if the look comes a whole step late.
 */
export class TimeBudget {
  readonly #limit: number;
  readonly #step: number;
  #left: number;
  #lookedAt: number;

  /** `limit`: in milliseconds; `Infinity` = it is never used up. */
  constructor(limit: number, now: number) {
    this.#limit = limit;
    this.#step = limit / STEPS;
    this.#left = limit;
    this.#lookedAt = now;
  }

  /** The peer has sent something: it has the whole limit again. */
  refill(now: number): void {
    this.#left = this.#limit;
    this.#lookedAt = now;
  }

  /** Counts the time since the last look. Returns true when the limit is used up. */
  spend(now: number): boolean {
    const since = now - this.#lookedAt;
    this.#lookedAt = now;
    if (since < 2 * this.#step) this.#left -= Math.min(since, this.#step);
    return this.#left < LEAST;
  }

  /** The instant of the next look. */
  get nextLook(): number {
    return this.#lookedAt + Math.min(this.#step, this.#left);
  }
}

/** Number of looks within a limit. */
const STEPS = 4;
/** In milliseconds. A smaller rest comes from rounding, and counts as used up: it is not worth another look. */
const LEAST = 0.001;
