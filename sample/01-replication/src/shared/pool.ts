/**
 * Runs tasks side by side, a bounded number of them. Whoever adds one waits until it has a place, so
 * that a walk through a million files never stands far ahead of the work.
 */
export class Pool {
  private running = 0;
  private failure: { readonly error: unknown } | undefined;
  private waiting: (() => void)[] = [];

  constructor(private readonly places: number) {}

  /** Resolves when the task has begun. Throws what an earlier task threw: nothing new begins then. */
  async add(task: () => Promise<void>): Promise<void> {
    while (this.running >= this.places) await this.nextEnd();
    this.check();
    this.running++;
    void this.run(task);
  }

  /** Resolves when all have ended; throws what the first of them threw. */
  async idle(): Promise<void> {
    while (this.running > 0) await this.nextEnd();
    this.check();
  }

  private async run(task: () => Promise<void>): Promise<void> {
    try {
      await task();
    } catch (error) {
      this.failure ??= { error };
    }
    this.running--;
    const waiting = this.waiting;
    this.waiting = [];
    for (const wake of waiting) wake();
  }

  private nextEnd(): Promise<void> {
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  private check(): void {
    if (this.failure !== undefined) throw this.failure.error;
  }
}
