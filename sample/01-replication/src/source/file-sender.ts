/**
 * Sends one file: begin, chunks, commit. A few chunks are on their way at a time, each in a buffer
 * of its own. When a chunk is settled, its buffer takes the next one. So a file of any size needs
 * the same memory.
 */
import { createHash } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { lstat, type FileHandle } from 'node:fs/promises';
import { Inject, Injectable } from '@nestjs/common';
import { PERMISSIONS } from '../shared/directory.js';
import { openForReading, sha256 } from '../shared/hash.js';
import { CHUNK_SIZE } from '../shared/messages.js';
import { locate, type RawPath } from '../shared/paths.js';
import { ChangedError } from './errors.js';
import { Progress } from './progress.js';
import { ReplicaClient } from './replica.client.js';
import { SETTINGS, type SourceSettings } from './settings.js';

const CHUNKS_IN_FLIGHT = 4;

/** A buffer, and the settlement of the last chunk that was sent from it. */
interface Slot {
  readonly buffer: Buffer;
  settled: Promise<void>;
}

@Injectable()
export class FileSender {
  constructor(
    @Inject(SETTINGS) private readonly settings: SourceSettings,
    @Inject(ReplicaClient) private readonly replica: ReplicaClient,
    @Inject(Progress) private readonly progress: Progress,
  ) {}

  /**
   * Resolves with the number of bytes sent when the replica has verified the file. Throws any error
   * of the transfer.
   */
  async send(path: RawPath): Promise<number> {
    const place = locate(this.settings.folder, path);
    const file = await openForReading(place);
    let sent = 0;
    const count = (bytes: number): void => {
      sent += bytes;
      this.progress.advance(0, bytes);
    };
    try {
      const before = await file.stat({ bigint: true });
      if (!before.isFile()) throw new ChangedError();
      const size = Number(before.size);
      const mode = Number(before.mode) & PERMISSIONS;
      const { transfer } = await this.replica.beginFile({ path, size, mode });
      try {
        const digest = await this.sendChunks(file, transfer, size, count);
        if (!isSame(before, await lstat(place, { bigint: true }))) throw new ChangedError();
        await this.replica.commitFile({ transfer, size, sha256: digest });
        return size;
      } catch (error) {
        await this.replica.abortFile({ transfer }).catch(() => undefined); // the first error counts
        this.progress.advance(0, -sent);
        throw error;
      }
    } finally {
      await file.close();
    }
  }

  /** Resolves with the SHA-256 of the whole file when the replica has accepted each chunk. */
  private async sendChunks(
    file: FileHandle,
    transfer: number,
    size: number,
    count: (bytes: number) => void,
  ): Promise<string> {
    const hash = createHash('sha256');
    const slots = makeSlots(size);
    try {
      for (let offset = 0, turn = 0; offset < size; turn++) {
        const slot = slots[turn % slots.length]!;
        await slot.settled;
        this.settings.signal.throwIfAborted();
        const chunk = await readChunk(file, slot.buffer, offset, size);
        const header = { transfer, offset, sha256: sha256(chunk) };
        slot.settled = this.replica.sendChunk(header, chunk);
        slot.settled.catch(() => undefined); // the rejection is handled when the slot is used again
        hash.update(chunk);
        offset += chunk.length;
        count(chunk.length);
      }
      await Promise.all(slots.map((slot) => slot.settled));
      return hash.digest('hex');
    } catch (error) {
      await Promise.allSettled(slots.map((slot) => slot.settled)); // afterwards, no chunk uses its buffer
      throw error;
    }
  }
}

function makeSlots(size: number): Slot[] {
  const count = Math.min(CHUNKS_IN_FLIGHT, Math.ceil(size / CHUNK_SIZE));
  return Array.from({ length: count }, () => ({
    buffer: Buffer.allocUnsafeSlow(Math.min(CHUNK_SIZE, size)),
    settled: Promise.resolve(),
  }));
}

/**
 * Fills the buffer, but reads no further than the `size` bytes that the file had at the beginning.
 */
async function readChunk(
  file: FileHandle,
  buffer: Buffer,
  offset: number,
  size: number,
): Promise<Buffer> {
  const length = Math.min(buffer.length, size - offset);
  for (let read = 0; read < length;) {
    const { bytesRead } = await file.read(buffer, read, length - read, offset + read);
    if (bytesRead === 0) throw new ChangedError(); // the file has become shorter
    read += bytesRead;
  }
  return buffer.subarray(0, length);
}

function isSame(before: BigIntStats, after: BigIntStats): boolean {
  return before.ino === after.ino && before.size === after.size && before.mtimeNs === after.mtimeNs;
}
