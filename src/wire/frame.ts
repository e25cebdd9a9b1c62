import type { Meta } from './meta-fields.js';

/**
 * One whole frame as a value. The hot paths never make one: they pass the header's fields as
 * scalars.
 */
export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly session: number;
  readonly id: number;
  readonly meta: Meta;
  /** A view of the bytes the frame was decoded from: copy it to keep it beyond them. */
  readonly payload: Buffer;
}
