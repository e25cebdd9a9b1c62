/**
 * A received payload, safe to keep.
 *
 * A view pins the whole chunk that the socket read, up to 64 KiB: an application that keeps one message
 * of 32 bytes in each chunk would hold two thousand times what it asked for. So small payloads are
 * copied out of large chunks. Larger ones stay views, since there the copy costs more than it saves; but
 * what views pin is counted, and beyond a budget everything is copied.
 */
import { EMPTY, type FrameView, type Meta } from '../../wire/index.js';

/** The payload of a frame. `mayPin`: whether a view may pin more than it shows. */
export function keepPayload(frame: FrameView, mayPin = true): Buffer {
  const { bytes, end: to } = frame;
  const from = frame.payloadStart;
  const size = to - from;
  if (size === 0) return EMPTY;
  const excessive = isExcessive(bytes, size);
  if (!excessive || (mayPin && size > LARGEST_COPY)) return bytes.subarray(from, to);
  const copy = Buffer.allocUnsafe(size);
  // Below this size a loop beats the call into the runtime.
  if (size > LARGEST_LOOP) bytes.copy(copy, 0, from, to);
  else for (let at = 0; at < size; at++) copy[at] = bytes[from + at]!;
  return copy;
}

/** The fields of a frame, and a copy of its payload, which the application may keep. */
export function ownedPartsOf(frame: FrameView): { meta: Meta; data: Buffer } {
  const { meta, payload } = frame.decode();
  return { meta, data: Buffer.from(payload) };
}

/** Octets that a kept payload pins beside its own: 0 for a copy. */
export function pinnedBy(payload: Buffer, bytes: Buffer): number {
  const isView = payload.buffer === bytes.buffer && isExcessive(bytes, payload.length);
  return isView ? bytes.length : 0;
}

/** A payload that is a quarter of its chunk may always pin it. */
function isExcessive(bytes: Buffer, size: number): boolean {
  return size * SMALLEST_SHARE < bytes.length;
}

const SMALLEST_SHARE = 4;
const LARGEST_COPY = 512;
const LARGEST_LOOP = 64;
/** Octets of chunks that the views of one connection's unsettled messages may pin. */
export const MAX_PINNED = 32 * 1024 * 1024;
