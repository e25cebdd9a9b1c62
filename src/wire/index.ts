// What the other floors may use of the wire floor.

export {
  Code,
  FIRST_APPLICATION_CODE,
  codeName,
  endsConnection,
  executedBy,
  isApplicationCode,
} from './codes.js';
export {
  Capability,
  DEFAULT_META_SIZE,
  EMPTY,
  FIRST_IGNORABLE_TYPE,
  Flag,
  FrameType,
  HEADER_LENGTH,
  MAX_AGENT,
  MAX_BODY_LENGTH,
  MAX_ID,
  MAX_META_LENGTH,
  MAX_METADATA_ENTRIES,
  MAX_METADATA_NAME,
  MAX_NAME,
  MAX_TEXT,
  MIN_FRAGMENT,
  NEVER_RETRY,
  TOKEN_LENGTH,
  Tag,
  VERSION,
  isSequenced,
} from './constants.js';
export { creditPayload, readCredit } from './credit.js';
export { describeFrame } from './describe.js';
export { encodeFrame } from './encode.js';
export { FrameDecoder } from './frame-decoder.js';
export { FRAME_RULES, frameName } from './frame-rules.js';
export { FrameView } from './frame-view.js';
export { GrowingBuffer } from './growing-buffer.js';
export { checkHeader, writeHeader } from './header.js';
export {
  DEADLINE_LENGTH,
  TOTAL_LENGTH,
  decodeMeta,
  encodeMeta,
  writeDeadline,
  writeTotal,
} from './meta.js';
export { EMPTY_META } from './meta-fields.js';
export { PrefaceDecoder, StrangerError, encodePreface } from './preface.js';
export { printable, quote } from './printable.js';
export { ProtocolError } from './protocol-error.js';
export { speakerOf } from './speaker.js';
export { addBytes, bytesBetween, idsAhead, nextId } from './serial.js';

export type { Frame } from './frame.js';
export type { FrameHeader } from './header.js';
export type { FrameLimits, FrameSink } from './frame-decoder.js';
export type { Meta } from './meta-fields.js';
export type { Speaker, SpeakerKind } from './speaker.js';
