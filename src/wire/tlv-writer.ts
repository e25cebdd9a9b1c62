// Writes the octets of a meta: the tag, the u16 length and the value of each field. The writer refuses each value that the
// reader would refuse. So the side that makes a mistake gets the error, and not its peer.

import { writeU16, writeU32 } from './bytes.js';
import { Code } from './codes.js';
import { MAX_META_LENGTH, MAX_METADATA_NAME, TOKEN_LENGTH } from './constants.js';
import { ProtocolError } from './protocol-error.js';
import { tagName } from './tag-name.js';
import type { FieldRange } from './tlv-reader.js';

/** Octets of a field's tag and length. */
const FIELD_HEADER = 3;
/** Octets of memory at first. Most metas are smaller. The memory grows for a meta with long texts or many entries. */
const FIRST_CAPACITY = 128;

/**
 * Collects fields in the order of the calls.
 *
 * @throws ProtocolError Every method throws this error if the value cannot be sent.
 */
export class TlvWriter {
  #bytes = Buffer.allocUnsafe(FIRST_CAPACITY);
  #length = 0;

  /** The octets written so far. The caller must not use the writer afterwards. */
  take(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  u16(range: FieldRange, value: number): void {
    checkInteger(range, value);
    const at = this.#field(range.tag, 2);
    writeU16(this.#bytes, at, value);
  }

  u32(range: FieldRange, value: number): void {
    checkInteger(range, value);
    const at = this.#field(range.tag, 4);
    writeU32(this.#bytes, at, value);
  }

  /** Several u32 in one field. The range limits each of them. */
  u32s(range: FieldRange, ...values: number[]): void {
    let at = this.#field(range.tag, values.length * 4);
    for (const value of values) {
      checkInteger(range, value);
      writeU32(this.#bytes, at, value);
      at += 4;
    }
  }

  u64(range: FieldRange, value: number): void {
    checkInteger(range, value);
    const at = this.#field(range.tag, 8);
    writeU32(this.#bytes, at, Math.floor(value / 0x1_0000_0000));
    writeU32(this.#bytes, at + 4, value);
  }

  /** UTF-8 without U+0000. */
  text({ tag, min, max }: FieldRange, text: string): void {
    const length = checkText(tag, text, min, max);
    const at = this.#field(tag, length);
    this.#bytes.write(text, at, length);
  }

  /** Opaque octets. */
  octets({ tag, min, max }: FieldRange, octets: Buffer): void {
    checkLength(tag, octets.length, min, max);
    const at = this.#field(tag, octets.length);
    this.#bytes.set(octets, at);
  }

  /** A connection token and a u32. */
  tokenAndU32(range: FieldRange, token: Buffer, value: number): void {
    checkLength(range.tag, token.length, TOKEN_LENGTH, TOKEN_LENGTH);
    checkInteger(range, value);
    const at = this.#field(range.tag, TOKEN_LENGTH + 4);
    this.#bytes.set(token, at);
    writeU32(this.#bytes, at + TOKEN_LENGTH, value);
  }

  /** A METADATA entry: u8 length of the name, name, value. */
  entry(tag: number, name: string, value: string): void {
    const nameLength = checkText(tag, name, 1, MAX_METADATA_NAME);
    const valueLength = checkText(tag, value, 0, MAX_META_LENGTH);
    const at = this.#field(tag, 1 + nameLength + valueLength);
    this.#bytes[at] = nameLength;
    this.#bytes.write(name, at + 1, nameLength);
    this.#bytes.write(value, at + 1 + nameLength, valueLength);
  }

  /**
   * Makes room for a field, writes its tag and length, and returns the offset of its value. The method may replace
   * `#bytes`.
   */
  #field(tag: number, length: number): number {
    const at = this.#length;
    const end = at + FIELD_HEADER + length;
    if (end > this.#bytes.length) this.#grow(tag, end);
    this.#bytes[at] = tag;
    writeU16(this.#bytes, at + 1, length);
    this.#length = end;
    return at + FIELD_HEADER;
  }

  #grow(tag: number, needed: number): void {
    if (needed > MAX_META_LENGTH) {
      throw unwritable(tag, `makes the meta ${needed} octets long, more than ${MAX_META_LENGTH}`);
    }
    const larger = Buffer.allocUnsafe(Math.min(needed * 2, MAX_META_LENGTH));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }
}

function checkInteger({ tag, min, max }: FieldRange, value: number): void {
  if (!Number.isInteger(value) || value < min || value > max) {
    throw unwritable(tag, `is ${value}; it must be an integer from ${min} to ${max}`);
  }
}

/** Returns the text's length in octets. */
function checkText(tag: number, text: string, min: number, max: number): number {
  const length = Buffer.byteLength(text);
  checkLength(tag, length, min, max);
  // A lone surrogate has no UTF-8 form. Without this check it would silently arrive as U+FFFD.
  if (/\p{Cs}/u.test(text)) throw unwritable(tag, 'has half of a surrogate pair in it');
  if (text.includes('\0')) throw unwritable(tag, 'contains U+0000');
  return length;
}

function checkLength(tag: number, length: number, min: number, max: number): void {
  if (length < min || length > max) {
    throw unwritable(tag, `is ${length} octets long; it must be ${min} to ${max}`);
  }
}

function unwritable(tag: number, what: string): ProtocolError {
  return new ProtocolError(Code.META, `Field ${tagName(tag)} ${what}.`);
}
