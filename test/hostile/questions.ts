/** Processes of the suite: the parent asks questions, and each child answers them. One question at a time for each child. */
import { type ChildProcess, fork } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { fromSource } from '../support/from-source.js';

interface Question {
  readonly ask: string;
  readonly details: unknown;
}

type Reply = { readonly value: unknown } | { readonly error: string };

/** Megabytes of heap that a child may have. A victim that needs more ends, and the run shows it. */
const HEAP = 512;

/** Answers the parent's questions, in a child. An answer that throws becomes an error at the parent. */
export function answer(answers: Record<string, (details: never) => unknown>): void {
  process.on('message', ({ ask, details }: Question) => {
    void Promise.resolve()
      .then(() => answers[ask]?.(details as never))
      .then(
        (value) => process.send?.({ value }),
        (error: unknown) => process.send?.({ error: String(error) }),
      );
  });
  process.on('disconnect', () => process.exit());
  process.send?.({ value: 'ready' });
}

/** A child process, seen by its parent. */
export class Child {
  readonly name: string;
  readonly #process: ChildProcess;
  /** What the child has written: its lines, its octets, and the first of them. */
  readonly output = { lines: 0, octets: 0, text: '' };
  /** How the child ended, if it did. */
  ending: string | undefined;
  #settle: ((reply: Reply) => void) | undefined;

  private constructor(name: string, child: ChildProcess) {
    this.name = name;
    this.#process = child;
    child.on('message', (reply: Reply) => this.#answered(reply));
    child.on('exit', (code, signal) => {
      this.ending = signal ?? `code ${code}`;
      const isFull = this.output.text.includes('heap out of memory');
      this.#answered({
        error: `The ${name} ended: ${this.ending}${isFull ? ', out of memory' : ''}.`,
      });
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => this.#wrote(text));
    }
  }

  /** Starts a role in a process of its own, and waits until the role takes questions. */
  static async start(role: string): Promise<Child> {
    const program = fileURLToPath(new URL('actor.ts', import.meta.url));
    const execArgv = ['--expose-gc', `--max-old-space-size=${HEAP}`, ...fromSource];
    const env = { ...process.env, NO_COLOR: '1', NODE_DEBUG: '' };
    const child = new Child(role, fork(program, [role], { execArgv, env, stdio: 'pipe' }));
    await child.#reply(STARTING);
    return child;
  }

  /** Asks, and waits for the answer. Throws if the child ends, or gives no answer for `patience` milliseconds. */
  async ask<T = undefined>(ask: string, details?: unknown, patience = 20_000): Promise<T> {
    if (this.ending !== undefined) throw new Error(`The ${this.name} has ended: ${this.ending}.`);
    this.#process.send({ ask, details });
    return (await this.#reply(patience)) as T;
  }

  /** Kills the child, and waits for its end. */
  async kill(): Promise<void> {
    if (this.ending !== undefined) return;
    const ended = new Promise((resolve) => this.#process.once('close', resolve));
    this.#process.kill('SIGKILL');
    await ended;
  }

  /** Seconds of CPU that the child has used. Linux only; elsewhere NaN. */
  get cpu(): number {
    const fields = procFile(this.#process.pid, 'stat')?.split(') ')[1]?.split(' ');
    return fields === undefined ? NaN : (Number(fields[11]) + Number(fields[12])) / 100;
  }

  /** Resident octets: now, and at most since `forgetPeak`. Linux only; elsewhere NaN. */
  get resident(): { readonly now: number; readonly peak: number } {
    const status = procFile(this.#process.pid, 'status') ?? '';
    const octets = (field: string): number =>
      Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1] ?? NaN) * 1024;
    return { now: octets('VmRSS'), peak: octets('VmHWM') };
  }

  forgetPeak(): void {
    try {
      writeFileSync(`/proc/${this.#process.pid}/clear_refs`, '5');
    } catch {
      // Without this, the peak counts from the start of the process, which is never less.
    }
  }

  #reply(patience: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#answered({ error: `The ${this.name} gave no answer for ${patience} ms.` });
      }, patience);
      this.#settle = (reply) => {
        clearTimeout(timer);
        if ('value' in reply || !('error' in reply)) resolve((reply as { value?: unknown }).value);
        else reject(new Error(reply.error));
      };
    });
  }

  #answered(reply: Reply): void {
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.(reply);
  }

  #wrote(text: string): void {
    this.output.octets += Buffer.byteLength(text);
    this.output.lines += text.split('\n').length - 1;
    if (this.output.text.length < MOST_KEPT) this.output.text += text;
  }
}

function procFile(pid: number | undefined, name: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return undefined;
  }
}

/** Milliseconds until a child must be ready, also on a machine under load. */
const STARTING = 60_000;
/** Characters of a child's output that are kept. */
const MOST_KEPT = 64 * 1024;
