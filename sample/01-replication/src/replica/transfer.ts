/**
 * One file during its transfer into the target. The chunks go to a temporary file beside the place
 * of the file. The temporary file gets the name of the file only when the whole content has the
 * SHA-256 that the source announced. So readers of the target see the old file or the new one, and
 * never a part.
 */
import { createHash } from 'node:crypto';
import { open, rename, unlink, type FileHandle } from 'node:fs/promises';
import { InterconnectException } from 'nestjs-interconnect';
import { sha256 } from '../shared/hash.js';
import { Reject, type BeginFile, type ChunkHeader, type Fingerprint } from '../shared/messages.js';

/** Only the owner may read the content until the file gets its mode. */
const PRIVATE = 0o600;

export class Transfer {
  private readonly hash = createHash('sha256');
  private received = 0;
  /**
   * The writes of the chunks, one after the other in the order of arrival. If one fails, all later
   * ones fail with the same error, so that the source learns the cause.
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

  /** Verifies the whole content. Then gives the file its mode and its name. */
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

  /** Removes the temporary file. Does nothing after `commit`. */
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
