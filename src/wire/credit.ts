import { readI32, writeU32 } from './bytes.js';

/**
 * The numbers of a CREDIT frame. Both are absolute limits, and not increments. The frame has three forms: for the
 * connection, for one session, and for the items of one message.
 */
export interface Credit {
  /** Connection: the number of sessions. Session: the highest message id. Items: the number of items. Unsigned. */
  readonly count: number;
  /** The byte limit, as a signed counter that wraps at 2³². The form for items has no byte limit: 0. */
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
 * Reads a CREDIT frame's payload, `bytes[start … end)`. `checkHeader` has already checked the payload's length.
 */
export function readCredit(bytes: Buffer, start: number, end: number): Credit {
  return {
    count: readI32(bytes, start) >>> 0,
    bytes: end - start === 4 ? 0 : readI32(bytes, start + 4),
  };
}
