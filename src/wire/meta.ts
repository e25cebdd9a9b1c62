// Encodes and decodes the meta: the fields at the start of a frame's body. Each field is a u8 tag, a u16 length and a value.
//
// The encoder writes the fields in the order of their tags. The decoder takes any order, but DEADLINE must come first.

import { readI32, readU16, writeU16, writeU32 } from './bytes.js';
import { Code, canReject, codeName } from './codes.js';
import {
  DEFAULT_META_SIZE,
  FIRST_IGNORABLE_TAG,
  FrameType,
  MAX_METADATA_ENTRIES,
  MIN_FRAGMENT,
  Tag,
} from './constants.js';
import { readField, writeFields } from './field-rules.js';
import { FRAME_RULES, frameName } from './frame-rules.js';
import { EMPTY_META } from './meta-fields.js';
import type { Meta, MetaDraft } from './meta-fields.js';
import { ProtocolError } from './protocol-error.js';
import { tagName } from './tag-name.js';
import { TlvReader } from './tlv-reader.js';
import { TlvWriter } from './tlv-writer.js';

/** Octets of a DEADLINE field. Most messages have no other field. */
export const DEADLINE_LENGTH = 7;

/**
 * Writes a DEADLINE field, {@link DEADLINE_LENGTH} octets, at `offset`. When a frame is sent again, this overwrites the
 * former field. The caller makes sure that `milliseconds` is 1 … 2³² − 1.
 */
export function writeDeadline(target: Buffer, offset: number, milliseconds: number): void {
  target[offset] = Tag.DEADLINE;
  writeU16(target, offset + 1, 4);
  writeU32(target, offset + 3, milliseconds);
}

/** Octets of a TOTAL field. */
export const TOTAL_LENGTH = 11;

/**
 * Writes a TOTAL field, {@link TOTAL_LENGTH} octets, at `offset`. The caller makes sure that `octets` is 0 … 2⁵³ − 1.
 */
export function writeTotal(target: Buffer, offset: number, octets: number): void {
  target[offset] = Tag.TOTAL;
  writeU16(target, offset + 1, 8);
  writeU32(target, offset + 3, Math.floor(octets / 2 ** 32));
  writeU32(target, offset + 7, octets);
}

/**
 * Returns the meta's octets; none if there are no fields. The function does not know the frame, so it cannot check whether
 * the frame may have these fields.
 *
 * @throws ProtocolError for a value that cannot be sent.
 */
export function encodeMeta(meta: Meta): Buffer {
  checkValues(meta);
  const out = new TlvWriter();
  writeFields(out, meta);
  return out.take();
}

/**
 * Reads the meta of a frame of this type from `bytes[start … end)`. Ignorable fields are skipped. The result shares no
 * memory with `bytes`.
 *
 * @throws ProtocolError if a field is malformed, repeated, missing, or not allowed on this frame.
 */
export function decodeMeta(type: number, bytes: Buffer, start: number, end: number): Meta {
  const required = REQUIRED_TAGS[type]!;
  if (start === end && required === 0) return EMPTY_META;
  if (type === FrameType.SEND && end - start === DEADLINE_LENGTH) {
    // Nearly every message has a DEADLINE and no other field.
    const deadline = readDeadline(bytes, start);
    if (deadline > 0) return { deadline };
  }

  const meta: MetaDraft = {};
  const reader = new TlvReader(bytes, start, end);
  let seen = 0;
  for (let isFirst = true; reader.next(); isFirst = false) {
    const tag = reader.tag;
    // [IC-5.4]
    if (tag >= FIRST_IGNORABLE_TAG) continue;
    checkPlace(type, tag, seen, isFirst);
    readField(reader, meta);
    seen |= 1 << tag;
  }
  if (type === FrameType.REJECT) checkRejectCode(meta.code);
  checkRequired(type, required & ~seen);
  checkValues(meta);
  return meta;
}

/** Returns the value of the DEADLINE field at `at`; 0 if another field stands there, or if the field is malformed. */
function readDeadline(bytes: Buffer, at: number): number {
  return bytes[at] === Tag.DEADLINE && readU16(bytes, at + 1) === 4
    ? readI32(bytes, at + 3) >>> 0
    : 0;
}

/** Throws if the frame may not have a field of this tag after the fields in the set `seen`. */
function checkPlace(type: number, tag: number, seen: number, isFirst: boolean): void {
  const bit = tag > 31 ? 0 : 1 << tag;
  // [IC-5.3]
  if (tag === 0) throw misplaced(type, tag, 'is not a field');
  // [IC-5.2]
  if ((bit & KNOWN_TAGS) === 0) {
    throw new ProtocolError(
      Code.UNSUPPORTED,
      `Field ${tagName(tag)} of ${frameName(type)} is unknown.`,
    );
  }
  // [IC-5.1]
  if ((bit & ALLOWED_TAGS[type]!) === 0) throw misplaced(type, tag, 'has no place there');
  // [IC-5.6]
  if ((bit & seen) !== 0 && tag !== Tag.METADATA) throw misplaced(type, tag, 'is there twice');
  // [IC-5.7]
  if (tag === Tag.DEADLINE && !isFirst) throw misplaced(type, tag, 'is not the first');
}

function checkRequired(type: number, missing: number): void {
  if (missing === 0) return;
  const tag = 31 - Math.clz32(missing);
  throw new ProtocolError(Code.META, `${frameName(type)} lacks the field ${tagName(tag)}.`);
}

function checkRejectCode(code: number | undefined): void {
  // [IC-6.38]
  if (code !== undefined && canReject(code)) return;
  const reason = code === undefined ? 'no code' : `the code ${codeName(code)}`;
  throw new ProtocolError(Code.PROTOCOL, `REJECT has ${reason}.`);
}

/** Checks the rules that concern several fields together. */
function checkValues(meta: Meta): void {
  const entries = meta.metadata?.length ?? 0;
  // [IC-5.8]
  if (entries > MAX_METADATA_ENTRIES) {
    throw new ProtocolError(
      Code.META,
      `A meta has ${entries} METADATA entries; at most ${MAX_METADATA_ENTRIES} are allowed.`,
    );
  }
  // A frame with a full meta must have room for the smallest fragment. [IC-5.10]
  const needed = (meta.maxMeta ?? DEFAULT_META_SIZE) + MIN_FRAGMENT;
  if (meta.maxFrame !== undefined && meta.maxFrame < needed) {
    throw new ProtocolError(
      Code.META,
      `MAX_FRAME is ${meta.maxFrame}; with this MAX_META it must be at least ${needed}.`,
    );
  }
}

function misplaced(type: number, tag: number, what: string): ProtocolError {
  return new ProtocolError(Code.META, `Field ${tagName(tag)} of ${frameName(type)} ${what}.`);
}

// Sets of tags as bits: all tags are below 32.
const KNOWN_TAGS = bitsOf(Object.values(Tag));
const ALLOWED_TAGS = new Uint32Array(256);
const REQUIRED_TAGS = new Uint32Array(256);
for (const [type, rule] of FRAME_RULES) {
  ALLOWED_TAGS[type] = bitsOf(rule.tags);
  REQUIRED_TAGS[type] = bitsOf(rule.requiredTags);
}

function bitsOf(tags: readonly number[]): number {
  return tags.reduce((bits, tag) => bits | (1 << tag), 0);
}
