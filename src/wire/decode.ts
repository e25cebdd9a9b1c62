// Whole frames from bytes, where a value is wanted: traces, tools, tests, and frames that are rare.

import { FIRST_IGNORABLE_TYPE } from './constants.js';
import type { Frame } from './frame.js';
import { decodeMeta } from './meta.js';
import { EMPTY_META } from './meta-fields.js';

/**
 * The frame whose body is `bytes[bodyStart … bodyEnd)`, behind a header that was checked. The
 * payload is a view of `bytes`. Throws a `ProtocolError` if the meta is malformed; that of an
 * ignorable type is not looked at.
 */
export function decodeFrame(
  type: number,
  flags: number,
  session: number,
  id: number,
  bytes: Buffer,
  bodyStart: number,
  metaLength: number,
  bodyEnd: number,
): Frame {
  const metaEnd = bodyStart + metaLength;
  const meta =
    type < FIRST_IGNORABLE_TYPE ? decodeMeta(type, bytes, bodyStart, metaEnd) : EMPTY_META;
  return { type, flags, session, id, meta, payload: bytes.subarray(metaEnd, bodyEnd) };
}
