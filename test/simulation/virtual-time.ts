/**
 * Time, timers and ticks of one simulated world. Nothing happens by itself: `step` lets the next event
 * happen, and then everything that it has put off until the end of its tick, in Node's order.
 */
import type { Clock } from '../../src/endpoint/clock.js';
import type { Random } from '../support/random.js';

interface Event {
  readonly at: number;
  readonly order: number;
  readonly isTimer: boolean;
  callback: (() => void) | undefined;
}

export class VirtualTime implements Clock {
  /** Milliseconds by which a timer may come too late: this process had other things to do. */
  lateness = 0;
  readonly #random: Random;
  #now = 1_000_000;
  #order = 0;
  /** A binary heap, the next event first. */
  readonly #events: Event[] = [];
  #timers = 0;
  #steps = 0;
  readonly #ticks: (() => void)[] = [];
  readonly #microtasks: (() => void)[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  /** Timers that have neither fired nor been stopped. */
  get timers(): number {
    return this.#timers;
  }

  now(): number {
    return this.#now;
  }

  setTimer(delay: number, callback: () => void): () => void {
    const late = this.lateness > 0 ? this.#random.next() * this.lateness : 0;
    const event = this.#schedule(Math.max(0, Math.ceil(delay)) + late, callback, true);
    this.#timers += 1;
    return () => {
      if (event.callback === undefined) return;
      event.callback = undefined;
      this.#timers -= 1;
    };
  }

  setAlarm(delay: number, callback: () => void): () => void {
    return this.setTimer(delay, callback);
  }

  microtask(callback: () => void): void {
    this.#microtasks.push(callback);
  }

  tick(callback: () => void): void {
    this.#ticks.push(callback);
  }

  random(): number {
    return this.#random.next();
  }

  /** Something of the outside happens in so many milliseconds. */
  after(delay: number, callback: () => void): void {
    this.#schedule(delay, callback, false);
  }

  /** Lets the next event happen, if it does until `end`. */
  step(end = Infinity): boolean {
    for (let event = this.#events[0]; event !== undefined; event = this.#events[0]) {
      if (event.callback !== undefined && event.at > end) return false;
      this.#pop();
      const { callback } = event;
      if (callback === undefined) continue;
      if (event.isTimer) this.#timers -= 1;
      event.callback = undefined;
      this.#now = Math.max(this.#now, event.at);
      this.#steps += 1;
      if (this.#steps > MOST_STEPS) throw new Error(`There is no end after ${MOST_STEPS} events.`);
      callback();
      this.endTick();
      return true;
    }
    return false;
  }

  /** Lets happen what happens within so many milliseconds. */
  advance(milliseconds: number): void {
    const end = this.#now + milliseconds;
    while (this.step(end));
    this.#now = end;
  }

  /** What was put off until now happens: ticks first, then microtasks, and so on. */
  endTick(): void {
    const ticks = this.#ticks;
    const microtasks = this.#microtasks;
    while (ticks.length + microtasks.length > 0) {
      // The arrays grow while they are walked.
      for (let at = 0; at < ticks.length; at++) ticks[at]!();
      ticks.length = 0;
      for (let at = 0; at < microtasks.length; at++) microtasks[at]!();
      microtasks.length = 0;
    }
  }

  /** Runs `body` while Node's ticks and microtasks are this world's; the code in it must be synchronous. */
  own<T>(body: () => T): T {
    const nextTick = Object.getOwnPropertyDescriptor(process, 'nextTick') ?? {};
    const microtask = Object.getOwnPropertyDescriptor(globalThis, 'queueMicrotask') ?? {};
    process.nextTick = (callback: () => void) => void this.#ticks.push(callback);
    globalThis.queueMicrotask = (callback) => void this.#microtasks.push(callback);
    try {
      return body();
    } finally {
      Object.defineProperty(process, 'nextTick', nextTick);
      Object.defineProperty(globalThis, 'queueMicrotask', microtask);
    }
  }

  #schedule(delay: number, callback: () => void, isTimer: boolean): Event {
    const event = { at: this.#now + delay, order: this.#order++, isTimer, callback };
    const events = this.#events;
    let at = events.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (isBefore(events[parent]!, event)) break;
      events[at] = events[parent]!;
      at = parent;
    }
    events[at] = event;
    return event;
  }

  #pop(): void {
    const events = this.#events;
    const last = events.pop();
    if (last === undefined || events.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= events.length) break;
      if (child + 1 < events.length && isBefore(events[child + 1]!, events[child]!)) child += 1;
      if (isBefore(last, events[child]!)) break;
      events[at] = events[child]!;
      at = child;
    }
    events[at] = last;
  }
}

const MOST_STEPS = 200_000;

function isBefore(one: Event, other: Event): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order);
}
