/**
 * Token buckets for frames that are legal and change nothing. One such frame costs almost nothing. A peer that sends many
 * of them makes this side work for nothing: the connection then ends with the code CALM.
 *
 * There are two buckets. Useless frames, such as PINGs in bursts, CREDIT that allows nothing new, CANCEL of settled
 * messages, and unknown frames that may be ignored, are few at an honest peer. Late frames, whose session has ended, can
 * be many: all that an honest peer had under way when this side ended the session.
 */
import { TokenBucket } from '../common/token-bucket.js';

export class FloodBudget {
  readonly #useless: TokenBucket;
  readonly #late: TokenBucket;
  /** Number of useless CREDITs that will cost nothing. */
  #pardons = 0;

  constructor(now: number) {
    this.#useless = new TokenBucket(BURST, PER_SECOND, now);
    this.#late = new TokenBucket(LATE_BURST, LATE_PER_SECOND, now);
  }

  /** Charges one useless frame. Returns false if the budget is empty. */
  spend(now: number): boolean {
    return this.#useless.take(now);
  }

  /** Charges one frame of a session that has ended. Returns false if the budget is empty. */
  spendLate(now: number): boolean {
    return this.#late.take(now);
  }

  /** The connection is resumed: `count` CREDITs may repeat known limits and cost nothing. [IC-17.28] */
  pardon(count: number): void {
    this.#pardons = count;
  }

  /** Returns whether a useless CREDIT costs nothing, and uses up one pardon. */
  isPardoned(): boolean {
    if (this.#pardons === 0) return false;
    this.#pardons -= 1;
    return true;
  }
}

const BURST = 1000;
const PER_SECOND = 100;
/** As many empty messages as a peer may have under way by default: 256 in each of 1024 sessions. */
const LATE_BURST = 262_144;
const LATE_PER_SECOND = 10_000;
