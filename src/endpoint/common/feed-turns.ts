/**
 * Turns for the sources of streams, so that they give way to the event loop. A source that always has an item, and a peer
 * that always has room, would otherwise go on in microtasks for ever. No socket would be read, and no timer would fire.
 *
 * All streams of an endpoint share one turn of 256 items. When it is over, they wait for the next turn of the event loop.
 */

/** The part of the clock that this file needs. */
interface TurnClock {
  turn(callback: () => void): void;
}

export class FeedTurns {
  readonly #clock: TurnClock;
  /** Items that may still be asked for in this turn. */
  #left = ITEMS_PER_TURN;
  /** The streams that wait for the next turn, in the order in which they go on. */
  #waiting: (() => void)[] = [];

  constructor(clock: TurnClock) {
    this.#clock = clock;
  }

  /** Takes the place of one item in this turn. Returns false if the turn is full; `next` gives a place in a later turn. */
  take(): boolean {
    if (this.#left === 0) return false;
    this.#left -= 1;
    return true;
  }

  /** Resolves in the next turn that has a place for one item. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#waiting.push(resolve) === 1) this.#clock.turn(this.#onTurn);
    });
  }

  readonly #onTurn = (): void => {
    // Each stream that waits has one item before any of them has two.
    const first = this.#waiting.splice(0, ITEMS_PER_TURN);
    this.#left = ITEMS_PER_TURN - first.length;
    if (this.#waiting.length > 0) this.#clock.turn(this.#onTurn);
    for (const goOn of first) goOn();
  };
}

/** With this number, the cost of a turn of the event loop is small for each item, and others wait for about 1 ms. */
const ITEMS_PER_TURN = 256;
