/**
 * Brings one file to the replica. Does not send the file if the replica has the same content. Tries
 * a bounded number of times if another attempt could help.
 */
import { Inject, Injectable } from '@nestjs/common';
import type { Entry } from '../shared/messages.js';
import type { RawPath } from '../shared/paths.js';
import { ComparisonService } from './comparison.service.js';
import { isDiskFull, isWorthAnotherAttempt } from './errors.js';
import { Failures } from './failures.js';
import { FileSender } from './file-sender.js';
import { Progress } from './progress.js';
import { ReplicaClient } from './replica.client.js';
import { Report } from './report.js';

const ATTEMPTS = 3;

@Injectable()
export class FileReplicationService {
  /** Files that the replica had no room for while other files were on their way. */
  private readonly postponed: RawPath[] = [];

  constructor(
    @Inject(ComparisonService) private readonly comparison: ComparisonService,
    @Inject(FileSender) private readonly sender: FileSender,
    @Inject(ReplicaClient) private readonly replica: ReplicaClient,
    @Inject(Failures) private readonly failures: Failures,
    @Inject(Report) private readonly report: Report,
    @Inject(Progress) private readonly progress: Progress,
  ) {}

  async replicate(path: RawPath, own: Entry, theirs?: Entry): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        if (attempt === 1 && (await this.isUnchanged(path, own, theirs))) {
          this.report.unchanged++;
          this.progress.advance(1, own.size);
        } else {
          await this.send(path);
        }
        return;
      } catch (error) {
        this.failures.note(error);
        if (isDiskFull(error)) {
          this.failures.retry(path, error);
          this.postponed.push(path);
          return;
        }
        if (attempt === ATTEMPTS || !isWorthAnotherAttempt(error)) {
          this.failures.fail(path, error);
          return;
        }
        this.failures.retry(path, error);
      }
    }
  }

  /**
   * Sends the postponed files. Call it when no other transfer is under way, so that a file has all
   * the room that there is.
   */
  async sendPostponed(): Promise<void> {
    for (const path of this.postponed) {
      await this.failures.attempt(path, () => this.send(path));
    }
  }

  private async send(path: RawPath): Promise<void> {
    const sent = await this.sender.send(path);
    this.report.bytes += sent; // `+= await …` would lose bytes that others add meanwhile
    this.progress.advance(1, 0);
  }

  private async isUnchanged(path: RawPath, own: Entry, theirs?: Entry): Promise<boolean> {
    if (theirs?.type !== 'file') return false;
    if (!(await this.comparison.haveSameContent(path, own, theirs))) return false;
    if (theirs.mode !== own.mode) await this.replica.setMode({ path, mode: own.mode });
    return true;
  }
}
