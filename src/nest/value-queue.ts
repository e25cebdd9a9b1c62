/** So many values of an Observable wait for the reader; beyond that, the reader is too slow for it. */
export const MAX_WAITING_VALUES = 1024;

/** More values wait than may. */
export class QueueOverflow extends Error {}

/**
 * What an Observable emits, as an async iterable. An Observable cannot be held back: what its reader has not taken
 * waits here, and when that is too much the rest is given up.
 */
export class ValueQueue implements AsyncIterableIterator<unknown> {
  private readonly stop: () => void;
  private values: unknown[] = [];
  /** Of `values`, those that were taken. */
  private taken = 0;
  private end: { readonly error?: unknown } | undefined;
  private wake: (() => void) | undefined;

  /** `stop` unsubscribes: nothing more is wanted. */
  constructor(stop: () => void) {
    this.stop = stop;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  push(value: unknown): void {
    if (this.end !== undefined) return;
    if (this.values.length - this.taken < MAX_WAITING_VALUES) {
      this.values.push(value);
      this.wake?.();
      return;
    }
    this.clear();
    this.fail(new QueueOverflow());
    this.stop();
  }

  complete(): void {
    this.finish({});
  }

  /** The reader gets the values that wait, and then the error. */
  fail(error: unknown): void {
    this.finish({ error });
  }

  async next(): Promise<IteratorResult<unknown, undefined>> {
    while (this.taken === this.values.length) {
      const { end } = this;
      if (end === undefined) {
        await new Promise<void>((resolve) => (this.wake = resolve));
        continue;
      }
      this.end = {};
      if ('error' in end) throw end.error;
      return { done: true, value: undefined };
    }
    return { done: false, value: this.take() };
  }

  return(): Promise<IteratorResult<unknown, undefined>> {
    this.clear();
    this.end = {};
    this.wake?.();
    this.stop();
    return Promise.resolve({ done: true, value: undefined });
  }

  private take(): unknown {
    const value = this.values[this.taken];
    this.values[this.taken] = undefined;
    this.taken += 1;
    // Moved in one go and not with every value, which would cost their square.
    if (this.taken * 2 >= this.values.length) {
      this.values = this.values.slice(this.taken);
      this.taken = 0;
    }
    return value;
  }

  private clear(): void {
    this.values = [];
    this.taken = 0;
  }

  private finish(end: { readonly error?: unknown }): void {
    this.end ??= end;
    this.wake?.();
  }
}
