/**
 * Who is still there. Each side announces the silence after which it gives the other up; the other
 * sends something at least three times in that span, a PING where it has nothing else to say. Any octet
 * counts as a sign of life.
 */
export class Keepalive {
  readonly #giveUpAfter: number;
  readonly #speakEvery: number;
  #heardAt: number;
  #spokeAt: number;

  /** Milliseconds; 0 = never. `ownIdle` is this side's patience, `peerIdle` the other's. */
  constructor(ownIdle: number, peerIdle: number, now: number) {
    this.#giveUpAfter = ownIdle === 0 ? Infinity : ownIdle;
    // [IC-11.1] [IC-11.4]
    this.#speakEvery = peerIdle === 0 ? Infinity : Math.max(peerIdle / 3, SHORTEST_PAUSE);
    this.#heardAt = now;
    this.#spokeAt = now;
  }

  // [IC-11.2]
  onHeard(now: number): void {
    this.#heardAt = now;
  }

  onSpoke(now: number): void {
    this.#spokeAt = now;
  }

  /**
   * A look much later than the instant it was due means that this process stood still, not the other:
   * what came meanwhile is still unread in the kernel. The verdict then waits for one more look.
   */
  check(now: number): 'dead' | 'speak' | 'alive' {
    const silence = now - this.#heardAt;
    if (silence >= this.#giveUpAfter * LATE) {
      this.#heardAt = now - this.#giveUpAfter * (1 - GRACE);
      return 'speak';
    }
    // Sums, as in `nextCheck`: a difference may round to a little less, and the look be due for ever. [IC-11.3]
    if (now >= this.#heardAt + this.#giveUpAfter) return 'dead';
    return now >= this.#spokeAt + this.#speakEvery ? 'speak' : 'alive';
  }

  /** When to look again. */
  get nextCheck(): number {
    return Math.min(this.#heardAt + this.#giveUpAfter, this.#spokeAt + this.#speakEvery);
  }
}

/** Milliseconds between two signs of life, at least, however impatient the other side claims to be. */
const SHORTEST_PAUSE = 10;
/** A look is late when it comes at this multiple of the idle time. */
const LATE = 1.25;
/** The share of the idle time that is given after a late look. */
const GRACE = 0.125;
