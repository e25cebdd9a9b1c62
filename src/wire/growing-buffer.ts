// Memory for octets that were announced and have not all come. Whoever announces 16 MiB and sends
// one octet must not get 16 MiB set aside: memory follows what has arrived, never what was
// promised. [IC-4.3]

import { EMPTY } from './constants.js';

/** The least that is set aside, unless less will ever be needed. */
const FIRST_CAPACITY = 4096;
/**
 * Four times what is needed: then a body that comes in small chunks is copied one and a third
 * times, not over and over.
 */
const GROWTH = 4;

/**
 * Gathers octets up to `limit`, in one piece of memory of at most four times (and at least 4 KiB)
 * what has arrived.
 */
export class GrowingBuffer {
  readonly #limit: number;
  #bytes = EMPTY;
  #length = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Octets gathered. */
  get length(): number {
    return this.#length;
  }

  /** Octets of memory set aside for them. */
  get capacity(): number {
    return this.#bytes.length;
  }

  /**
   * Copies `bytes[start … end)` to the end. Throws a RangeError beyond the limit, which the caller
   * must not reach.
   */
  append(bytes: Buffer, start: number, end: number): void {
    const needed = this.#length + end - start;
    if (needed > this.#bytes.length) this.#grow(needed);
    bytes.copy(this.#bytes, this.#length, start, end);
    this.#length = needed;
  }

  /**
   * What was gathered, as a view of the memory it lies in. The GrowingBuffer is empty afterwards.
   */
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
