/** SHA-256 of chunks and of whole files, in bounded memory. */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import type { Fingerprint } from './messages.js';

/**
 * If a link has taken the place of the file, open fails. If a pipe has taken the place, open does
 * not block.
 */
const READ_ONLY = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const READ_SIZE = 256 * 1024;

export function openForReading(place: Buffer): Promise<FileHandle> {
  return open(place, READ_ONLY);
}

export function sha256(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

/** Reads a file from its beginning to its end. */
export async function fingerprint(place: Buffer, signal?: AbortSignal): Promise<Fingerprint> {
  const file = await openForReading(place);
  try {
    const { size: expected } = await file.stat();
    const hash = createHash('sha256');
    const buffer = Buffer.allocUnsafe(Math.min(READ_SIZE, expected + 1));
    let size = 0;
    for (;;) {
      signal?.throwIfAborted();
      const { bytesRead } = await file.read(buffer, 0, buffer.length, size);
      if (bytesRead === 0) return { size, sha256: hash.digest('hex') };
      hash.update(buffer.subarray(0, bytesRead));
      size += bytesRead;
    }
  } finally {
    await file.close();
  }
}
