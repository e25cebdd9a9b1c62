/** How long one side waits for the other. Only time in which it looked for signs of the other counts. */

/**
 * A limit that is spent from look to look. A look that comes late says that this thread stood still: it cannot tell the
 * other side's silence from its own. So a look costs at most a step, and nothing if it comes a whole step late.
 */
export class TimeBudget {
  readonly #limit: number;
  readonly #step: number;
  #left: number;
  #lookedAt: number;

  /** `limit` in milliseconds; `Infinity`: it is never used up. */
  constructor(limit: number, now: number) {
    this.#limit = limit;
    this.#step = limit / STEPS;
    this.#left = limit;
    this.#lookedAt = now;
  }

  /** The other side has given a sign: it has the whole limit again. */
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

  /** When to look again. */
  get nextLook(): number {
    return this.#lookedAt + Math.min(this.#step, this.#left);
  }
}

/** Looks within a limit. */
const STEPS = 4;
/** Milliseconds. Differences of instants are rounded, and the rest of that must not call for a look of its own. */
const LEAST = 0.001;
