/**
 * Frames as the conformance cases need them, legal or not. A header may announce any body length, and a meta may hold
 * any octets. Each buffer holds one frame.
 */
import {
  encodeMeta,
  Flag,
  FrameType,
  HEADER_LENGTH,
  type Meta,
  Tag,
  writeHeader,
} from '../../wire/index.js';

/** The parts of a frame. A meta that is given as octets is written unchanged. */
export interface FrameParts {
  readonly flags?: number;
  readonly session?: number;
  readonly id?: number;
  readonly meta?: Meta | Buffer;
  readonly payload?: Buffer | string;
  /** The metaLen that the header announces, if it differs from the real length. */
  readonly metaLength?: number;
  /** The bodyLen that the header announces, if it differs from the real length. */
  readonly bodyLength?: number;
}

/** A frame of any type, legal or not. */
export function frame(type: number, parts: FrameParts = {}): Buffer {
  const { flags = 0, session = 0, id = 0 } = parts;
  const meta = Buffer.isBuffer(parts.meta) ? parts.meta : encodeMeta(parts.meta ?? {});
  const payload = Buffer.from(parts.payload ?? '');
  const { metaLength = meta.length, bodyLength = meta.length + payload.length } = parts;
  const header = Buffer.alloc(HEADER_LENGTH);
  writeHeader(header, 0, { type, flags, session, id }, metaLength, bodyLength);
  return Buffer.concat([header, meta, payload]);
}

/** One field of a meta, with any tag. `length` is the length that the field announces. */
export function field(tag: number, value: Buffer | string = '', length?: number): Buffer {
  const bytes = Buffer.from(value);
  const head = Buffer.from([tag, 0, 0]);
  head.writeUInt16BE(length ?? bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

/** Several fields in a row. */
export function fields(...all: Buffer[]): Buffer {
  return Buffer.concat(all);
}

export function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

/** Several u32 in a row. */
export function u32(...values: number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value, 4 * index);
  return bytes;
}

export function u64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}

/** A METADATA field. `nameLength` is the length that the field announces for its name. */
export function entry(name: string, value: string, nameLength = name.length): Buffer {
  return field(Tag.METADATA, Buffer.concat([Buffer.from([nameLength]), Buffer.from(name + value)]));
}

export function open(session: number, name: string, meta: Meta = {}): Buffer {
  return frame(FrameType.OPEN, { session, meta: { ...meta, name } });
}

export function opened(session: number): Buffer {
  return frame(FrameType.OPENED, { session });
}

/** END. Without a code, END ends the session in order. */
export function end(session: number, code?: number): Buffer {
  return frame(FrameType.END, { session, meta: code === undefined ? {} : { code } });
}

export function send(session: number, id: number, parts: FrameParts = {}): Buffer {
  return frame(FrameType.SEND, { ...parts, session, id });
}

export function frag(session: number, id: number, parts: FrameParts = {}): Buffer {
  return frame(FrameType.FRAG, { ...parts, session, id });
}

/** ACCEPT with REPLY. */
export function accept(session: number, id: number, parts: FrameParts = {}): Buffer {
  return frame(FrameType.ACCEPT, { ...parts, session, id, flags: (parts.flags ?? 0) | Flag.REPLY });
}

/** REJECT with REPLY. */
export function reject(session: number, id: number, code: number): Buffer {
  return frame(FrameType.REJECT, { session, id, flags: Flag.REPLY, meta: { code } });
}

export function cancel(session: number, id: number): Buffer {
  return frame(FrameType.CANCEL, { session, id });
}

export function ping(token: number): Buffer {
  return frame(FrameType.PING, { id: token });
}

/**
 * CREDIT of the connection (session 0) or of a session. `received` is the count of received frames that it
 * acknowledges.
 */
export function credit(session: number, count: number, bytes: number, received = 0): Buffer {
  return frame(FrameType.CREDIT, { session, id: received, payload: u32(count, bytes) });
}

export function close(code: number): Buffer {
  return frame(FrameType.CLOSE, { meta: { code } });
}

/**
 * A message, an item or a settlement, cut into frames of at most `size` octets of payload: a first frame with the
 * given parts, then FRAGs.
 */
export function inFragments(
  type: number,
  parts: FrameParts,
  payload: Buffer,
  size: number,
): Buffer[] {
  const { session = 0, id = 0, flags = 0 } = parts;
  const pieces: Buffer[] = [];
  for (let at = 0; at < payload.length; at += size) pieces.push(payload.subarray(at, at + size));
  return pieces.map((piece, index) => {
    const more = index < pieces.length - 1 ? Flag.MORE : 0;
    if (index === 0) return frame(type, { ...parts, flags: flags | more, payload: piece });
    return frag(session, id, { flags: (flags & Flag.REPLY) | more, payload: piece });
  });
}

/** Octets that differ from place to place, so that a test notices octets in the wrong place. */
export function pattern(length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let at = 0; at < length; at += 1) bytes[at] = (at * 31 + (at >>> 8)) & 0xff;
  return bytes;
}
