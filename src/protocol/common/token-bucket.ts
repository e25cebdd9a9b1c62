/** A bucket of tokens: it holds at most `size` of them, and gets `perSecond` in a second. It is full at first. */
export class TokenBucket {
  readonly #size: number;
  readonly #perSecond: number;
  #tokens: number;
  #filledAt: number;

  constructor(size: number, perSecond: number, now: number) {
    this.#size = this.#tokens = size;
    this.#perSecond = perSecond;
    this.#filledAt = now;
  }

  /** Takes one token. Returns false if there is none. */
  take(now: number): boolean {
    if (this.level(now) < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  /** How many tokens there are; not a whole number. */
  level(now: number): number {
    const gained = ((now - this.#filledAt) / 1000) * this.#perSecond;
    this.#tokens = Math.min(this.#size, this.#tokens + gained);
    this.#filledAt = now;
    return this.#tokens;
  }

  isFull(now: number): boolean {
    return this.level(now) >= this.#size;
  }
}
