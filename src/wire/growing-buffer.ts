// A buffer for an announced number of octets that have not all arrived yet. A peer that announces 16 MiB and sends one
// octet must not occupy 16 MiB: the memory grows with the octets that have arrived. [IC-4.3]

import { EMPTY } from './constants.js';

/** Octets of the first piece of memory, unless the limit is lower. */
const FIRST_CAPACITY = 4096;
/** New memory is four times as large as needed. Each octet of a body in small chunks is then copied 1⅓ times on average. */
const GROWTH = 4;

/**
 * Gathers up to `limit` octets in one piece of memory. The memory has at most 4 KiB, or four times the octets that have
 * arrived if that is more.
 */
export class GrowingBuffer {
  readonly #limit: number;
  #bytes = EMPTY;
  #length = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The number of octets so far. */
  get length(): number {
    return this.#length;
  }

  /** Octets of memory. */
  get capacity(): number {
    return this.#bytes.length;
  }

  /**
   * Copies `bytes[start … end)` to the end.
   *
   * @throws RangeError if the octets exceed the limit. The caller prevents that.
   */
  append(bytes: Buffer, start: number, end: number): void {
    const needed = this.#length + end - start;
    if (needed > this.#bytes.length) this.#grow(needed);
    bytes.copy(this.#bytes, this.#length, start, end);
    this.#length = needed;
  }

  /** The octets, as a view of their memory. The GrowingBuffer is empty afterwards. */
  take(): Buffer {
    const taken = this.#bytes.subarray(0, this.#length);
    this.#bytes = EMPTY;
    this.#length = 0;
    return taken;
  }

  #grow(needed: number): void {
    if (needed > this.#limit) {
      throw new RangeError(`${needed} octets do not fit into a buffer of at most ${this.#limit}.`);
    }
    const larger = Buffer.allocUnsafe(
      Math.min(this.#limit, Math.max(FIRST_CAPACITY, GROWTH * needed)),
    );
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}
