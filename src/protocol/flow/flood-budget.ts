/**
 * A token bucket for frames that are legal but useless: PINGs in bursts, CREDIT that allows nothing new, CANCEL of
 * settled messages, unknown frames that may be ignored. One such frame costs almost nothing. A peer that sends many of
 * them makes this side work for nothing: the connection then ends with the code CALM.
 */
export class FloodBudget {
  #tokens = BURST;
  #filledAt: number;
  /** Number of useless CREDITs that will cost nothing. */
  #pardons = 0;

  constructor(now: number) {
    this.#filledAt = now;
  }

  /** Pays for one useless frame. Returns false if the budget is empty. */
  spend(now: number): boolean {
    this.#tokens = Math.min(BURST, this.#tokens + ((now - this.#filledAt) / 1000) * PER_SECOND);
    this.#filledAt = now;
    this.#tokens -= 1;
    return this.#tokens >= 0;
  }

  /** The connection is resumed: `count` CREDITs may repeat known limits and cost nothing. [IC-17.28] */
  pardon(count: number): void {
    this.#pardons = count;
  }

  /** Whether a useless CREDIT costs nothing. Counts it. */
  isPardoned(): boolean {
    if (this.#pardons === 0) return false;
    this.#pardons -= 1;
    return true;
  }
}

const BURST = 1000;
const PER_SECOND = 100;
