/**
 * Time in the test's hand: nothing passes, and no timer fires, but by `advance`. A timer fires as the endpoint's clock has
 * it: after everything has been read that has arrived. So a test delivers first, and then lets time pass.
 */
export class ManualClock {
  /** What `random` gives. */
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

  /** What follows the code of now follows at once: no time passes for it. */
  microtask(callback: () => void): void {
    queueMicrotask(callback);
  }

  tick(callback: () => void): void {
    process.nextTick(callback);
  }

  /** Chance is in the test's hand as well. */
  random(): number {
    return this.chance;
  }

  /** Lets time pass: what falls due is called at its instant, in order. */
  advance(milliseconds: number): void {
    const end = this.#now + milliseconds;
    for (let timer = this.#next(end); timer !== undefined; timer = this.#next(end)) {
      this.#timers.delete(timer);
      this.#now = Math.max(this.#now, timer.at);
      timer.callback();
    }
    this.#now = end;
  }

  /** Time has passed while this process stood still: what fell due is called now, too late. */
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
