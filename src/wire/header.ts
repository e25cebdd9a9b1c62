// The frame header: 16 octets, big-endian.
//
//    0       1       2               4
//   +-------+-------+---------------+-------------------------------+
//   | type  | flags |    metaLen    |            bodyLen            |
//   +-------+-------+---------------+-------------------------------+
//   |            session            |              id               |
//   +-------------------------------+-------------------------------+
//    8                               12
//
// bodyLen counts meta and payload and is below 2²⁴; session and id are below 2³¹.

import { writeU16, writeU32 } from './bytes.js';
import { Code } from './codes.js';
import { DEFINED_FLAGS, FrameType, Flag, MIN_FRAGMENT } from './constants.js';
import { FRAME_RULES, frameName } from './frame-rules.js';
import type { NumberRule, FrameRule } from './frame-rules.js';
import type { FrameView } from './frame-view.js';
import { ProtocolError } from './protocol-error.js';

/** The parts of a header that do not depend on the body. */
export interface FrameHeader {
  readonly type: number;
  readonly flags: number;
  readonly session: number;
  readonly id: number;
}

/**
 * Writes a header's 16 octets into `target` at `offset`. The function checks nothing, because the sending side builds only
 * legal headers.
 */
export function writeHeader(
  target: Buffer,
  offset: number,
  { type, flags, session, id }: FrameHeader,
  metaLength: number,
  bodyLength: number,
): void {
  target[offset] = type;
  target[offset + 1] = flags;
  writeU16(target, offset + 2, metaLength);
  writeU32(target, offset + 4, bodyLength);
  writeU32(target, offset + 8, session);
  writeU32(target, offset + 12, id);
}

/**
 * Checks a header's lengths against the receiver's limits. This check concerns every type, also ignorable types.
 * `bodyLength` may be given as a signed number.
 *
 * @throws ProtocolError if a length exceeds its limit.
 */
export function checkLengths(
  metaLength: number,
  bodyLength: number,
  maxFrame: number,
  maxMeta: number,
): void {
  if (bodyLength < 0 || bodyLength > maxFrame) {
    throw new ProtocolError(
      Code.FRAME_SIZE,
      `A frame announces a body of ${bodyLength >>> 0} octets; at most ${maxFrame} are accepted.`,
    );
  }
  if (metaLength > bodyLength) {
    throw new ProtocolError(
      Code.META,
      `A frame announces ${metaLength} octets of meta in a body of ${bodyLength}.`,
    );
  }
  if (metaLength > maxMeta) {
    throw new ProtocolError(
      Code.META,
      `A frame announces ${metaLength} octets of meta; at most ${maxMeta} are accepted.`,
    );
  }
}

/**
 * Checks the other parts of a header: type, flags, session, id, and the length of the payload. A header that passes is
 * legal for its type, but it may still be illegal in the connection's current state. The caller has checked the lengths
 * with {@link checkLengths}. The caller does not call this function for an ignorable type.
 *
 * @throws ProtocolError if the header is not legal for its type.
 */
export function checkHeader(frame: FrameView): void {
  const { type, flags, metaLength, session, id } = frame;
  // [IC-4.1] [IC-6.1]
  const shape = SHAPES[type];
  if (!shape) throw unknownType(type);

  if ((flags & FORBIDDEN_FLAGS[type]!) !== 0) throw wrongFlags(type, flags);
  if ((~flags & REQUIRED_FLAGS[type]!) !== 0) throw missingFlags(type, flags);
  if ((session | id) < 0) throw topBit(type, session, id);
  if (session === 0 ? shape & Shape.SESSION_NONZERO : shape & Shape.SESSION_ZERO) {
    throw wrongField(type, 'session', session);
  }
  if (id === 0 ? shape & Shape.ID_NONZERO : shape & Shape.ID_ZERO) throw wrongField(type, 'id', id);

  const payloadLength = frame.payloadSize;
  // [IC-6.2]
  if (metaLength !== 0 && shape & Shape.NO_META) {
    throw broken(type, `has ${metaLength} octets of meta; it takes none.`);
  }
  if (payloadLength !== 0 && shape & Shape.NO_PAYLOAD) {
    throw broken(type, `has ${payloadLength} octets of payload; it takes none.`);
  }
  // [IC-6.3]
  if (flags & Flag.MORE && payloadLength < MIN_FRAGMENT) {
    throw broken(
      type,
      `with MORE has ${payloadLength} octets of payload, fewer than ${MIN_FRAGMENT}.`,
    );
  }
  if (shape & Shape.SPECIAL) checkSpecial(frame);
}

