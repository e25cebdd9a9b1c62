/**
 * Time, chance and the order of events, as the endpoint sees them: monotonic, and in a test's hand if a test needs
 * that.
 */
import type { TimeBudget } from '../../protocol/index.js';
import {
  clearImmediate,
  clearTimeout,
  microtask,
  nextTick,
  now,
  setImmediate,
  setTimeout,
} from './runtime.js';
import { traffic } from './traffic.js';

export interface Clock {
  /** Milliseconds since some fixed instant; never goes back. */
  now(): number;
  /**
   * Calls `callback` once, `delay` milliseconds from now or later, unless the returned function was called before.
   * First the event loop takes in whatever has arrived on the sockets of this thread. So no time is over before an
   * answer that has arrived in time, however long this thread was busy with something else.
   */
  setTimer(delay: number, callback: () => void): () => void;
  /** The same; and until then the process does not end by itself. */
  setAlarm(delay: number, callback: () => void): () => void;
  /** 0 ≤ n < 1, at random. */
  random(): number;
  /** Calls `callback` as the next microtask. */
  microtask(callback: () => void): void;
  /** Calls `callback` at the next tick of Node. Asked for within a microtask: when all microtasks have run. */
  tick(callback: () => void): void;
}

/** @internal */
export const systemClock: Clock = {
  now,
  setTimer: (delay, callback) => wait(delay, callback, false),
  setAlarm: (delay, callback) => wait(delay, callback, true),
  random: () => Math.random(),
  microtask,
  tick: nextTick,
};

/**
 * Node serves timers before sockets. When this thread has stood still, a deadline is therefore served before the answer
 * that lies in the kernel. So a timer that is due only asks for looks at the sockets, until they are at rest. One look is
 * not enough: Node reads a socket in portions, and the answer may lie behind some MiB of others.
 */
class Wait {
  readonly #due: number;
  readonly #callback: () => void;
  readonly #keepsAlive: boolean;
  /** How much had moved at the last look. */
  #seen = 0;
  #looks = 0;
  /** How long senders may take to go on that this thread has held up. */
  #grace = 0;
  /** When that ends. */
  #graceEnd = 0;
  #hasMoved = false;
  #timer: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;

  constructor(delay: number, callback: () => void, keepsAlive: boolean) {
    this.#due = now() + delay;
    this.#callback = callback;
    this.#keepsAlive = keepsAlive;
    this.#sleep(delay, this.#onDue);
  }

  stop(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
  }

  readonly #onDue = (): void => {
    const time = now();
    this.#grace = Math.min(time - this.#due, LONGEST_GRACE);
    this.#graceEnd = time + this.#grace;
    this.#askForLook();
  };

  #askForLook(): void {
    this.#seen = traffic.count;
    // Node calls back after it has served the sockets.
    this.#immediate = setImmediate(this.#onLook);
  }

  readonly #onLook = (): void => {
    this.#looks += 1;
    const moves = traffic.count !== this.#seen;
    const rest = this.#grace / 4;
    const hasGrace = rest > SHORTEST_REST && now() + rest < this.#graceEnd;
    if (moves && (this.#looks < MOST_LOOKS || hasGrace)) {
      this.#hasMoved = true;
      return this.#askForLook();
    }
    if (!this.#hasMoved || !hasGrace) return this.#callback();
    // The kernel was full, and the sender could not go on: it needs a moment to do so.
    this.#hasMoved = false;
    this.#sleep(rest, () => this.#askForLook());
  };

  #sleep(delay: number, callback: () => void): void {
    this.#timer = setTimeout(callback, within(delay));
    if (!this.#keepsAlive) this.#timer.unref();
  }
}

/** Calls `callback` once when the budget is used up, unless the returned function was called before. */
export function whenUsedUp(budget: TimeBudget, clock: Clock, callback: () => void): () => void {
  let stop = (): void => undefined;
  const look = (): void => {
    stop = clock.setTimer(budget.nextLook - clock.now(), () => {
      if (budget.spend(clock.now())) callback();
      else look();
    });
  };
  look();
  return () => stop();
}

function wait(delay: number, callback: () => void, keepsAlive: boolean): () => void {
  const waiting = new Wait(delay, callback, keepsAlive);
  return () => waiting.stop();
}

/** A delay beyond 2^31 - 1 ms would fire at once. */
function within(delay: number): number {
  return Math.min(Math.max(0, Math.ceil(delay)), MAX_DELAY);
}

const MAX_DELAY = 2 ** 31 - 1;
/**
 * A peer that never stops to send must not hold up the clock. At each look Node reads up to 2 MiB of each socket, and no
 * kernel holds more than what so many looks bring.
 */
const MOST_LOOKS = 32;
/** Milliseconds. Senders have as long as this thread has held them up, and not longer than that. */
const LONGEST_GRACE = 1000;
/** Milliseconds that a timer may be late without having held anybody up, in quarters. */
const SHORTEST_REST = 2;
