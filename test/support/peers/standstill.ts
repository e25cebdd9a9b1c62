/** A thread that stands still while another one answers it. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { ListenAddress, ListenerOptions } from 'nestjs-interconnect/core';
import { fromSource } from '../from-source.js';

/** Places in the memory that both threads see. */
const STANDS = 0;
const ANSWERED = 1;
const GREETED = 2;

export class OtherThread {
  /** Where it listens, as options for `connect`. */
  readonly address: { host: string; port: number } | { path: string };
  readonly #worker: Worker;
  readonly #flags: Int32Array;

  private constructor(worker: Worker, flags: Int32Array, address: ListenAddress) {
    this.#worker = worker;
    this.#flags = flags;
    this.address = 'path' in address ? address : { host: address.host, port: address.port };
  }

  /** Starts it; see `programs/standing.ts`. */
  static async start(options: ListenerOptions): Promise<OtherThread> {
    const flags = new Int32Array(new SharedArrayBuffer(12));
    const worker = new Worker(new URL('../../endpoint/programs/standing.ts', import.meta.url), {
      execArgv: [...fromSource],
      workerData: { options, flags },
    });
    const [address] = (await once(worker, 'message')) as [ListenAddress];
    return new OtherThread(worker, flags, address);
  }

  /** From now on it keeps its answers until this thread stands still. */
  hush(): void {
    this.#flags.fill(0);
  }

  /** Whether a dialer has introduced itself that is not let in yet. */
  get isGreeted(): boolean {
    return Atomics.load(this.#flags, GREETED) === 1;
  }

  /** Holds this thread up until the other one has answered, and so many milliseconds have passed. */
  standStill(milliseconds: number): void {
    const end = performance.now() + milliseconds;
    Atomics.store(this.#flags, STANDS, 1);
    Atomics.wait(this.#flags, ANSWERED, 0, 10_000);
    standUntil(end);
  }

  async stop(): Promise<void> {
    await this.#worker.terminate();
  }
}

/** Holds this thread up until that instant of `performance.now()`. */
export function standUntil(end: number): void {
  while (performance.now() < end);
}
