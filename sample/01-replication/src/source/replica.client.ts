/** The replica as the source sees it: one method per session. */
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

/** A disk that reads slower than this is given up, so a large file may take its time. */
const SLOWEST_BYTES_PER_MS = 5_000;
const PATIENCE_MS = 60_000;

@Injectable()
export class ReplicaClient {
  constructor(@Inject(InterconnectClient) private readonly interconnect: InterconnectClient) {}

  /** A whole directory, page by page. */
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

  /** `size`: how long the file should be, which says how long this may take. */
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

  /** The answer is taken at its word: the replica is our own program. */
  private async ask<Answer>(session: string, document: object, timeout?: number): Promise<Answer> {
    return JSON.parse((await this.tell(session, document, timeout)).toString()) as Answer;
  }
}
