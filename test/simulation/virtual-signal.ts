/** The part of an `AbortSignal` that the endpoint uses, without the cost of Node's signals. */
export class VirtualSignal {
  aborted = false;
  readonly #listeners = new Set<() => void>();

  /** The signal as an application gives it to `send`. */
  get asSignal(): AbortSignal {
    return this as unknown as AbortSignal;
  }

  addEventListener(_event: 'abort', listener: () => void): void {
    this.#listeners.add(listener);
  }

  removeEventListener(_event: 'abort', listener: () => void): void {
    this.#listeners.delete(listener);
  }

  /** Aborts the signal. Later calls do nothing. */
  abort(): void {
    if (this.aborted) return;
    this.aborted = true;
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of listeners) listener();
  }
}
