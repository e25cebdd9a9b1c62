/**
 * Time, timers and ticks of one simulated world. Nothing happens by itself. `step` runs the next event, and then all
 * ticks and microtasks that the event has caused, in Node's order. The microtasks are Node's own, so code that awaits
 * promises runs in virtual time as well.
 */
import type { Clock } from '../../src/endpoint/common/clock.js';
import type { Random } from '../support/random.js';
import { drainMicrotasks } from './virtual-node.js';

interface Event {
  readonly at: number;
  readonly order: number;
  readonly isTimer: boolean;
  callback: (() => void) | undefined;
}

export class VirtualTime implements Clock {
  /** Milliseconds by which a timer may fire late, as in a busy process. */
  lateness = 0;
  readonly #random: Random;
  #now = 1_000_000;
  #order = 0;
  /** A binary heap with the next event at the top. */
  readonly #events: Event[] = [];
  #timers = 0;
  #steps = 0;
  readonly #ticks: (() => void)[] = [];
  /** The first fault that could not be thrown at once: see `guard`. */
  #fault: Error | undefined;

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

  /** Runs the task in order with the reactions of promises. An error of the task does not end the process. */
  microtask(task: () => void): void {
    void SETTLED.then(() => this.guard(task));
  }

  tick(callback: () => void): void {
    this.#ticks.push(callback);
  }

  /** Sockets have no turn of their own here: the events of this instant come first. */
  turn(callback: () => void): void {
    this.#schedule(0, callback, false);
  }

  random(): number {
    return this.#random.next();
  }

  /** Schedules an event outside the code under test, after `delay` milliseconds. */
  after(delay: number, callback: () => void): void {
    this.#schedule(delay, callback, false);
  }

  /** Runs the next event if it is due by `end`. Returns false if there is none. */
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

  /** Runs all events of the next milliseconds. */
  advance(milliseconds: number): void {
    const end = this.#now + milliseconds;
    while (this.step(end));
    this.#now = end;
  }

  /**
   * Runs all pending ticks and microtasks, and those that they add. Call it only in a macrotask: see `inMacrotask`.
   * @throws the fault that `guard` has kept
   */
  endTick(): void {
    const ticks = this.#ticks;
    do {
      // The array grows during the loop.
      for (let at = 0; at < ticks.length && this.#fault === undefined; at++) this.guard(ticks[at]!);
      ticks.length = 0;
      drainMicrotasks();
    } while (ticks.length > 0 && this.#fault === undefined);
    if (this.#fault !== undefined) throw this.#fault;
  }

  /**
   * Runs a callback of the code under test. A fault in it fails the world at the end of the tick. If the fault were
   * thrown at once, a promise of the endpoint might swallow it, or a microtask might end the process.
   */
  guard(body: () => void): void {
    try {
      body();
    } catch (error) {
      this.#fault ??= error as Error;
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

const SETTLED = Promise.resolve();
const MOST_STEPS = 200_000;

function isBefore(one: Event, other: Event): boolean {
  return one.at < other.at || (one.at === other.at && one.order < other.order);
}
