/**
 * A received payload, safe to keep.
 *
 * A view pins the whole chunk that the socket read, up to 64 KiB: an application that keeps one message
 * of 32 bytes in each chunk would hold two thousand times what it asked for. So small payloads are
 * copied out of large chunks. Larger ones stay views: there the copy costs more than it saves.
 */
import { EMPTY } from './unit.js';

export function keepPayload(bytes: Buffer, from: number, to: number): Buffer {
  const size = to - from;
  if (size === 0) return EMPTY;
  if (size > LARGEST_COPY || size * SMALLEST_SHARE >= bytes.length) return bytes.subarray(from, to);
  const copy = Buffer.allocUnsafe(size);
  // Below this size a loop beats the call into the runtime.
  if (size > LARGEST_LOOP) bytes.copy(copy, 0, from, to);
  else for (let at = 0; at < size; at++) copy[at] = bytes[from + at]!;
  return copy;
}

/** A payload that is a quarter of its chunk may pin it. */
const SMALLEST_SHARE = 4;
const LARGEST_COPY = 512;
const LARGEST_LOOP = 64;
