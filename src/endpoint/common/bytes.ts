/** Converts payloads and metadata between the forms of the public API and the forms of the protocol. */
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

/** The types of data that can be sent. The library transports bytes: encode a string before you send it. */
export type Bytes = Uint8Array | ArrayBuffer | DataView;

/**
 * String entries beside a payload. There are at most 64, and a name has 1 to 255 bytes. All entries together have at most
 * 7,000 bytes: each entry counts its name and its value in UTF-8, and 4 bytes more. Received entries have no prototype,
 * so that `__proto__` is a name like any other.
 */
export type Metadata = Readonly<Record<string, string>>;

/** Returns a view of the same memory, without a copy. `what` names the data in an error. @throws IC_ERR_OPTION */
export function toBuffer(data: Bytes, what: string): Buffer;
export function toBuffer(data: unknown, what: string): Buffer {
  if (Buffer.isBuffer(data)) return data;
  if (ArrayBuffer.isView(data)) return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  // Accept an ArrayBuffer of any realm: the sandbox of a test runner has its own class.
  if (types.isArrayBuffer(data)) return Buffer.from(data);
  const type = data === null ? 'null' : typeof data;
  const remedy =
    type === 'string' ? 'Encode it, for example with Buffer.from(text).' : 'Encode it first.';
  throw optionError(
    `${what} must be a Buffer, Uint8Array, ArrayBuffer or DataView, and is of type ${type}. ${remedy}`,
  );
}

/** As `toBuffer`; empty if there is no data. @throws IC_ERR_OPTION */
export function toBufferOrEmpty(data: Bytes | undefined, what: string): Buffer {
  return data === undefined ? EMPTY : toBuffer(data, what);
}

/** @throws IC_ERR_OPTION if the wire format cannot carry the entries. */
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

/** If the wire format cannot carry the text, returns the reason, for a sentence. Otherwise returns undefined. */
export function unsendableIn(text: string): string | undefined {
  if (text.includes('\0')) return 'U+0000';
  return /\p{Cs}/u.test(text) ? 'half of a surrogate pair' : undefined;
}

/** Returns received entries as an object. If a name occurs several times, the last entry counts. */
export function toMetadata(entries: Meta['metadata']): Metadata {
  if (entries === undefined) return NO_METADATA;
  const metadata: Record<string, string> = Object.create(null);
  for (const [name, value] of entries) metadata[name] = value;
  return metadata;
}

const NO_METADATA: Metadata = Object.freeze(Object.create(null));
/** Octets of an entry beside its name and its value: the tag, the length, and the length of the name. */
const ENTRY_OVERHEAD = 4;
/** The largest metadata, in bytes. All other fields of a frame fit beside it into the 8 KiB for fields. */
const MAX_METADATA_SIZE = 7000;
