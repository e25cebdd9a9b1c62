/**
 * Runs many lives in several processes. A file keeps everything: each violation with its seed and all events of its
 * life. The campaign goes on after a violation, and after a life that ends its process.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { appendFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fromSource } from '../support/from-source.js';
import type { Batch, BatchReport, Violation } from './campaign-worker.js';
import { Moments } from './moments.js';

export interface CampaignOptions {
  readonly first: number;
  readonly runs: number;
  /** The number of processes at once. */
  readonly workers: number;
  /**
   * The file that keeps everything. Without it, the campaign creates a file in the temporary folder of the system.
   */
  readonly log: string | undefined;
}

export class Campaign {
  violations = 0;
  readonly #options: CampaignOptions;
  readonly #log: string;
  readonly #moments = new Moments();
  /** The number of violations for each reason. The numbers in a reason are left out. */
  readonly #reasons = new Map<string, number>();
  readonly #started = performance.now();
  #next: number;
  #done = 0;
  #nextNote = EVERY;

  constructor(options: CampaignOptions) {
    this.#options = options;
    this.#next = options.first;
    const name = `interconnect-simulation-${options.first}-${process.pid}.log`;
    this.#log = options.log ?? join(tmpdir(), name);
    writeFileSync(this.#log, '');
  }

  /** Runs all lives, and prints the results. */
  async run(): Promise<void> {
    const { first, runs, workers } = this.#options;
    this.#say(`seed ${first}, ${runs} runs, ${workers} workers, everything in ${this.#log}`);
    await Promise.all(Array.from({ length: workers }, () => this.#work()));
    this.#summarize();
  }

  /** Runs batches in one worker after another until no batch is left. */
  async #work(): Promise<void> {
    let worker: ChildProcess | undefined;
    for (let batch = this.#take(); batch !== undefined; batch = this.#take()) {
      worker ??= newWorker();
      const report = await lived(worker, batch);
      if (typeof report !== 'string') {
        this.#note(batch.count, report);
        continue;
      }
      // One life of the batch ended the worker or hung. Run each life alone to find out which one.
      worker = undefined;
      for (let seed = batch.first; seed < batch.first + batch.count; seed++) {
        this.#note(1, await livedAlone(seed));
      }
    }
    worker?.disconnect();
  }

  #take(): Batch | undefined {
    const { first, runs } = this.#options;
    const batch = { first: this.#next, count: Math.min(BATCH, first + runs - this.#next) };
    this.#next += batch.count;
    return batch.count > 0 ? batch : undefined;
  }

  #note(count: number, { violations, moments }: BatchReport): void {
    this.#done += count;
    this.#moments.add(moments);
    for (const violation of violations) this.#show(violation);
    if (this.#done < this.#nextNote) return;
    this.#nextNote += EVERY;
    this.#say(`${this.#done} runs, ${this.violations} violations, ${this.#rate} lives per second`);
  }

  #show({ seed, reason, lines }: Violation): void {
    this.violations += 1;
    const kind = reason.replaceAll(/\d+/g, '…');
    const before = this.#reasons.get(kind) ?? 0;
    this.#reasons.set(kind, before + 1);
    const head = `\nSIM_SEED=${seed}: ${reason}`;
    appendFileSync(this.#log, `${head}\n${lines.join('\n')}\n`);
    // Show the first violation of each kind in full. The summary counts the others.
    if (before === 0) console.log([head, ...lines.slice(-LAST_LINES)].join('\n'));
  }

  get #rate(): string {
    return ((this.#done * 1000) / (performance.now() - this.#started)).toFixed(0);
  }

  #summarize(): void {
    const lines = [...this.#moments.counts].sort(([one], [other]) => (one < other ? -1 : 1));
    this.#keep('\nMessages without an outcome, and how far they had come:');
    for (const [name, count] of lines) this.#keep(`${String(count).padStart(9)}  ${name}`);
    this.#say(`messages failed in ${lines.length} different circumstances`);
    if (this.#reasons.size > 0) this.#say('\nViolations:');
    for (const [kind, count] of this.#reasons) this.#say(`${String(count).padStart(9)}  ${kind}`);
    this.#say(`\n${this.#rate} lives per second; everything is in ${this.#log}`);
    this.#say(`${this.#done} runs, ${this.violations} violations`);
  }

  #say(line: string): void {
    console.log(line);
    this.#keep(line);
  }

  #keep(line: string): void {
    appendFileSync(this.#log, `${line}\n`);
  }
}

function newWorker(): ChildProcess {
  const file = fileURLToPath(new URL('campaign-worker.ts', import.meta.url));
  const worker = fork(file, [], { execArgv: [...fromSource] });
  // Each batch adds listeners to a worker, so the warning about many listeners is switched off.
  worker.setMaxListeners(0);
  return worker;
}

/** The worker's report about these lives, or the reason why the worker has ended. */
function lived(worker: ChildProcess, batch: Batch): Promise<BatchReport | string> {
  return new Promise((resolve) => {
    const end = (result: BatchReport | string): void => {
      clearTimeout(timer);
      worker.off('message', end).off('exit', onExit);
      if (typeof result === 'string') worker.kill('SIGKILL');
      resolve(result);
    };
    const onExit = (code: number | null): void => end(`It ended its process: ${code}.`);
    const timer = setTimeout(() => end(`It has not ended within ${PATIENCE} ms.`), PATIENCE);
    worker.on('message', end).on('exit', onExit);
    worker.send(batch);
  });
}

async function livedAlone(seed: number): Promise<BatchReport> {
  const worker = newWorker();
  const report = await lived(worker, { first: seed, count: 1 });
  if (typeof report !== 'string') {
    worker.disconnect();
    return report;
  }
  return { violations: [{ seed, reason: report, lines: [] }], moments: [] };
}

/** The number of lives in a batch. */
const BATCH = 50;
const EVERY = 20_000;
const LAST_LINES = 40;
/** Milliseconds within which a batch must end. */
const PATIENCE = 120_000;
