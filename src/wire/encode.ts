// Encodes a frame object into octets. The hot paths do not use this function: they write headers in place.

import {
  EMPTY,
  FIRST_IGNORABLE_TYPE,
  HEADER_LENGTH,
  MAX_BODY_LENGTH,
  MAX_META_LENGTH,
} from './constants.js';
import type { Frame } from './frame.js';
import { FrameView } from './frame-view.js';
import { checkHeader, checkLengths, writeHeader } from './header.js';
import { encodeMeta } from './meta.js';

/** A frame to encode. The default of each field is zero or empty. */
export type FrameInit = Pick<Frame, 'type'> & Partial<Frame>;

/**
 * Returns the frame's octets in a new buffer. The function does not check whether the fields of the meta are allowed on
 * this frame; only the decoder does.
 *
 * @throws ProtocolError if the other side would refuse the header, or if a value cannot be sent.
 */
export function encodeFrame(frame: FrameInit): Buffer {
  const { type, flags = 0, session = 0, id = 0 } = frame;
  const meta = frame.meta === undefined ? EMPTY : encodeMeta(frame.meta);
  const payload = frame.payload ?? EMPTY;
  const bodyLength = meta.length + payload.length;
  checkLengths(meta.length, bodyLength, MAX_BODY_LENGTH, MAX_META_LENGTH);
  const header = { type, flags, session, id };
  if (type < FIRST_IGNORABLE_TYPE) {
    checkHeader(
      Object.assign(new FrameView(), header, { metaLength: meta.length, end: bodyLength }),
    );
  }

  const bytes = Buffer.allocUnsafe(HEADER_LENGTH + bodyLength);
  writeHeader(bytes, 0, header, meta.length, bodyLength);
  bytes.set(meta, HEADER_LENGTH);
  bytes.set(payload, HEADER_LENGTH + meta.length);
  return bytes;
}
