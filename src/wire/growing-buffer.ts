// Memory for an announced number of octets, of which not all have come. A peer that announces 16 MiB and sends one octet
// must not occupy 16 MiB: the memory grows with the octets that have arrived. [IC-4.3]

import { EMPTY } from './constants.js';

/** The least octets of memory, unless the limit is lower. */
const FIRST_CAPACITY = 4096;
/** New memory is four times as large as needed. A body that comes in small chunks is then copied 1⅓ times in all. */
const GROWTH = 4;

/**
 * Gathers octets up to `limit` in one piece of memory. The memory is at most four times as large as the octets that have
 * arrived, or 4 KiB.
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
   * @throws RangeError beyond the limit. The caller must not exceed it.
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
