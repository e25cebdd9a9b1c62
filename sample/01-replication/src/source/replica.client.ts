/** The source's view of the replica: one method for each session. */
import { Inject, Injectable } from '@nestjs/common';
import { InterconnectClient, InterconnectRecordBuilder } from 'nestjs-interconnect';
import { firstValueFrom } from 'rxjs';
import {
  encode,
  Session,
  type BeginFile,
  type Begun,
  type ChunkHeader,
  type CommitFile,
  type CreateLink,
  type Entry,
  type Fingerprint,
  type Listing,
  type PathAndMode,
} from '../shared/messages.js';
import type { RawPath } from '../shared/paths.js';

/** The slowest disk that a hash waits for. The timeout of a large file is longer in proportion. */
const SLOWEST_BYTES_PER_MS = 5_000;
const PATIENCE_MS = 60_000;

@Injectable()
export class ReplicaClient {
  constructor(@Inject(InterconnectClient) private readonly interconnect: InterconnectClient) {}

  /** All entries of a directory. They come in pages. */
  async listDirectory(path: RawPath): Promise<Listing> {
    const entries: Entry[] = [];
    for (let after = ''; ; after = entries.at(-1)?.name ?? '') {
      const page: Listing = await this.ask(Session.ListDirectory, { path, after });
      entries.push(...page.entries);
      if (!page.more) return { ...page, entries };
    }
  }

  async createDirectory(request: PathAndMode): Promise<void> {
    await this.tell(Session.CreateDirectory, request);
  }

  async createLink(request: CreateLink): Promise<void> {
    await this.tell(Session.CreateLink, request);
  }

  async setMode(request: PathAndMode): Promise<void> {
    await this.tell(Session.SetMode, request);
  }

  async remove(path: RawPath): Promise<void> {
    await this.tell(Session.Remove, { path });
  }

  /** `size`: the expected length of the file. The timeout depends on it. */
  async hashFile(path: RawPath, size: number): Promise<Fingerprint> {
    return this.ask(
      Session.HashFile,
      { path },
      PATIENCE_MS + Math.ceil(size / SLOWEST_BYTES_PER_MS),
    );
  }

  async beginFile(request: BeginFile): Promise<Begun> {
    return this.ask(Session.BeginFile, request);
  }

  async sendChunk({ transfer, offset, sha256 }: ChunkHeader, data: Buffer): Promise<void> {
    const record = new InterconnectRecordBuilder(data)
      .setMetadata({ transfer: String(transfer), offset: String(offset), sha256 })
      .build();
    await firstValueFrom(this.interconnect.send(Session.SendChunk, record));
  }

  async commitFile(request: CommitFile): Promise<void> {
    await this.tell(Session.CommitFile, request);
  }

  async abortFile(request: Begun): Promise<void> {
    await this.tell(Session.AbortFile, request);
  }

  private async tell(session: string, document: object, timeout = PATIENCE_MS): Promise<Buffer> {
    const record = new InterconnectRecordBuilder(encode(document)).setTimeout(timeout).build();
    return firstValueFrom(this.interconnect.send(session, record));
  }

  /** The response is not checked: the replica is part of this program. */
  private async ask<Answer>(session: string, document: object, timeout?: number): Promise<Answer> {
    return JSON.parse((await this.tell(session, document, timeout)).toString()) as Answer;
  }
}
