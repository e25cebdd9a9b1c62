/**
 * Decides whether a received payload is copied or stays a view of its chunk.
 *
 * A view of a chunk keeps the whole chunk, of up to 64 KiB, in memory. An application that keeps one message of
 * 32 bytes from each chunk would hold two thousand times the memory of its messages. So small payloads are copied out
 * of large chunks. Larger payloads stay views, because the copy costs more than it saves. The bytes that views keep in
 * memory are counted, and beyond a budget each such payload is copied.
 */
import { EMPTY, type FrameView, type Meta } from '../../wire/index.js';

/** Returns the payload of a frame, which the caller may keep. `mayPin`: a view may keep a much larger chunk in memory. */
export function keepPayload(frame: FrameView, mayPin = true): Buffer {
  const { bytes, end: to } = frame;
  const from = frame.payloadStart;
  const size = to - from;
  if (size === 0) return EMPTY;
  const excessive = isExcessive(bytes, size);
  if (!excessive || (mayPin && size > LARGEST_COPY)) return bytes.subarray(from, to);
  const copy = Buffer.allocUnsafe(size);
  // For a smaller payload, a loop is faster than the call into the runtime.
  if (size > LARGEST_LOOP) bytes.copy(copy, 0, from, to);
  else for (let at = 0; at < size; at++) copy[at] = bytes[from + at]!;
  return copy;
}

/** Returns the fields of a frame, and a copy of its payload. The application may keep both. */
export function ownedPartsOf(frame: FrameView): { meta: Meta; data: Buffer } {
  const { meta, payload } = frame.decode();
  return { meta, data: Buffer.from(payload) };
}

/** Octets of the chunk that `keepPayload` pins with the same arguments; 0 for a copy, and for a large part of its chunk. */
export function pinnedBy({ bytes, payloadSize }: FrameView, mayPin: boolean): number {
  return mayPin && payloadSize > LARGEST_COPY && isExcessive(bytes, payloadSize) ? bytes.length : 0;
}

/** Whether the payload is less than a quarter of its chunk. A larger payload may always pin its chunk. */
function isExcessive(bytes: Buffer, size: number): boolean {
  return size * SMALLEST_SHARE < bytes.length;
}

const SMALLEST_SHARE = 4;
const LARGEST_COPY = 512;
const LARGEST_LOOP = 64;
/** Octets of chunks that the views of one connection's unsettled messages may pin. */
export const MAX_PINNED = 32 * 1024 * 1024;
