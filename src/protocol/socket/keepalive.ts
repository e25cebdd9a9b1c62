/**
 * The keepalive of a socket: finds out that the other side is gone. Each side announces how long a silence it tolerates.
 * The other side sends something at least three times in that span, and a PING if it has nothing else to send. Every
 * octet is a sign of life. A silence of less than one second counts as one second.
 */
import { TimeBudget } from '../common/time-budget.js';

export class Keepalive {
  /** How long the other side may be silent. */
  readonly #silence: TimeBudget;
  readonly #speakEvery: number;
  #spokeAt: number;

  /** The silence that this side (`ownIdle`) and the other side (`peerIdle`) tolerate, in milliseconds; 0 = no limit. */
  constructor(ownIdle: number, peerIdle: number, now: number) {
    this.#silence = new TimeBudget(silenceOf(ownIdle), now);
    // [IC-11.1] [IC-11.4]
    this.#speakEvery = silenceOf(peerIdle) / 3;
    this.#spokeAt = now;
  }

  // [IC-11.2]
  onHeard(now: number): void {
    this.#silence.refill(now);
  }

  onSpoke(now: number): void {
    this.#spokeAt = now;
  }

  /**
   * Returns 'dead' if the other side was silent for too long, and 'speak' if this side must send something now. Call this
   * method only after all octets that have arrived are read.
   */
  check(now: number): 'dead' | 'speak' | 'alive' {
    // [IC-11.3]
    if (this.#silence.spend(now)) return 'dead';
    // Compare with the sum that `nextCheck` returns. A difference can be rounded down: then the check would always be due.
    return now >= this.#spokeAt + this.#speakEvery ? 'speak' : 'alive';
  }

  /** The instant of the next call of `check`. */
  get nextCheck(): number {
    return Math.min(this.#silence.nextLook, this.#spokeAt + this.#speakEvery);
  }
}

/** Returns the silence, in milliseconds, that an announced IDLE stands for. */
export function silenceOf(idle: number): number {
  return idle === 0 ? Infinity : Math.max(idle, SHORTEST_IDLE);
}

/** Milliseconds. With a shorter time, a peer could make this side write PINGs as fast as its timers fire. */
const SHORTEST_IDLE = 1000;
