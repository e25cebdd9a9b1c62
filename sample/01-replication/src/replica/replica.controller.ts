/**
 * The replica's side of each session. Each pattern has one handler, which takes bytes and returns
 * bytes or nothing. A handler that returns accepts the message. A handler that throws rejects it.
 */
import { Controller, Inject, UseFilters } from '@nestjs/common';
import { Ctx, MessagePattern, Payload } from '@nestjs/microservices';
import { InterconnectContext } from 'nestjs-interconnect';
import {
  encode,
  Session,
  type BeginFile,
  type Begun,
  type CommitFile,
  type CreateLink,
  type ListDirectory,
  type OnePath,
  type PathAndMode,
} from '../shared/messages.js';
import { DocumentPipe, parseCount } from './document.pipe.js';
import { StorageFilter } from './storage.filter.js';
import { TransfersService } from './transfers.service.js';
import { TreeService } from './tree.service.js';

@Controller()
@UseFilters(StorageFilter)
export class ReplicaController {
  constructor(
    @Inject(TreeService) private readonly tree: TreeService,
    @Inject(TransfersService) private readonly transfers: TransfersService,
  ) {}

  @MessagePattern(Session.ListDirectory)
  async list(
    @Payload(new DocumentPipe({ path: 'text', after: 'text' })) request: ListDirectory,
  ): Promise<Buffer> {
    return encode(await this.tree.list(request));
  }

  @MessagePattern(Session.CreateDirectory)
  async createDirectory(
    @Payload(new DocumentPipe({ path: 'text', mode: 'count' })) request: PathAndMode,
  ): Promise<void> {
    await this.tree.createDirectory(request);
  }

  @MessagePattern(Session.CreateLink)
  async createLink(
    @Payload(new DocumentPipe({ path: 'text', target: 'text' })) request: CreateLink,
  ): Promise<void> {
    await this.tree.createLink(request);
  }

  @MessagePattern(Session.SetMode)
  async setMode(
    @Payload(new DocumentPipe({ path: 'text', mode: 'count' })) request: PathAndMode,
  ): Promise<void> {
    await this.tree.setMode(request);
  }

  @MessagePattern(Session.Remove)
  async remove(@Payload(new DocumentPipe({ path: 'text' })) request: OnePath): Promise<void> {
    await this.tree.remove(request);
  }

  @MessagePattern(Session.HashFile)
  async hashFile(@Payload(new DocumentPipe({ path: 'text' })) request: OnePath): Promise<Buffer> {
    return encode(await this.tree.hashFile(request));
  }

  @MessagePattern(Session.BeginFile)
  async beginFile(
    @Payload(new DocumentPipe({ path: 'text', size: 'count', mode: 'count' })) request: BeginFile,
  ): Promise<Buffer> {
    return encode(await this.transfers.begin(request));
  }

  @MessagePattern(Session.SendChunk)
  async sendChunk(@Payload() data: Buffer, @Ctx() context: InterconnectContext): Promise<void> {
    const { transfer, offset, sha256 } = context.getMetadata();
    await this.transfers.write(
      {
        transfer: parseCount('transfer', transfer),
        offset: parseCount('offset', offset),
        sha256: sha256 ?? '',
      },
      data,
    );
  }

  @MessagePattern(Session.CommitFile)
  async commitFile(
    @Payload(new DocumentPipe({ transfer: 'count', size: 'count', sha256: 'text' }))
    request: CommitFile,
  ): Promise<void> {
    await this.transfers.commit(request);
  }

  @MessagePattern(Session.AbortFile)
  async abortFile(@Payload(new DocumentPipe({ transfer: 'count' })) request: Begun): Promise<void> {
    await this.transfers.abort(request);
  }
}
