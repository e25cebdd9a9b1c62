import type { Meta } from './meta-fields.js';

/** A whole frame as an object of its own. The hot paths use a `FrameView` instead, and make no object per frame. */
export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly session: number;
  readonly id: number;
  readonly meta: Meta;
  /** A view of the memory in which the frame arrived. As long as you keep the view, all of that memory stays in use. */
  readonly payload: Buffer;
}
