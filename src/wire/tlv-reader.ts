// Reads the octets of a meta: the tag, the u16 length and the value of each field. The reader knows the form of a value,
// and not its meaning.

import { readI32, readU16 } from './bytes.js';
import { Code } from './codes.js';
import { MAX_METADATA_NAME, TOKEN_LENGTH } from './constants.js';
import { ProtocolError } from './protocol-error.js';
import { tagName } from './tag-name.js';

/** Octets of a field's tag and length. */
const FIELD_HEADER = 3;

/** The legal values of a field. The range limits the value of a number, and the length in octets of other values. */
export interface FieldRange {
  readonly tag: number;
  readonly min: number;
  readonly max: number;
}

/**
 * Walks over the fields in `bytes[start … end)`: {@link next} steps to a field, and the other methods read its value. The
 * values that the methods return share no memory with `bytes`.
 *
 * @throws ProtocolError Every method throws this error if the field is malformed.
 */
export class TlvReader {
  readonly #bytes: Buffer;
  readonly #end: number;
  #from: number;
  #to: number;
  #tag = 0;

  constructor(bytes: Buffer, start: number, end: number) {
    this.#bytes = bytes;
    this.#end = end;
    this.#from = start;
    this.#to = start;
  }

  /** The tag of the current field. */
  get tag(): number {
    return this.#tag;
  }

  /** Steps to the next field. Returns false at the end of the meta. */
  next(): boolean {
    const at = this.#to;
    if (at === this.#end) return false;
    if (this.#end - at < FIELD_HEADER) {
      throw new ProtocolError(Code.META, `A meta ends in ${this.#end - at} stray octets.`);
    }
    this.#tag = this.#bytes[at]!;
    this.#from = at + FIELD_HEADER;
    this.#to = this.#from + readU16(this.#bytes, at + 1);
    // [IC-5.5]
    if (this.#to > this.#end) {
      throw this.#malformed(`ends ${this.#to - this.#end} octets after the meta`);
    }
    return true;
  }

  u16({ min, max }: FieldRange): number {
    this.expectLength(2);
    return this.#expectRange(readU16(this.#bytes, this.#from), min, max);
  }

  u32({ min, max }: FieldRange): number {
    this.expectLength(4);
    return this.#expectRange(this.u32At(0), min, max);
  }

  /** A u64. A value above 2⁵³ − 1 is malformed, because a JavaScript number cannot represent it. */
  u64(): number {
    this.expectLength(8);
    const high = this.u32At(0);
    if (high > 0x1fffff) throw this.#malformed('exceeds 2^53 - 1');
    return high * 0x1_0000_0000 + this.u32At(4);
  }

  /** UTF-8 without U+0000. */
  text({ min, max }: FieldRange): string {
    return this.#text(this.#from, this.#to, min, max);
  }

  /** Opaque octets, in a buffer of their own. */
  octets({ min, max }: FieldRange): Buffer {
    this.#expectRange(this.#to - this.#from, min, max, ' octets long');
    return Buffer.from(this.#bytes.subarray(this.#from, this.#to));
  }

  /** A connection token and a u32. */
  tokenAndU32(): [token: Buffer, value: number] {
    this.expectLength(TOKEN_LENGTH + 4);
    const token = Buffer.from(this.#bytes.subarray(this.#from, this.#from + TOKEN_LENGTH));
    return [token, this.u32At(TOKEN_LENGTH)];
  }

  /** A METADATA entry: u8 length of the name, name, value. */
  entry(): [name: string, value: string] {
    const nameStart = this.#from + 1;
    // An empty field has no octet for the length of the name. `nameEnd` is then behind the end of the field.
    const nameEnd = nameStart + (this.#from < this.#to ? this.#bytes[this.#from]! : 0);
    if (nameEnd > this.#to) throw this.#malformed('is too short for its name');
    return [
      this.#text(nameStart, nameEnd, 1, MAX_METADATA_NAME),
      this.#text(nameEnd, this.#to, 0, this.#to - nameEnd),
    ];
  }

  /** Throws unless the value has `length` octets. */
  expectLength(length: number): void {
    if (this.#to - this.#from !== length) {
      throw this.#malformed(`is ${this.#to - this.#from} octets long instead of ${length}`);
    }
  }

  /** The u32 at `offset` of the value. The caller has checked the length with {@link expectLength}. */
  u32At(offset: number): number {
    return readI32(this.#bytes, this.#from + offset) >>> 0;
  }

  #text(start: number, end: number, min: number, max: number): string {
    this.#expectRange(end - start, min, max, ' octets long');
    // [IC-5.9]
    const text = this.#bytes.toString('utf8', start, end);
    // toString() replaces octets that are not UTF-8 by U+FFFD. The peer can also have sent this character itself. The octets
    // were valid if encoding the text gives the same octets.
    if (text.includes('\ufffd') && !Buffer.from(text).equals(this.#bytes.subarray(start, end))) {
      throw this.#malformed('is not valid UTF-8');
    }
    if (text.includes('\0')) throw this.#malformed('contains U+0000');
    return text;
  }

  #expectRange(value: number, min: number, max: number, unit = ''): number {
    if (value < min || value > max) {
      throw this.#malformed(`is ${value}${unit}; it must be ${min} to ${max}`);
    }
    return value;
  }

  #malformed(what: string): ProtocolError {
    return new ProtocolError(Code.META, `Field ${tagName(this.#tag)} ${what}.`);
  }
}
