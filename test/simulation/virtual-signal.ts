/** An `AbortSignal` as far as the endpoint uses one, without the cost of Node's. */
export class VirtualSignal {
  aborted = false;
  readonly #listeners = new Set<() => void>();

  /** As what an application gives to `send`. */
  get asSignal(): AbortSignal {
    return this as unknown as AbortSignal;
  }

  addEventListener(_event: 'abort', listener: () => void): void {
    this.#listeners.add(listener);
  }

  removeEventListener(_event: 'abort', listener: () => void): void {
    this.#listeners.delete(listener);
  }

  /** Aborts, once. */
  abort(): void {
    if (this.aborted) return;
    this.aborted = true;
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of listeners) listener();
  }
}
