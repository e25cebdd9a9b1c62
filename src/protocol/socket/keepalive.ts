/**
 * Finds out that the other side is gone. Each side announces how long a silence it tolerates. The other side sends
 * something at least three times in that span: a PING, if there is nothing else to send. Every octet is a sign of life.
 */
import { TimeBudget } from '../common/time-budget.js';

export class Keepalive {
  /** How long the other side may be silent. */
  readonly #silence: TimeBudget;
  readonly #speakEvery: number;
  #spokeAt: number;

  /** The silence that this side (`ownIdle`) and the other side (`peerIdle`) tolerates, in milliseconds; 0 = any. */
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

  /** Call this only after all octets that have arrived are read. */
  check(now: number): 'dead' | 'speak' | 'alive' {
    // [IC-11.3]
    if (this.#silence.spend(now)) return 'dead';
    // Compare with the sum that `nextCheck` returns. A difference can be rounded down: then the check would always be due.
    return now >= this.#spokeAt + this.#speakEvery ? 'speak' : 'alive';
  }

  /** When to look again. */
  get nextCheck(): number {
    return Math.min(this.#silence.nextLook, this.#spokeAt + this.#speakEvery);
  }
}

/** The least pause between two PINGs, in milliseconds, even if the other side announces less patience. */
const SHORTEST_PAUSE = 10;
