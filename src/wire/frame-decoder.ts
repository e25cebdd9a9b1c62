// The frame decoder: finds the frames in the chunks that a socket delivers. A chunk can begin and end within a frame.

import { readI32, readU16 } from './bytes.js';
import { EMPTY, FIRST_IGNORABLE_TYPE, HEADER_LENGTH, MAX_BODY_LENGTH } from './constants.js';
import { GrowingBuffer } from './growing-buffer.js';
import { FrameView } from './frame-view.js';
import { checkHeader, checkLengths } from './header.js';

/** Takes the frames that a {@link FrameDecoder} finds. */
export interface FrameSink {
  /**
   * Takes one whole frame. The view is valid during this call only. The decoder has checked the header against the rules
   * of its type; for an ignorable type, it has checked only the lengths. The metadata fields are not decoded yet.
   */
  onFrame(frame: FrameView): void;
}

/** The limits of the receiver: octets of a frame's body, and of the meta in it. */
export interface FrameLimits {
  readonly maxFrame: number;
  readonly maxMeta: number;
}

/**
 * Finds the frames in a stream of chunks and hands each to the sink as soon as it is whole, in order. A header is checked as
 * soon as its 16 octets have come, before the decoder keeps an octet of the body.
 *
 * After {@link stop}, and after an error, the decoder is dead: it holds no memory and ignores further chunks.
 */
export class FrameDecoder {
  readonly #sink: FrameSink;
  readonly #view = new FrameView();
  #maxFrame = 0;
  #maxMeta = 0;

  /** The octets of the current frame's header that have come so far. */
  readonly #header = Buffer.alloc(HEADER_LENGTH);
  #headerLength = 0;
  /** The octets of the current frame's body; undefined until its header is whole. */
  #body: GrowingBuffer | undefined;
  #stopped = false;
  /** Frames that may still be handed on, or begun: see `allow`. */
  #left = Infinity;

  constructor(sink: FrameSink, limits: FrameLimits) {
    this.#sink = sink;
    this.setLimits(limits);
  }

  /** Octets of a frame that is not whole yet. The decoder keeps them until the rest has arrived. */
  get pending(): number {
    return this.#headerLength + (this.#body?.length ?? 0);
  }

  /** Octets of memory for that frame's body: at most 4 KiB, or four times the octets that have arrived if that is more. */
  get capacity(): number {
    return this.#body?.capacity ?? 0;
  }

  /** Changes the limits from the next header on. The sink may call this method from within `onFrame`. */
  setLimits(limits: FrameLimits): void {
    this.#maxFrame = Math.min(limits.maxFrame, MAX_BODY_LENGTH);
    this.#maxMeta = limits.maxMeta;
  }

  /**
   * Sets how many frames `push` may still take, over all chunks from now on. Without a call there is no limit. A frame
   * that comes in several chunks counts in each of them.
   */
  allow(frames: number): void {
    this.#left = frames;
  }

  /** Ends decoding for good. If the sink calls this method from within `onFrame`, the rest of the chunk is dropped. */
  stop(): void {
    this.#stopped = true;
    this.#headerLength = 0;
    this.#body = undefined;
  }

  /**
   * Decodes the frames of the chunk, as far as {@link allow} lets it. Returns how many octets of the chunk it has taken: all
   * of them, or those up to a frame for which there is no allowance. The caller pushes the rest again later, and nothing
   * before it. Errors of the sink pass through.
   *
   * @throws ProtocolError for an illegal header.
   */
  push(chunk: Buffer): number {
    if (this.#stopped) return chunk.length;
    try {
      return this.#decode(chunk);
    } catch (error) {
      this.stop();
      throw error;
    } finally {
      // An idle connection must not keep a chunk in memory.
      this.#view.bytes = EMPTY;
    }
  }

  #decode(chunk: Buffer): number {
    let left = this.#left;
    let at = 0;
    if (this.#headerLength > 0) {
      if (left === 0) return 0;
      left -= 1;
      at = this.#finishHeld(chunk);
    }
    while (chunk.length - at >= HEADER_LENGTH && left > 0 && !this.#stopped) {
      left -= 1;
      at = this.#frame(chunk, at, chunk, at + HEADER_LENGTH);
    }
    this.#left = left;
    if (this.#stopped) return chunk.length;
    if (chunk.length - at >= HEADER_LENGTH) return at;
    if (at < chunk.length) this.#holdHeader(chunk, at, chunk.length);
    return chunk.length;
  }

  /** Continues the frame whose first octets are held, and returns the offset in the chunk at which the next frame starts. */
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
      const view = this.#view;
      readHeader(view, header, 0);
      view.bytes = body.take();
      view.start = 0;
      view.end = bodyLength;
      this.#sink.onFrame(view);
    }
    return end;
  }

  /**
   * Checks the header at `headerStart` of `header`, which is the chunk or the held header. If the whole body is in the
   * chunk, hands the frame to the sink. Otherwise keeps the octets. Returns the offset in the chunk at which the next
   * frame starts.
   */
  #frame(header: Buffer, headerStart: number, chunk: Buffer, bodyStart: number): number {
    const view = this.#view;
    readHeader(view, header, headerStart);
    const bodyLength = readI32(header, headerStart + 4);
    // [IC-4.2] [IC-16.2]
    checkLengths(view.metaLength, bodyLength, this.#maxFrame, this.#maxMeta);
    view.start = bodyStart;
    view.end = bodyStart + bodyLength;
    if (view.type < FIRST_IGNORABLE_TYPE) checkHeader(view);

    if (view.end <= chunk.length) {
      this.#headerLength = 0;
      view.bytes = chunk;
      const next = view.end;
      this.#sink.onFrame(view);
      return next;
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

function readHeader(view: FrameView, bytes: Buffer, at: number): void {
  view.type = bytes[at]!;
  view.flags = bytes[at + 1]!;
  view.metaLength = readU16(bytes, at + 2);
  view.session = readI32(bytes, at + 8);
  view.id = readI32(bytes, at + 12);
}
