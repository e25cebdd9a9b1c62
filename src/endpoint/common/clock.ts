/** The clock of the endpoint: time, random numbers, and the order of callbacks. A test can replace the clock. */
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

/** Time, random numbers, and the order of callbacks. */
export interface Clock {
  /** Milliseconds since some fixed instant. The value never goes back. */
  now(): number;
  /**
   * Calls `callback` once, `delay` milliseconds from now or later. The returned function cancels the call. Before the
   * call, all data that has arrived on the sockets of this thread is read. So a response that has arrived in time counts,
   * even if this thread was busy and its timeout is over.
   */
  setTimer(delay: number, callback: () => void): () => void;
  /** Like `setTimer`, and keeps the process alive until then. */
  setAlarm(delay: number, callback: () => void): () => void;
  /** 0 ≤ n < 1, at random. */
  random(): number;
  /** Calls `callback` as the next microtask. */
  microtask(callback: () => void): void;
  /** Calls `callback` at the next tick of Node. If this is called within a microtask, all microtasks run first. */
  tick(callback: () => void): void;
  /** Calls `callback` once in the next turn of the event loop, after the sockets of this thread were served. */
  turn(callback: () => void): void;
}

/** @internal The clock of the system. */
export const systemClock: Clock = {
  now,
  setTimer: (delay, callback) => wait(delay, callback, false),
  setAlarm: (delay, callback) => wait(delay, callback, true),
  random: () => Math.random(),
  microtask,
  tick: nextTick,
  turn: (callback) => void setImmediate(callback),
};

/**
 * One timer of the system clock. Node serves timers before sockets. If this thread was blocked, a deadline would come
 * before a response that already lies in the kernel. So a timer that is due waits until no socket has anything to read,
 * and only then calls back. One look at the sockets is not enough: Node reads a socket in portions, and the response may
 * lie behind some MiB of other data.
 */
class Wait {
  readonly #due: number;
  readonly #callback: () => void;
  readonly #keepsAlive: boolean;
  /** The count of `traffic` at the last look. */
  #seen = 0;
  #looks = 0;
  /** Milliseconds that senders have to continue, after this thread has delayed them. */
  #grace = 0;
  /** The instant at which that time ends. */
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
    // The kernel's buffer was full, and the sender was blocked: the sender needs a moment to continue.
    this.#hasMoved = false;
    this.#sleep(rest, () => this.#askForLook());
  };

  #sleep(delay: number, callback: () => void): void {
    this.#timer = setTimeout(callback, within(delay));
    if (!this.#keepsAlive) this.#timer.unref();
  }
}

/** Calls `callback` once when the budget is used up. The returned function cancels the call. */
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

/** Returns a delay that Node accepts. With a delay of more than 2^31 - 1 ms, Node would call back at once. */
function within(delay: number): number {
  return Math.min(Math.max(0, Math.ceil(delay)), MAX_DELAY);
}

const MAX_DELAY = 2 ** 31 - 1;
/**
 * A peer that never stops sending must not delay the clock without limit. At each look Node reads up to 2 MiB of each
 * socket, and no kernel buffers more than that number of looks can read.
 */
const MOST_LOOKS = 32;
/**
 * Milliseconds. Delayed senders get the time by which this thread was late, and at most this time.
 */
const LONGEST_GRACE = 1000;
/** Milliseconds. If a quarter of the delay is at most this time, the delay does not count. */
const SHORTEST_REST = 2;
