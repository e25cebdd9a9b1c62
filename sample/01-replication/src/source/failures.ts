/** Reports and counts the failure of one entry. All other entries go on. */
import { Inject, Injectable } from '@nestjs/common';
import { InterconnectException } from 'nestjs-interconnect';
import { show, type RawPath } from '../shared/paths.js';
import { endsTheRun, explain } from './errors.js';
import { Progress } from './progress.js';
import { Report } from './report.js';
import { SETTINGS, type SourceSettings } from './settings.js';

@Injectable()
export class Failures {
  constructor(
    @Inject(SETTINGS) private readonly settings: SourceSettings,
    @Inject(Report) private readonly report: Report,
    @Inject(Progress) private readonly progress: Progress,
  ) {}

  /** Runs an action for one entry. If the action fails, only this entry fails. */
  async attempt(path: RawPath, action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      this.note(error);
      this.fail(path, error);
    }
  }

  /** Counts a rejection. Throws if the error, or its cause, ends the whole run. */
  note(error: unknown): void {
    this.settings.signal.throwIfAborted();
    if (endsTheRun(error)) throw error;
    if (error instanceof InterconnectException) this.report.rejected++;
  }

  retry(path: RawPath, error: unknown): void {
    this.report.retried++;
    this.progress.line(`again: ${show(path)}: ${explain(error)}`);
  }

  fail(path: RawPath, error: unknown): void {
    this.report.failed++;
    this.progress.line(`failed: ${show(path)}: ${explain(error)}`);
  }
}
