/** Repeatable random numbers: the same seed gives the same numbers on every machine. */
// Read the globals once and not for each octet: in Jest's realm, each access to a global is slow.
const { imul, floor } = Math;

export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A number x with 0 ≤ x < 1 (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let x = this.#state;
    x = imul(x ^ (x >>> 15), x | 1);
    x ^= x + imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  }

  /** An integer from `from` to `to`, both included. */
  integer(from: number, to: number): number {
    return from + floor(this.next() * (to - from + 1));
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(items: readonly T[]): T | undefined {
    return items[this.integer(0, items.length - 1)];
  }

  /** Octets that depend on the seed and on their place. */
  bytes(size: number): Buffer {
    const bytes = Buffer.allocUnsafe(size);
    let value = this.integer(0, 2 ** 31);
    for (let at = 0; at < size; at++) {
      value = (imul(value, 1_103_515_245) + 12_345) | 0;
      bytes[at] = value >>> 16;
    }
    return bytes;
  }
}
