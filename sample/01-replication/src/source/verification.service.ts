/**
 * Compares the two trees from scratch: each name, type, mode, link and content. Both sides read and
 * hash each file again from their disks.
 */
import { Inject, Injectable } from '@nestjs/common';
import type { Entry } from '../shared/messages.js';
import { show, type RawPath } from '../shared/paths.js';
import { Pool } from '../shared/pool.js';
import { ComparisonService, type Pair } from './comparison.service.js';
import { endsTheRun, explain } from './errors.js';
import { Progress } from './progress.js';
import { FILES_IN_PARALLEL } from './replication.service.js';
import { SETTINGS, type SourceSettings } from './settings.js';

@Injectable()
export class VerificationService {
  private readonly files = new Pool(FILES_IN_PARALLEL);
  private readonly differences: string[] = [];

  constructor(
    @Inject(SETTINGS) private readonly settings: SourceSettings,
    @Inject(ComparisonService) private readonly comparison: ComparisonService,
    @Inject(Progress) private readonly progress: Progress,
  ) {}

  /** Resolves with one line for each difference. Without lines, the trees are identical. */
  async run(): Promise<readonly string[]> {
    this.progress.start('verifying', await this.comparison.count());
    await this.verifyPair(await this.comparison.root());
    await this.files.idle();
    this.progress.stop();
    return this.differences.toSorted();
  }

  private async verifyDirectory(path: RawPath): Promise<void> {
    await this.attempt(path, async () => {
      for (const pair of await this.comparison.pairs(path)) await this.verifyPair(pair);
    });
  }

  private async verifyPair({ path, own, theirs }: Pair): Promise<void> {
    this.settings.signal.throwIfAborted();
    if (own?.type === 'other') return; // the run has already reported it as skipped
    if (own === undefined) this.differs(path, 'only in the target (--delete removes it)');
    else if (theirs === undefined) this.differs(path, 'missing in the target');
    else if (own.type !== theirs.type) this.differs(path, `a ${own.type}, there a ${theirs.type}`);
    else await this.verifyAlike(path, own, theirs);
  }

  private async verifyAlike(path: RawPath, own: Entry, theirs: Entry): Promise<void> {
    if (own.target !== theirs.target) this.differs(path, 'the links point to different places');
    if (own.type !== 'link' && own.mode !== theirs.mode) {
      this.differs(path, modes(own.mode, theirs.mode));
    }
    if (own.type === 'directory') await this.verifyDirectory(path);
    if (own.type === 'file') await this.files.add(() => this.verifyContent(path, own, theirs));
  }

  private async verifyContent(path: RawPath, own: Entry, theirs: Entry): Promise<void> {
    await this.attempt(path, async () => {
      if (!(await this.comparison.haveSameContent(path, own, theirs))) {
        this.differs(path, 'the contents differ');
      }
    });
    this.progress.advance(1, own.size);
  }

  private async attempt(path: RawPath, action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      this.settings.signal.throwIfAborted();
      if (endsTheRun(error)) throw error;
      this.differs(path, explain(error));
    }
  }

  private differs(path: RawPath, how: string): void {
    this.differences.push(`${show(path)}: ${how}`);
  }
}

function modes(own: number, theirs: number): string {
  return `mode ${own.toString(8)}, there ${theirs.toString(8)}`;
}
