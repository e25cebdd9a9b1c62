import type { Meta } from './meta-fields.js';

/** One whole frame as a value. The hot paths use a `FrameView` instead, and make no object per frame. */
export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly session: number;
  readonly id: number;
  readonly meta: Meta;
  /** A view of the memory in which the frame came. Copy it to keep it for longer. */
  readonly payload: Buffer;
}
