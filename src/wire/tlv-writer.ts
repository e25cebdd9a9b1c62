// The meta in the making: tag, u16 length, value, one after the other. Refuses the values the
// reader would refuse, so that a fault shows where it was made and not at the peer.

import { writeU16, writeU32 } from './bytes.js';
import { Code } from './codes.js';
import { MAX_META_LENGTH, MAX_METADATA_NAME, TOKEN_LENGTH } from './constants.js';
import { ProtocolError } from './protocol-error.js';
import { tagName } from './tag-name.js';

/** A field's tag and length. */
const FIELD_HEADER = 3;
/** Enough for all metas but those with long texts or many entries. */
const FIRST_CAPACITY = 128;

/**
 * Collects fields in the order they are written. Every method throws a {@link ProtocolError} for
 * what cannot be sent.
 */
export class TlvWriter {
  #bytes = Buffer.allocUnsafe(FIRST_CAPACITY);
  #length = 0;

  /** What was written. The writer must not be used any more. */
  take(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  /** A u16 of at least `min`. */
  short(tag: number, value: number, min: number): void {
    checkInteger(tag, value, min, 0xffff);
    const at = this.#field(tag, 2);
    writeU16(this.#bytes, at, value);
  }

  /** A u32 from `min` to `max`. */
  integer(tag: number, value: number, min: number, max: number): void {
    checkInteger(tag, value, min, max);
    const at = this.#field(tag, 4);
    writeU32(this.#bytes, at, value);
  }

  /** Several u32, without limits of their own. */
  integers(tag: number, ...values: number[]): void {
    let at = this.#field(tag, values.length * 4);
    for (const value of values) {
      checkInteger(tag, value, 0, 0xffffffff);
      writeU32(this.#bytes, at, value);
      at += 4;
    }
  }

  /** A u64. */
  long(tag: number, value: number): void {
    checkInteger(tag, value, 0, Number.MAX_SAFE_INTEGER);
    const at = this.#field(tag, 8);
    writeU32(this.#bytes, at, Math.floor(value / 0x1_0000_0000));
    writeU32(this.#bytes, at + 4, value);
  }

  /** `min` to `max` octets of UTF-8, without U+0000. */
  text(tag: number, text: string, min: number, max: number): void {
    const length = checkText(tag, text, min, max);
    const at = this.#field(tag, length);
    this.#bytes.write(text, at, length);
  }

  /** `min` to `max` opaque octets. */
  octets(tag: number, octets: Buffer, min: number, max: number): void {
    checkLength(tag, octets.length, min, max);
    const at = this.#field(tag, octets.length);
    this.#bytes.set(octets, at);
  }

  /** A connection token and a u32. */
  tokenAndInteger(tag: number, token: Buffer, value: number): void {
    checkLength(tag, token.length, TOKEN_LENGTH, TOKEN_LENGTH);
    checkInteger(tag, value, 0, 0xffffffff);
    const at = this.#field(tag, TOKEN_LENGTH + 4);
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
   * Makes room for a field, writes its tag and length and returns where its value goes. May replace
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

function checkInteger(tag: number, value: number, min: number, max: number): void {
  if (!Number.isInteger(value) || value < min || value > max) {
    throw unwritable(tag, `is ${value}; it must be an integer from ${min} to ${max}`);
  }
}

/** Returns the text's length in octets. */
function checkText(tag: number, text: string, min: number, max: number): number {
  const length = Buffer.byteLength(text);
  checkLength(tag, length, min, max);
  // A lone surrogate has no UTF-8 form: it would silently arrive as U+FFFD.
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