/** Checks the rules that concern several parts of a header together. */
function checkSpecial(frame: FrameView): void {
  const { type, flags } = frame;
  switch (type) {
    case FrameType.SEND:
      // [IC-6.29]
      if ((flags & ONEWAY_STREAM) === ONEWAY_STREAM) {
        throw broken(type, 'has both ONEWAY and STREAM.');
      }
      return;
    case FrameType.ITEM:
      // [IC-6.49]
      // A response stream ends with its settlement, and not with END.
      if ((flags & REPLY_END) === REPLY_END) throw broken(type, 'has both REPLY and END.');
      return;
    case FrameType.FRAG:
      // [IC-6.36]
      if (frame.payloadSize === 0) throw broken(type, 'is empty.');
      return;
    case FrameType.CREDIT:
      return checkCredit(frame);
    default:
      throw new Error(`${frameName(type)} has no rules of its own.`);
  }
}

function checkCredit({ flags, payloadSize, session, id }: FrameView): void {
  const forItems = session !== 0 && id !== 0;
  // [IC-6.11]
  if (flags & Flag.REPLY && !forItems) {
    throw broken(FrameType.CREDIT, `has REPLY without a message: session ${session}, id ${id}.`);
  }
  const length = forItems ? 4 : 8;
  if (payloadSize !== length) {
    throw broken(FrameType.CREDIT, `has ${payloadSize} octets of payload instead of ${length}.`);
  }
}

const ONEWAY_STREAM = Flag.ONEWAY | Flag.STREAM;
const REPLY_END = Flag.REPLY | Flag.END;

/** A row of `FRAME_RULES` as bits. An unknown type has no bits. */
const Shape = {
  KNOWN: 0x01,
  SESSION_ZERO: 0x02,
  SESSION_NONZERO: 0x04,
  ID_ZERO: 0x08,
  ID_NONZERO: 0x10,
  NO_META: 0x20,
  NO_PAYLOAD: 0x40,
  SPECIAL: 0x80,
} as const;

const SPECIAL_TYPES: readonly number[] = [
  FrameType.CREDIT,
  FrameType.SEND,
  FrameType.FRAG,
  FrameType.ITEM,
];

// Every frame needs a look-up, and an array is faster than the Map of `FRAME_RULES`.
const SHAPES = new Uint8Array(256);
const FORBIDDEN_FLAGS = new Uint8Array(256);
const REQUIRED_FLAGS = new Uint8Array(256);
for (const [type, rule] of FRAME_RULES) {
  SHAPES[type] = shapeOf(type, rule);
  FORBIDDEN_FLAGS[type] = ~rule.flags;
  REQUIRED_FLAGS[type] = rule.requiredFlags;
}

function shapeOf(type: number, rule: FrameRule): number {
  return (
    Shape.KNOWN |
    fieldBits(rule.session, Shape.SESSION_ZERO, Shape.SESSION_NONZERO) |
    fieldBits(rule.id, Shape.ID_ZERO, Shape.ID_NONZERO) |
    (rule.tags.length === 0 ? Shape.NO_META : 0) |
    (rule.payload === 'none' ? Shape.NO_PAYLOAD : 0) |
    (SPECIAL_TYPES.includes(type) ? Shape.SPECIAL : 0)
  );
}

function fieldBits(rule: NumberRule, zero: number, nonzero: number): number {
  if (rule === 'any') return 0;
  return rule === 'zero' ? zero : nonzero;
}

// Separate functions make the errors. So the checks stay small enough for V8 to inline them.

function broken(type: number, what: string): ProtocolError {
  return new ProtocolError(Code.PROTOCOL, `${frameName(type)} ${what}`);
}

function unknownType(type: number): ProtocolError {
  return new ProtocolError(Code.UNSUPPORTED, `Frame type ${frameName(type)} is unknown.`);
}

function wrongFlags(type: number, flags: number): ProtocolError {
  const text = `0x${flags.toString(16).padStart(2, '0')}`;
  return (flags & ~DEFINED_FLAGS) !== 0
    ? new ProtocolError(Code.UNSUPPORTED, `${frameName(type)} has reserved flags set: ${text}.`)
    : broken(type, `has flags it does not take: ${text}.`);
}

function missingFlags(type: number, flags: number): ProtocolError {
  return broken(type, `lacks a flag it needs: 0x${flags.toString(16).padStart(2, '0')}.`);
}

function topBit(type: number, session: number, id: number): ProtocolError {
  return broken(type, `has a top bit set: session ${session >>> 0}, id ${id >>> 0}.`);
}

function wrongField(type: number, field: string, value: number): ProtocolError {
  return broken(
    type,
    value === 0 ? `needs a ${field}; it has 0.` : `takes no ${field}; it has ${value}.`,
  );
}
