/**
 * A token bucket for frames that are legal but useless: PINGs in bursts, CREDIT without progress,
 * CANCEL of settled messages, unknown ignorable frames. One of them costs almost nothing; a peer that
 * sends nothing else makes this side work for free, and is told to calm down.
 */
export class FloodBudget {
  #tokens = BURST;
  #filledAt: number;
  /** Useless CREDITs that cost nothing. */
  #pardons = 0;

  constructor(now: number) {
    this.#filledAt = now;
  }

  /** Pays for one useless frame; false when the budget is empty. */
  spend(now: number): boolean {
    this.#tokens = Math.min(BURST, this.#tokens + ((now - this.#filledAt) / 1000) * PER_SECOND);
    this.#filledAt = now;
    this.#tokens -= 1;
    return this.#tokens >= 0;
  }

  /** The connection is resumed: so many CREDITs may say what was known before. [IC-17.26] */
  pardon(count: number): void {
    this.#pardons = count;
  }

  /** Whether a useless CREDIT is one of those. */
  isPardoned(): boolean {
    if (this.#pardons === 0) return false;
    this.#pardons -= 1;
    return true;
  }
}

const BURST = 1000;
const PER_SECOND = 100;
