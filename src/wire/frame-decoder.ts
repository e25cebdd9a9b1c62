// Bytes as they come from a socket, cut anywhere, to frames.

import { readI32, readU16 } from './bytes.js';
import { FIRST_IGNORABLE_TYPE, HEADER_LENGTH, MAX_BODY_LENGTH } from './constants.js';
import { GrowingBuffer } from './growing-buffer.js';
import { checkHeader, checkLengths } from './header.js';

/** Takes the frames a {@link FrameDecoder} finds. */
export interface FrameSink {
  /**
   * One frame: its header's fields, and where its body lies. The meta is `bytes[bodyStart …
   * bodyStart + metaLength)` and not yet decoded; the payload follows it up to `bodyEnd`. `bytes`
   * is the chunk the frame came in, or memory made for a frame that came in several: what is kept
   * beyond the call should be copied, for it may pin far more than itself.
   *
   * The header is legal for its type, except that of an ignorable type only the lengths were
   * checked.
   */
  onFrame(
    type: number,
    flags: number,
    session: number,
    id: number,
    bytes: Buffer,
    bodyStart: number,
    metaLength: number,
    bodyEnd: number,
  ): void;
}

/** What the receiver accepts: octets of a frame's body, and of the meta in it. */
export interface FrameLimits {
  readonly maxFrame: number;
  readonly maxMeta: number;
}

/**
 * Finds the frames in a stream of chunks and hands each to the sink as soon as it is whole, in
 * order. A header is judged as soon as its 16 octets are there, before anything of the body is
 * kept.
 *
 * After {@link stop}, and after anything was thrown, the decoder is dead: it holds no memory and
 * ignores what it is given.
 */
export class FrameDecoder {
  readonly #sink: FrameSink;
  #maxFrame = 0;
  #maxMeta = 0;

  /** The header of the frame that is not whole yet, as far as it has come. */
  readonly #header = Buffer.alloc(HEADER_LENGTH);
  #headerLength = 0;
  /** The body of that frame; there is one as soon as the header is whole. */
  #body: GrowingBuffer | undefined;
  #stopped = false;

  constructor(sink: FrameSink, limits: FrameLimits) {
    this.#sink = sink;
    this.setLimits(limits);
  }

  /** Octets held of a frame that is not whole yet. */
  get pending(): number {
    return this.#headerLength + (this.#body?.length ?? 0);
  }

  /**
   * Octets of memory set aside for its body: at most four times what has arrived of it, or 4 KiB.
   */
  get capacity(): number {
    return this.#body?.capacity ?? 0;
  }

  /** Changes the limits from the next header on; the sink may do so from inside `onFrame`. */
  setLimits(limits: FrameLimits): void {
    this.#maxFrame = Math.min(limits.maxFrame, MAX_BODY_LENGTH);
    this.#maxMeta = limits.maxMeta;
  }

  /** Ends decoding for good. Called from inside `onFrame`, it drops the rest of the chunk. */
  stop(): void {
    this.#stopped = true;
    this.#headerLength = 0;
    this.#body = undefined;
  }

  /**
   * Decodes what is in the chunk. Throws a `ProtocolError` at a header that is not legal, and what
   * the sink throws.
   */
  push(chunk: Buffer): void {
    if (this.#stopped) return;
    try {
      this.#decode(chunk);
    } catch (error) {
      this.stop();
      throw error;
    }
  }

  #decode(chunk: Buffer): void {
    let at = this.#headerLength > 0 ? this.#finishHeld(chunk) : 0;
    while (chunk.length - at >= HEADER_LENGTH && !this.#stopped) {
      at = this.#frame(chunk, at, chunk, at + HEADER_LENGTH);
    }
    if (at < chunk.length && !this.#stopped) this.#holdHeader(chunk, at, chunk.length);
  }

  /** Goes on with the frame that was begun, and returns where the next one starts. */
  #finishHeld(chunk: Buffer): number {
    if (this.#body !== undefined) return this.#finishBody(this.#body, chunk);

    const end = Math.min(chunk.length, HEADER_LENGTH - this.#headerLength);
    this.#holdHeader(chunk, 0, end);
    return this.#headerLength < HEADER_LENGTH ? end : this.#frame(this.#header, 0, chunk, end);
  }

  #finishBody(body: GrowingBuffer, chunk: Buffer): number {
    const header = this.#header;
    const bodyLength = readI32(header, 4);
    const end = Math.min(chunk.length, bodyLength - body.length);
    body.append(chunk, 0, end);
    if (body.length === bodyLength) {
      this.#headerLength = 0;
      this.#body = undefined;
      this.#sink.onFrame(
        header[0]!,
        header[1]!,
        readI32(header, 8),
        readI32(header, 12),
        body.take(),
        0,
        readU16(header, 2),
        bodyLength,
      );
    }
    return end;
  }

  /**
   * Judges the header at `headerStart` of `header`, which is the chunk or the held one, and hands
   * the frame on if its body is in the chunk; else holds what there is. Returns where the next
   * frame starts in the chunk.
   */
  #frame(header: Buffer, headerStart: number, chunk: Buffer, bodyStart: number): number {
    const type = header[headerStart]!;
    const flags = header[headerStart + 1]!;
    const metaLength = readU16(header, headerStart + 2);
    const bodyLength = readI32(header, headerStart + 4);
    const session = readI32(header, headerStart + 8);
    const id = readI32(header, headerStart + 12);
    // [IC-4.2] [IC-16.2]
    checkLengths(metaLength, bodyLength, this.#maxFrame, this.#maxMeta);
    if (type < FIRST_IGNORABLE_TYPE) {
      checkHeader(type, flags, metaLength, bodyLength, session, id);
    }

    const bodyEnd = bodyStart + bodyLength;
    if (bodyEnd <= chunk.length) {
      this.#headerLength = 0;
      this.#sink.onFrame(type, flags, session, id, chunk, bodyStart, metaLength, bodyEnd);
      return bodyEnd;
    }
    if (header === chunk) this.#holdHeader(chunk, headerStart, bodyStart);
    this.#body = new GrowingBuffer(bodyLength);
    this.#body.append(chunk, bodyStart, chunk.length);
    return chunk.length;
  }

  #holdHeader(chunk: Buffer, start: number, end: number): void {
    chunk.copy(this.#header, this.#headerLength, start, end);
    this.#headerLength += end - start;
  }
}
