/** The transfers under way. The source sends the number of the transfer with each chunk. */
import { Inject, Injectable, type OnModuleDestroy } from '@nestjs/common';
import { InterconnectException } from 'nestjs-interconnect';
import {
  Reject,
  type BeginFile,
  type Begun,
  type ChunkHeader,
  type CommitFile,
} from '../shared/messages.js';
import { child, parent, temporaryName } from '../shared/paths.js';
import { TargetFolder } from './target-folder.js';
import { Transfer } from './transfer.js';
import { TreeService } from './tree.service.js';

@Injectable()
export class TransfersService implements OnModuleDestroy {
  private readonly transfers = new Map<number, Transfer>();
  private last = 0;

  constructor(
    @Inject(TargetFolder) private readonly target: TargetFolder,
    @Inject(TreeService) private readonly tree: TreeService,
  ) {}

  async begin(announced: BeginFile): Promise<Begun> {
    const transfer = ++this.last;
    const place = await this.tree.placeForContent(announced.path);
    const name = child(parent(announced.path), temporaryName(this.tree.run, transfer));
    const temporary = await this.target.locate(name);
    this.transfers.set(transfer, await Transfer.begin(announced, place, temporary));
    return { transfer };
  }

  write(chunk: ChunkHeader, data: Buffer): Promise<void> {
    return this.find(chunk.transfer).write(chunk, data);
  }

  async commit(promised: CommitFile): Promise<void> {
    await this.find(promised.transfer).commit(promised);
    this.transfers.delete(promised.transfer);
  }

  async abort({ transfer }: Begun): Promise<void> {
    const aborted = this.find(transfer);
    this.transfers.delete(transfer);
    await aborted.discard();
  }

  /** Removes the temporary files of all transfers under way when the application ends. */
  async onModuleDestroy(): Promise<void> {
    await Promise.all(Array.from(this.transfers.values(), (transfer) => transfer.discard()));
    this.transfers.clear();
  }

  private find(transfer: number): Transfer {
    const found = this.transfers.get(transfer);
    if (found !== undefined) return found;
    throw new InterconnectException(Reject.UnknownTransfer, `there is no transfer ${transfer}`);
  }
}
