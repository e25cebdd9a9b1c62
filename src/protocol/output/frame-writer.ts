/**
 * Writes frames into memory that is reused as soon as the kernel has taken it.
 *
 * The frames of one tick gather in one slab and leave in one write: at 256 messages in flight that is
 * five times the throughput of a write each. Small payloads are copied (cheaper than a second buffer in
 * the write), large ones are handed on by reference.
 *
 * One writer serves all connections of a thread, since a flush begins and ends in one synchronous step.
 */
import {
  type FrameHeader,
  DEADLINE_LENGTH,
  HEADER_LENGTH,
  TOTAL_LENGTH,
  writeDeadline,
  writeHeader,
  writeTotal,
} from '../../wire/index.js';
import { LARGEST_SMALL_PAYLOAD } from '../flow/limits.js';

/** What stands in front of a frame's fields. The caller of the writer fills one such object anew for each frame. */
export class FrameHead implements FrameHeader {
  type = 0;
  flags = 0;
  session = 0;
  id = 0;
  /** Milliseconds for the field DEADLINE; 0 = the frame has none. */
  deadline = 0;
  /** Octets for the field TOTAL; 0 = the frame has none. */
  total = 0;
}

export class FrameWriter {
  #slab: Buffer = Buffer.allocUnsafeSlow(SLAB_LENGTH);
  /** Slabs that this flush has filled, and those that are free for the next. */
  #filled: Buffer[] = [];
  #spare: Buffer[] = [];
  /** Below this offset the kernel still reads: a former write that it has not taken whole. */
  #base = 0;
  #from = 0;
  #at = 0;
  #bytes = 0;
  #write: (chunk: Buffer) => void = unbegun;

  /** Octets written since `begin`. */
  get bytes(): number {
    return this.#bytes;
  }

  begin(write: (chunk: Buffer) => void): void {
    this.#write = write;
    this.#from = this.#at = this.#base;
    this.#bytes = 0;
  }

  /**
   * Writes one frame whose payload is `payload[from, to)`. DEADLINE and TOTAL go in front of the encoded `fields`, if
   * the head has them.
   */
  frame(head: FrameHead, fields: Buffer, payload: Buffer, from: number, to: number): void {
    const { deadline, total } = head;
    const size = to - from;
    const metaLength =
      fields.length + (deadline > 0 ? DEADLINE_LENGTH : 0) + (total > 0 ? TOTAL_LENGTH : 0);
    const inline = size <= LARGEST_SMALL_PAYLOAD;
    // [IC-4.4]
    this.#reserve(HEADER_LENGTH + metaLength + (inline ? size : 0));
    const slab = this.#slab;
    let at = this.#at;
    writeHeader(slab, at, head, metaLength, metaLength + size);
    at += HEADER_LENGTH;
    if (metaLength > 0) {
      if (deadline > 0) {
        writeDeadline(slab, at, deadline);
        at += DEADLINE_LENGTH;
      }
      if (total > 0) {
        writeTotal(slab, at, total);
        at += TOTAL_LENGTH;
      }
      if (fields.length > 0) {
        slab.set(fields, at);
        at += fields.length;
      }
    }
    if (inline) {
      if (size > 0) {
        slab.set(size === payload.length ? payload : payload.subarray(from, to), at);
        at += size;
      }
      this.#at = at;
    } else {
      this.#at = at;
      this.#emit();
      this.#write(size === payload.length ? payload : payload.subarray(from, to));
    }
    this.#bytes += HEADER_LENGTH + metaLength + size;
  }

  /** Octets that are complete already, such as the preface. */
  raw(bytes: Buffer): void {
    this.#reserve(bytes.length);
    this.#slab.set(bytes, this.#at);
    this.#at += bytes.length;
    this.#bytes += bytes.length;
  }

  /** Hands on what is gathered. Follow with `release` once it is known whether the kernel took it. */
  finish(): void {
    this.#emit();
    this.#write = unbegun;
  }

  /** `taken`: nothing that was written is referenced any more, so that its memory may be used again. */
  release(taken: boolean): void {
    if (taken) {
      for (const slab of this.#filled) {
        if (this.#spare.length < MAX_SPARE && slab.length === SLAB_LENGTH) this.#spare.push(slab);
      }
    }
    this.#filled = [];
    if (taken) this.#at = this.#base;
    else if (this.#at > SLAB_LENGTH - SMALLEST_REST) this.#renew();
    else this.#base = this.#at;
  }

  #reserve(length: number): void {
    if (this.#at + length <= this.#slab.length) return;
    this.#emit();
    this.#renew(length);
  }

  #renew(length = SLAB_LENGTH): void {
    // What lies below the base belongs to an earlier write: such a slab is left to the collector.
    if (this.#base === 0) this.#filled.push(this.#slab);
    const spare = length <= SLAB_LENGTH ? this.#spare.pop() : undefined;
    this.#slab = spare ?? Buffer.allocUnsafeSlow(Math.max(SLAB_LENGTH, length));
    this.#base = this.#from = this.#at = 0;
  }

  #emit(): void {
    if (this.#at > this.#from) this.#write(this.#slab.subarray(this.#from, this.#at));
    this.#from = this.#at;
  }
}

function unbegun(): never {
  throw new Error('FrameWriter: frame() outside begin() … finish().');
}

const SLAB_LENGTH = 64 * 1024;
/** Slabs kept: what one flush fills at most, with some to spare. */
const MAX_SPARE = 8;
const SMALLEST_REST = 16 * 1024;
