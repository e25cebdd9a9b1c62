/**
 * The messages between source and replica: the names of the sessions, their documents, and the
 * codes of rejections. A control message is a small JSON document. A chunk of a file is raw bytes;
 * its offset and hash are in the message's metadata. The README of this sample has all of this as a
 * table.
 */
import type { RawPath } from './paths.js';

/** The sessions that the replica serves. In Nest, the name of a session is the pattern. */
export const Session = {
  ListDirectory: 'directory.list',
  CreateDirectory: 'directory.create',
  CreateLink: 'link.create',
  SetMode: 'mode.set',
  Remove: 'entry.remove',
  HashFile: 'file.hash',
  BeginFile: 'file.begin',
  SendChunk: 'file.chunk',
  CommitFile: 'file.commit',
  AbortFile: 'file.abort',
} as const;

/**
 * The codes of the replica's rejections. An application owns the codes from 0x8000 on. The codes up
 * to 0xbfff say that the message was processed. The codes from 0xc000 on say that nothing was done.
 */
export const Reject = {
  /** The SHA-256 of a chunk is wrong. Send the file again. */
  ChunkCorrupt: 0x8001,
  /** A chunk does not begin at the end of the previous one. Send the file again. */
  OffsetGap: 0x8002,
  /**
   * All chunks have come, but the length or the SHA-256 of the whole file is wrong. Send the file
   * again.
   */
  FileCorrupt: 0x8003,
  /**
   * The replica's file system reported an error, for example no permission or a name that is too
   * long.
   */
  Storage: 0x8010,
  /** The replica's disk is full. Send the file again when the other transfers have ended. */
  DiskFull: 0x8011,
  /** The transfer was never begun, or has ended. Send the file again. */
  UnknownTransfer: 0xc001,
  /** The path would lead out of the target. */
  PathRefused: 0xc002,
  /** A folder has the name of the file or link. */
  Conflict: 0xc003,
  /** The message is not the document of this session. */
  Malformed: 0xc004,
} as const;

/** Bytes of content in each chunk. */
export const CHUNK_SIZE = 256 * 1024;

/** Entries in each response of `directory.list`. */
export const LISTING_SIZE = 1000;

/** `other`: a pipe, a socket or a device. They have no content to replicate. */
export type EntryType = 'file' | 'directory' | 'link' | 'other';

/** One entry of a directory. */
export interface Entry {
  readonly name: RawPath;
  readonly type: EntryType;
  /** Permission bits, as `chmod` takes them. */
  readonly mode: number;
  /** The length of a file. 0 for other types. */
  readonly size: number;
  /** The target of a link. Empty for other types. */
  readonly target: RawPath;
}

/**
 * `directory.list`: the entries of a directory in the order of their names. The list begins after
 * the name `after`.
 */
export interface ListDirectory {
  readonly path: RawPath;
  readonly after: RawPath;
}

export interface Listing {
  /** The mode of the directory itself. */
  readonly mode: number;
  readonly entries: readonly Entry[];
  /** Whether there are more entries. If so, ask again with the last name as `after`. */
  readonly more: boolean;
}

/** `directory.create` and `mode.set`. */
export interface PathAndMode {
  readonly path: RawPath;
  readonly mode: number;
}

/** `link.create`. */
export interface CreateLink {
  readonly path: RawPath;
  readonly target: RawPath;
}

/** `entry.remove` and `file.hash`. */
export interface OnePath {
  readonly path: RawPath;
}

/** The response of `file.hash`. `file.commit` sends the same values. */
export interface Fingerprint {
  readonly size: number;
  readonly sha256: string;
}

/** `file.begin`. */
export interface BeginFile extends PathAndMode {
  readonly size: number;
}

/**
 * The response of `file.begin`: the number that each chunk of the file must have in its metadata.
 */
export interface Begun {
  readonly transfer: number;
}

/** `file.commit`. */
export interface CommitFile extends Fingerprint, Begun {}

/** `file.chunk`: these are metadata entries. The payload is the content itself. */
export interface ChunkHeader extends Begun {
  readonly offset: number;
  readonly sha256: string;
}

export function encode(document: object): Buffer {
  return Buffer.from(JSON.stringify(document));
}
