/** Payloads and metadata on their way in and out of the public API. */
import { types } from 'node:util';
import {
  MAX_METADATA_ENTRIES,
  MAX_METADATA_NAME,
  type Meta,
  quote,
  EMPTY,
} from '../../wire/index.js';
import { optionError } from './errors.js';
import { checkObject } from './checks.js';

/** What may be sent. The library moves bytes: encode a string before you send it. */
export type Bytes = Uint8Array | ArrayBuffer | DataView;

/**
 * String entries that travel beside a payload: at most 64, a name of at most 255 bytes, all together at
 * most 7,000 bytes of UTF-8. Received ones have no prototype, so that any name is just a name.
 */
export type Metadata = Readonly<Record<string, string>>;

/** A view of the same memory; nothing is copied. */
export function toBuffer(data: Bytes, what: string): Buffer;
export function toBuffer(data: unknown, what: string): Buffer {
  if (Buffer.isBuffer(data)) return data;
  if (ArrayBuffer.isView(data)) return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  // Of whatever realm: a test runner's sandbox has an ArrayBuffer of its own.
  if (types.isArrayBuffer(data)) return Buffer.from(data);
  const type = data === null ? 'null' : typeof data;
  const remedy =
    type === 'string' ? 'Encode it, for example with Buffer.from(text).' : 'Encode it first.';
  throw optionError(
    `${what} must be a Buffer, Uint8Array, ArrayBuffer or DataView, and is of type ${type}. ${remedy}`,
  );
}

export function toBufferOrEmpty(data: Bytes | undefined, what: string): Buffer {
  return data === undefined ? EMPTY : toBuffer(data, what);
}

/** @throws IC_ERR_OPTION for what the wire could not carry. */
export function toEntries(metadata: Metadata): [string, string][] {
  checkObject('metadata', metadata);
  const entries = Object.entries(metadata);
  if (entries.length > MAX_METADATA_ENTRIES) {
    throw optionError(
      `${entries.length} metadata entries exceed the ${MAX_METADATA_ENTRIES} that fit. ` +
        `Put the rest into the payload.`,
    );
  }
  let size = 0;
  for (const [name, value] of entries) {
    if (typeof value !== 'string') {
      throw optionError(
        `The metadata entry ${quote(name)} must be a string, and is a ${typeof value}.`,
      );
    }
    const nameLength = Buffer.byteLength(name);
    if (nameLength === 0 || nameLength > MAX_METADATA_NAME) {
      throw optionError(
        `The metadata name ${quote(name, 32)} must have 1 to ${MAX_METADATA_NAME} bytes.`,
      );
    }
    const flaw = unsendableIn(name) ?? unsendableIn(value);
    if (flaw !== undefined) {
      throw optionError(
        `The metadata entry ${quote(name, 32)} contains ${flaw}, which is not allowed.`,
      );
    }
    size += nameLength + Buffer.byteLength(value) + ENTRY_OVERHEAD;
  }
  if (size > MAX_METADATA_SIZE) {
    throw optionError(
      `Metadata of ${size} bytes exceeds ${MAX_METADATA_SIZE}. Put large values into the payload.`,
    );
  }
  return entries;
}

/** The part of a text that the wire has no form for, if there is one. Found before anything is begun. */
export function unsendableIn(text: string): string | undefined {
  if (text.includes('\0')) return 'U+0000';
  return /\p{Cs}/u.test(text) ? 'half of a surrogate pair' : undefined;
}

export function toMetadata(entries: Meta['metadata']): Metadata {
  if (entries === undefined) return NO_METADATA;
  const metadata: Record<string, string> = Object.create(null);
  for (const [name, value] of entries) metadata[name] = value;
  return metadata;
}

const NO_METADATA: Metadata = Object.freeze(Object.create(null));
/** Tag, length and length of the name. */
const ENTRY_OVERHEAD = 4;
/** With a name, a reason and all else that may stand beside them: less than the 8 KiB of a frame. */
const MAX_METADATA_SIZE = 7000;
