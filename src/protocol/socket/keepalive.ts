/**
 * Finds out that the other side is gone. Each side announces the silence after which it gives the other up; the other
 * sends something at least three times in that span, a PING if there is nothing else to say. Any octet counts as a sign
 * of life.
 */
import { TimeBudget } from '../common/time-budget.js';

export class Keepalive {
  /** How long the other side may be silent. */
  readonly #silence: TimeBudget;
  readonly #speakEvery: number;
  #spokeAt: number;

  /** Milliseconds; 0 = never. `ownIdle` is this side's patience, `peerIdle` the other's. */
  constructor(ownIdle: number, peerIdle: number, now: number) {
    this.#silence = new TimeBudget(ownIdle === 0 ? Infinity : ownIdle, now);
    // [IC-11.1] [IC-11.4]
    this.#speakEvery = peerIdle === 0 ? Infinity : Math.max(peerIdle / 3, SHORTEST_PAUSE);
    this.#spokeAt = now;
  }

  // [IC-11.2]
  onHeard(now: number): void {
    this.#silence.refill(now);
  }

  onSpoke(now: number): void {
    this.#spokeAt = now;
  }

  /** To be asked after everything has been read that has arrived. */
  check(now: number): 'dead' | 'speak' | 'alive' {
    // [IC-11.3]
    if (this.#silence.spend(now)) return 'dead';
    // A sum, as in `nextCheck`: a difference may round to a little less, and the look be due for ever.
    return now >= this.#spokeAt + this.#speakEvery ? 'speak' : 'alive';
  }

  /** When to look again. */
  get nextCheck(): number {
    return Math.min(this.#silence.nextLook, this.#spokeAt + this.#speakEvery);
  }
}

/** Milliseconds between two signs of life, at least, however impatient the other side claims to be. */
const SHORTEST_PAUSE = 10;
