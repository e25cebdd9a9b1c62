/**
 * Runs a bounded number of tasks at once. `add` waits for a free place, so that a walk through a
 * million files does not run far ahead of the work.
 */
export class Pool {
  private running = 0;
  private failure: { readonly error: unknown } | undefined;
  private waiting: (() => void)[] = [];

  constructor(private readonly places: number) {}

  /**
   * Resolves when the task has begun. If an earlier task failed, throws its error and does not
   * begin the task.
   */
  async add(task: () => Promise<void>): Promise<void> {
    while (this.running >= this.places) await this.nextEnd();
    this.check();
    this.running++;
    void this.run(task);
  }

  /** Resolves when all tasks have ended. Throws the error of the first task that failed. */
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
