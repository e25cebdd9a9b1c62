import { readI32, writeU32 } from './bytes.js';

/** What a CREDIT frame says. Both are absolute, not increments. */
export interface Credit {
  /** Sessions opened, the highest message id, or items, by the frame's form; unsigned. */
  readonly count: number;
  /** Bytes, as a signed counter that wraps; 0 in the form for items, which has none. */
  readonly bytes: number;
}

/**
 * The payload of a CREDIT frame: eight octets, or four where there are no bytes to count. `bytes`
 * may be a signed counter or an unsigned number: its 32 bits go out.
 */
export function creditPayload(count: number, bytes?: number): Buffer {
  const payload = Buffer.allocUnsafe(bytes === undefined ? 4 : 8);
  writeU32(payload, 0, count);
  if (bytes !== undefined) writeU32(payload, 4, bytes);
  return payload;
}

/**
 * Reads a CREDIT frame's payload, `bytes[start … end)`, whose length the header check has seen to.
 */
export function readCredit(bytes: Buffer, start: number, end: number): Credit {
  return {
    count: readI32(bytes, start) >>> 0,
    bytes: end - start === 4 ? 0 : readI32(bytes, start + 4),
  };
}
