/** Encodes the fields of OPEN, OPENED and END, and checks the frame against the limits of the peer. */
import { Code, encodeMeta, type Meta, ProtocolError } from '../../wire/index.js';
import type { Limits } from './limits.js';

/**
 * Encodes the fields of a frame. The frame also has `data`, and `reserved` octets of fields that are written later.
 *
 * @throws ProtocolError FRAME_SIZE if the peer would end the connection because of the frame.
 */
export function encodeFitting(peer: Limits, meta: Meta, data: Buffer, reserved: number): Buffer {
  const fields = encodeMeta(meta);
  const metaLength = fields.length + reserved;
  const size = metaLength + data.length;
  // [IC-5.11]
  if (metaLength <= peer.maxMeta && size <= peer.maxFrame) return fields;
  throw new ProtocolError(
    Code.FRAME_SIZE,
    `A frame of ${size} bytes, ${metaLength} of them fields, exceeds the ${peer.maxFrame} ` +
      `and ${peer.maxMeta} that the other side takes.`,
  );
}
