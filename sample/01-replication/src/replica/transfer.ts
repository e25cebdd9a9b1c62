/**
 * One file on its way into the target. Its chunks are written to a temporary name beside the place
 * of the file; only when the whole has the SHA-256 the source announced does the temporary take the
 * file's name. So whoever reads the target sees the old file or the new one, never a part.
 */
import { createHash } from 'node:crypto';
import { open, rename, unlink, type FileHandle } from 'node:fs/promises';
import { InterconnectException } from 'nestjs-interconnect';
import { sha256 } from '../shared/hash.js';
import { Reject, type BeginFile, type ChunkHeader, type Fingerprint } from '../shared/messages.js';

/** Nobody but the owner may read content whose mode is not set yet. */
const PRIVATE = 0o600;

export class Transfer {
  private readonly hash = createHash('sha256');
  private received = 0;
  /**
   * The work on the chunks, one after the other in the order of their arrival. Once one fails, all
   * that follow fail for the same reason, so the source learns the cause and not its aftermath.
   */
  private work: Promise<void> = Promise.resolve();

  private constructor(
    private readonly announced: BeginFile,
    private readonly place: Buffer,
    private readonly temporary: Buffer,
    private readonly file: FileHandle,
  ) {}

  static async begin(announced: BeginFile, place: Buffer, temporary: Buffer): Promise<Transfer> {
    return new Transfer(announced, place, temporary, await open(temporary, 'wx', PRIVATE));
  }

  /** Resolves when the chunk is written. */
  write(chunk: ChunkHeader, data: Buffer): Promise<void> {
    this.work = this.work.then(() => this.append(chunk, data));
    return this.work;
  }

  /** Verifies the whole, gives it its mode and its name. */
  async commit(promised: Fingerprint): Promise<void> {
    await this.work;
    if (this.received !== this.announced.size || this.received !== promised.size) {
      const lengths = `${this.received} bytes came, ${promised.size} were promised`;
      throw new InterconnectException(Reject.FileCorrupt, `the file is not whole: ${lengths}`);
    }
    if (this.hash.digest('hex') !== promised.sha256) {
      throw new InterconnectException(Reject.FileCorrupt, 'the SHA-256 of the file is wrong');
    }
    await this.file.chmod(this.announced.mode);
    await this.file.close();
    await rename(this.temporary, this.place);
  }

  /** Leaves nothing behind. Harmless after `commit`. */
  async discard(): Promise<void> {
    await this.work.catch(() => undefined);
    await this.file.close().catch(() => undefined);
    await unlink(this.temporary).catch(() => undefined);
  }

  private async append(chunk: ChunkHeader, data: Buffer): Promise<void> {
    if (chunk.offset !== this.received) {
      const where = `at offset ${chunk.offset} instead of ${this.received}`;
      throw new InterconnectException(Reject.OffsetGap, `a chunk begins ${where}`);
    }
    if (this.received + data.length > this.announced.size) {
      throw new InterconnectException(Reject.FileCorrupt, 'more bytes came than were announced');
    }
    if (sha256(data) !== chunk.sha256) {
      const where = `at offset ${chunk.offset}`;
      throw new InterconnectException(
        Reject.ChunkCorrupt,
        `the SHA-256 of a chunk ${where} is wrong`,
      );
    }
    await this.file.appendFile(data);
    this.hash.update(data);
    this.received += data.length;
  }
}
