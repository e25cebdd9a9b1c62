/**
 * A clock that a test controls: time passes and timers fire only during `advance`. The endpoint's real clock fires a
 * timer only after everything that has arrived is read. A test imitates this: it delivers first, and then lets time
 * pass.
 */
export class ManualClock {
  /** The number that `random` returns. */
  chance = 0.5;
  #now = 1_000_000;
  readonly #timers = new Set<{ readonly at: number; readonly callback: () => void }>();

  /** Timers that have neither fired nor been stopped. */
  get pending(): number {
    return this.#timers.size;
  }

  now(): number {
    return this.#now;
  }

  setTimer(delay: number, callback: () => void): () => void {
    const timer = { at: this.#now + Math.max(0, delay), callback };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  setAlarm(delay: number, callback: () => void): () => void {
    return this.setTimer(delay, callback);
  }

  /** Runs the callback as a microtask: no time passes before it. */
  microtask(callback: () => void): void {
    queueMicrotask(callback);
  }

  tick(callback: () => void): void {
    process.nextTick(callback);
  }

  turn(callback: () => void): void {
    setImmediate(callback);
  }

  /** The test controls chance too. */
  random(): number {
    return this.chance;
  }

  /** Lets time pass. Each timer fires at its own instant, in order. */
  advance(milliseconds: number): void {
    const end = this.#now + milliseconds;
    for (let timer = this.#next(end); timer !== undefined; timer = this.#next(end)) {
      this.#timers.delete(timer);
      this.#now = Math.max(this.#now, timer.at);
      timer.callback();
    }
    this.#now = end;
  }

  /**
   * Lets time pass in one step, as if the process had stood still. All timers that fall due fire late, at the end.
   */
  skip(milliseconds: number): void {
    this.#now += milliseconds;
    for (let timer = this.#next(this.#now); timer !== undefined; timer = this.#next(this.#now)) {
      this.#timers.delete(timer);
      timer.callback();
    }
  }

  #next(end: number): { readonly at: number; readonly callback: () => void } | undefined {
    const due = [...this.#timers].filter(({ at }) => at <= end);
    return due.toSorted((one, other) => one.at - other.at)[0];
  }
}
