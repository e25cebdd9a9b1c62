/**
 * The frame writer: writes frames into slabs of memory. A slab is used again when the kernel has taken its octets.
 *
 * The frames of one tick gather in one slab and leave in one write. With 256 messages in flight, this has five times
 * the throughput of one write for each frame. Small payloads are copied, which is cheaper than a second buffer in
 * the write. Large payloads are passed on by reference.
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

/** The head of a frame: its header, DEADLINE and TOTAL. A caller has one such object, and fills it for each frame. */
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
  /** Slabs that the current flush has filled. */
  #filled: Buffer[] = [];
  /** Slabs that are free. */
  #spare: Buffer[] = [];
  /** The kernel still reads the octets below this offset: it has not taken all of a former write. */
  #base = 0;
  /** Octets from `#from` to `#at` are not handed to `#write` yet. */
  #from = 0;
  #at = 0;
  #bytes = 0;
  #write: (chunk: Buffer) => void = unbegun;

  /** Octets written since `begin`. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Begins a flush. `write` gets each chunk for the socket. The memory of the chunks is used again after `release(true)`. */
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

  /** Writes octets that are encoded already, such as the preface. */
  raw(bytes: Buffer): void {
    this.#reserve(bytes.length);
    this.#slab.set(bytes, this.#at);
    this.#at += bytes.length;
    this.#bytes += bytes.length;
  }

  /** Ends the flush: hands the gathered octets to `write`. Call `release` when the kernel has taken them, or has not. */
  finish(): void {
    this.#emit();
    this.#write = unbegun;
  }

  /** Call this once after `finish`. `taken`: the kernel has taken all octets, so that their memory may be used again. */
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
    // The octets below the base belong to an earlier write: leave such a slab to the garbage collector.
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
/** Free slabs that are kept: a few more than one flush fills. */
const MAX_SPARE = 8;
/** If the kernel has not taken a slab, and less room than this is left in it, the next flush uses another slab. */
const SMALLEST_REST = 16 * 1024;
