/** The clock of one endpoint: its timers run in the endpoint's async scope, and within a tick `instant` stands still. */
import type { Clock } from './clock.js';
import { FeedTurns } from './feed-turns.js';
import type { Scope } from './scope.js';

export class EndpointClock implements Clock {
  /** The turns of all streams that the endpoint writes. */
  readonly feedTurns: FeedTurns = new FeedTurns(this);
  readonly #clock: Clock;
  readonly #scope: Scope;
  #tickBegan = 0;
  #isInTick = false;

  constructor(clock: Clock, scope: Scope) {
    this.#clock = clock;
    this.#scope = scope;
  }

  now(): number {
    return this.#clock.now();
  }

  /**
   * The time at the beginning of the tick, in milliseconds. Deadlines count from this time, because a read of the
   * system's clock costs as much as a small message. Code that measures time within a tick needs `now()`.
   */
  instant(): number {
    return this.#isInTick ? this.#tickBegan : this.#clock.now();
  }

  /** From this call on, `instant()` returns the same time. `endTick` must follow before the event loop continues. */
  beginTick(): void {
    if (this.#isInTick) return;
    this.#isInTick = true;
    this.#tickBegan = this.#clock.now();
  }

  endTick(): void {
    this.#isInTick = false;
  }

  setTimer(delay: number, callback: () => void): () => void {
    return this.#scope.runInAsyncScope(() => this.#clock.setTimer(delay, this.#within(callback)));
  }

  setAlarm(delay: number, callback: () => void): () => void {
    return this.#scope.runInAsyncScope(() => this.#clock.setAlarm(delay, this.#within(callback)));
  }

  random(): number {
    return this.#clock.random();
  }

  microtask(callback: () => void): void {
    this.#clock.microtask(callback);
  }

  tick(callback: () => void): void {
    this.#clock.tick(callback);
  }

  turn(callback: () => void): void {
    this.#clock.turn(callback);
  }

  #within(callback: () => void): () => void {
    return () => this.#scope.runInAsyncScope(callback);
  }
}
