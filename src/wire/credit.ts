import { readI32, writeU32 } from './bytes.js';

/** The numbers of a CREDIT frame. Both are absolute limits, and not increments. */
export interface Credit {
  /** The number of sessions, the highest message id, or the number of items, by the frame's form; unsigned. */
  readonly count: number;
  /** Bytes, as a signed counter that wraps; 0 in the form for items, which has none. */
  readonly bytes: number;
}

/**
 * The payload of a CREDIT frame: eight octets, or four in the form for items, which counts no bytes. `bytes` may be signed
 * or unsigned, because only its 32 bits are written.
 */
export function creditPayload(count: number, bytes?: number): Buffer {
  const payload = Buffer.allocUnsafe(bytes === undefined ? 4 : 8);
  writeU32(payload, 0, count);
  if (bytes !== undefined) writeU32(payload, 4, bytes);
  return payload;
}

/**
 * Reads a CREDIT frame's payload, `bytes[start … end)`. The header check has checked its length.
 */
export function readCredit(bytes: Buffer, start: number, end: number): Credit {
  return {
    count: readI32(bytes, start) >>> 0,
    bytes: end - start === 4 ? 0 : readI32(bytes, start + 4),
  };
}
