/**
 * Shows the user the progress of the run: a bar on a terminal, or a line now and then if the output
 * goes to a file or a pipe.
 */
import type { OnModuleDestroy } from '@nestjs/common';
import { MultiBar, type SingleBar } from 'cli-progress';
import { formatBytes, formatCount, formatRate } from './format.js';

/** The total amount of work. */
export interface Totals {
  readonly files: number;
  readonly bytes: number;
}

export abstract class Progress implements OnModuleDestroy {
  private work = '';
  private totals: Totals = { files: 0, bytes: 0 };
  private files = 0;
  private bytes = 0;
  private since = 0;

  start(work: string, totals: Totals): void {
    Object.assign(this, { work, totals, files: 0, bytes: 0, since: performance.now() });
    this.show();
  }

  /** A negative `bytes` takes back the bytes of a failed attempt. */
  advance(files: number, bytes: number): void {
    this.files += files;
    this.bytes += bytes;
    this.update();
  }

  /** Prints a line that stays above the bar. */
  abstract line(text: string): void;

  abstract stop(): void;

  /** Gives the terminal its cursor back whenever the application ends. */
  onModuleDestroy(): void {
    this.stop();
  }

  protected abstract show(): void;

  protected abstract update(): void;

  protected get share(): number {
    const { files, bytes } = this.totals;
    if (bytes === 0) return files === 0 ? 1 : Math.min(1, this.files / files);
    return Math.min(1, this.bytes / bytes); // a file may have grown since it was counted
  }

  protected describe(): string {
    const files = `${formatCount(this.files)} of ${formatCount(this.totals.files)} files`;
    const bytes = `${formatBytes(this.bytes)} of ${formatBytes(this.totals.bytes)}`;
    const rate = formatRate(this.bytes, (performance.now() - this.since) / 1000);
    return `${this.work}: ${files}, ${bytes}, ${rate} MB/s`;
  }
}

/** Progress on a terminal. */
export class ProgressBar extends Progress {
  private bars: MultiBar | undefined;
  private bar: SingleBar | undefined;

  line(text: string): void {
    if (this.bars === undefined) process.stdout.write(`${text}\n`);
    else this.bars.log(`${text}\n`);
  }

  stop(): void {
    if (this.bars === undefined) return;
    this.update();
    this.bars.update(); // prints the waiting lines
    this.bars.stop();
    this.bars = undefined;
    this.bar = undefined;
  }

  protected show(): void {
    this.bars = new MultiBar({
      stream: process.stdout,
      format: '{bar} {percentage}%  {text}',
      barCompleteChar: '█',
      barIncompleteChar: '░',
      barsize: 24,
      hideCursor: true,
    });
    this.bar = this.bars.create(1, 0, { text: this.describe() });
  }

  protected update(): void {
    this.bar?.update(this.share, { text: this.describe() });
  }
}

const LINE_EVERY_MS = 2000;

/** Progress in a log. */
export class ProgressLines extends Progress {
  private last = 0;
  private running = false;

  line(text: string): void {
    process.stdout.write(`${text}\n`);
  }

  stop(): void {
    if (this.running) this.line(this.describe());
    this.running = false;
  }

  protected show(): void {
    this.running = true;
    this.last = performance.now();
  }

  protected update(): void {
    if (performance.now() - this.last < LINE_EVERY_MS) return;
    this.last = performance.now();
    this.line(this.describe());
  }
}
