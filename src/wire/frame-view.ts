// The view of an arriving frame: its header fields, and where its body lies in memory.

import { EMPTY, FIRST_IGNORABLE_TYPE } from './constants.js';
import type { Frame } from './frame.js';
import { decodeMeta } from './meta.js';
import { EMPTY_META, type Meta } from './meta-fields.js';

/**
 * A frame as a {@link FrameDecoder} hands it on: the fields of its header, and the place of its body.
 *
 * A decoder has one view and fills it anew for each frame, so that no object is made per frame. A function that is given
 * the view may use it until that function returns; `copy()` makes a view that lasts. `bytes` is the chunk in which the
 * frame arrived. If the frame arrived in several chunks, `bytes` is memory of its own. Copy each part of the payload that
 * you keep, because a view of the chunk can pin far more memory than it shows.
 */
export class FrameView {
  /** The frame type, 0–255. */
  type = 0;
  /** Bits of `Flag`. */
  flags = 0;
  /** The session number; 0 = the frame belongs to no session. */
  session = 0;
  /** The message id. PING, PONG and the connection's CREDIT have another number in this field. */
  id = 0;
  /** The memory in which the body lies. */
  bytes: Buffer = EMPTY;
  /** The offset of the body in `bytes`. The body begins with the metadata fields. */
  start = 0;
  /** Octets of the metadata fields. */
  metaLength = 0;
  /** The offset behind the last octet of the body. */
  end = 0;

  /** Octets of the body: fields and payload. */
  get size(): number {
    return this.end - this.start;
  }

  get payloadStart(): number {
    return this.start + this.metaLength;
  }

  get payloadSize(): number {
    return this.end - this.start - this.metaLength;
  }

  /** Whether one of these flags is set. */
  has(flags: number): boolean {
    return (this.flags & flags) !== 0;
  }

  /**
   * Decodes the metadata fields. A frame of an ignorable type has none: its fields are not read.
   *
   * @throws ProtocolError if the fields are malformed.
   */
  meta(): Meta {
    if (this.type >= FIRST_IGNORABLE_TYPE) return EMPTY_META;
    return decodeMeta(this.type, this.bytes, this.start, this.payloadStart);
  }

  /**
   * The frame as a value. Its payload is a view of `bytes`.
   *
   * @throws ProtocolError if the fields are malformed.
   */
  decode(): Frame {
    const { type, flags, session, id } = this;
    const payload = this.bytes.subarray(this.payloadStart, this.end);
    return { type, flags, session, id, meta: this.meta(), payload };
  }

  /** A view of the same memory that the decoder does not change. */
  copy(): FrameView {
    return Object.assign(new FrameView(), this);
  }
}
