/**
 * What the source and the replica say to each other: the names of the sessions, the documents that
 * travel in them and the codes the replica rejects with. Control messages are small JSON documents;
 * a chunk of a file is raw bytes, with what belongs to it in the message's metadata.
 * The same as a table, with who rejects what and when, is in the README of this sample.
 */
import type { RawPath } from './paths.js';

/** The sessions the replica serves. In Nest, the name of a session is the pattern. */
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
 * Why the replica says no. An application owns the codes from 0x8000 on: up to 0xbfff they say that
 * the message was processed, from 0xc000 on that nothing was done.
 */
export const Reject = {
  /** The bytes of a chunk do not have the SHA-256 they came with. Send the file again. */
  ChunkCorrupt: 0x8001,
  /** A chunk does not begin where the last one ended. Send the file again. */
  OffsetGap: 0x8002,
  /** All chunks are there, yet length or SHA-256 of the whole are wrong. Send the file again. */
  FileCorrupt: 0x8003,
  /** The replica's file system refused: no permission, name too long … */
  Storage: 0x8010,
  /** The replica's disk is full. Send the file again when those that are on their way are through. */
  DiskFull: 0x8011,
  /** Nobody began this transfer, or it is over. Send the file again. */
  UnknownTransfer: 0xc001,
  /** The path would lead out of the target. */
  PathRefused: 0xc002,
  /** A folder stands where a file or a link should go. */
  Conflict: 0xc003,
  /** The message is not the document this session expects. */
  Malformed: 0xc004,
} as const;

/** Bytes of content per chunk. */
export const CHUNK_SIZE = 256 * 1024;

/** Entries per answer of `directory.list`. */
export const LISTING_SIZE = 1000;

/** `other`: a pipe, a socket or a device, which have no content to replicate. */
export type EntryType = 'file' | 'directory' | 'link' | 'other';

/** What stands under one name in a directory. */
export interface Entry {
  readonly name: RawPath;
  readonly type: EntryType;
  /** Permission bits, as `chmod` takes them. */
  readonly mode: number;
  /** Length of a file; otherwise 0. */
  readonly size: number;
  /** Where a link points to; otherwise empty. */
  readonly target: RawPath;
}

/** `directory.list`: the entries of a directory, in the order of their names, from `after` on. */
export interface ListDirectory {
  readonly path: RawPath;
  readonly after: RawPath;
}

export interface Listing {
  /** Of the directory itself. */
  readonly mode: number;
  readonly entries: readonly Entry[];
  /** There are more: ask again, `after` the last of these. */
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

/** What `file.hash` answers, and what `file.commit` must agree with. */
export interface Fingerprint {
  readonly size: number;
  readonly sha256: string;
}

/** `file.begin`. */
export interface BeginFile extends PathAndMode {
  readonly size: number;
}

/** What `file.begin` answers: the number the chunks are to bear. */
export interface Begun {
  readonly transfer: number;
}

/** `file.commit`. */
export interface CommitFile extends Fingerprint, Begun {}

/** `file.chunk`: these are metadata entries, the payload is the content itself. */
export interface ChunkHeader extends Begun {
  readonly offset: number;
  readonly sha256: string;
}

export function encode(document: object): Buffer {
  return Buffer.from(JSON.stringify(document));
}
