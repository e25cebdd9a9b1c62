/**
 * Makes the replica equal to the source: walks the folder, parents before children, and sends the
 * differences. If one entry fails, the failure is reported and the rest goes on.
 */
import { Inject, Injectable } from '@nestjs/common';
import type { Entry, PathAndMode } from '../shared/messages.js';
import { show, type RawPath } from '../shared/paths.js';
import { Pool } from '../shared/pool.js';
import { ComparisonService, type Pair } from './comparison.service.js';
import { Failures } from './failures.js';
import { FileReplicationService } from './file-replication.service.js';
import { Progress } from './progress.js';
import { ReplicaClient } from './replica.client.js';
import { Report } from './report.js';
import { SETTINGS, type SourceSettings } from './settings.js';

export const FILES_IN_PARALLEL = 8;
const OWNER_ALL = 0o700;

@Injectable()
export class ReplicationService {
  private readonly pool = new Pool(FILES_IN_PARALLEL);
  /** Directories that get their mode after their content, because the mode may forbid writing. */
  private readonly modes: PathAndMode[] = [];

  constructor(
    @Inject(SETTINGS) private readonly settings: SourceSettings,
    @Inject(ComparisonService) private readonly comparison: ComparisonService,
    @Inject(FileReplicationService) private readonly files: FileReplicationService,
    @Inject(ReplicaClient) private readonly replica: ReplicaClient,
    @Inject(Failures) private readonly failures: Failures,
    @Inject(Report) private readonly report: Report,
    @Inject(Progress) private readonly progress: Progress,
  ) {}

  async run(): Promise<void> {
    this.progress.start('replicating', await this.comparison.count());
    const begin = performance.now();
    await this.replicateEntry(await this.comparison.root());
    await this.pool.idle();
    await this.files.sendPostponed();
    for (const each of this.modes.reverse()) {
      await this.failures.attempt(each.path, () => this.replica.setMode(each));
    }
    this.report.seconds = (performance.now() - begin) / 1000;
    this.progress.stop();
  }

  private async replicateDirectory(path: RawPath, mode: number, theirs?: Entry): Promise<void> {
    await this.failures.attempt(path, async () => {
      const isWritable = theirs?.type === 'directory' && (theirs.mode & OWNER_ALL) === OWNER_ALL;
      if (!isWritable) await this.replica.createDirectory({ path, mode });
      const isFinal = isWritable ? theirs.mode === mode : (mode & OWNER_ALL) === OWNER_ALL;
      if (!isFinal) this.modes.push({ path, mode });

      for (const pair of await this.comparison.pairs(path)) await this.replicateEntry(pair);
    });
  }

  private async replicateEntry(pair: Pair): Promise<void> {
    this.settings.signal.throwIfAborted();
    const { path, own, theirs } = pair;
    if (this.isInTheWay(pair)) await this.failures.attempt(path, () => this.remove(path));
    if (own === undefined) return;

    if (own.type === 'directory') {
      this.report.directories++;
      await this.replicateDirectory(path, own.mode, theirs);
    } else if (own.type === 'file') {
      this.report.files++;
      await this.pool.add(() => this.files.replicate(path, own, theirs));
    } else if (own.type === 'link') {
      this.report.links++;
      if (theirs?.type === 'link' && theirs.target === own.target) return;
      await this.failures.attempt(path, () =>
        this.replica.createLink({ path, target: own.target }),
      );
    } else {
      this.report.skipped++;
      this.progress.line(`skipped: ${show(path)}: a pipe, a socket or a device`);
    }
  }

  /**
   * With `--delete`: whether the source lacks this entry, or has a file or link in the place of a
   * folder.
   */
  private isInTheWay({ own, theirs }: Pair): boolean {
    if (!this.settings.deleteExtraneous || theirs === undefined) return false;
    if (own === undefined) return true;
    return theirs.type === 'directory' && (own.type === 'file' || own.type === 'link');
  }

  private async remove(path: RawPath): Promise<void> {
    await this.replica.remove(path);
    this.report.deleted++;
  }
}
