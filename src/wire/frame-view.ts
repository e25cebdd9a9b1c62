// An arriving frame, as a view of the memory in which it lies.

import { EMPTY, FIRST_IGNORABLE_TYPE } from './constants.js';
import type { Frame } from './frame.js';
import { decodeMeta } from './meta.js';
import { EMPTY_META, type Meta } from './meta-fields.js';

/**
 * A frame as a {@link FrameDecoder} hands it on: the fields of its header, and the place of its body.
 *
 * A decoder has one view and fills it anew for each frame, so that no object is made per frame. The view is valid
 * during the call that it is given to; `copy()` makes one that stays. `bytes` is the chunk in which the frame came, or
 * memory of its own if the frame came in several chunks. To keep a part of the payload, copy it, because a view of the
 * chunk can pin far more memory than it shows.
 */
export class FrameView {
  /** The frame type, 0–255. */
  type = 0;
  flags = 0;
  /** The session number; 0 = the frame belongs to no session. */
  session = 0;
  /** The message id, or the number that stands in its place. */
  id = 0;
  /** The memory in which the body lies. */
  bytes: Buffer = EMPTY;
  /** The body begins here, with its metadata fields. */
  start = 0;
  /** Octets of the metadata fields. */
  metaLength = 0;
  /** The body ends in front of this octet. */
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
   * The metadata fields. Those of an ignorable type are not read.
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
