/** A listener in another thread that answers while the test's own thread stands still. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { ListenAddress, ListenerOptions } from 'nestjs-interconnect/core';
import { fromSource } from '../from-source.js';

/** Indexes into the memory that both threads share. */
const STANDS = 0;
const ANSWERED = 1;
const GREETED = 2;

export class OtherThread {
  /** The address of the listener, as options for `connect`. */
  readonly address: { host: string; port: number } | { path: string };
  readonly #worker: Worker;
  readonly #flags: Int32Array;

  private constructor(worker: Worker, flags: Int32Array, address: ListenAddress) {
    this.#worker = worker;
    this.#flags = flags;
    this.address = 'path' in address ? address : { host: address.host, port: address.port };
  }

  /** Starts the thread, which runs `programs/standing.ts`. */
  static async start(options: ListenerOptions): Promise<OtherThread> {
    const flags = new Int32Array(new SharedArrayBuffer(12));
    const worker = new Worker(new URL('../../endpoint/programs/standing.ts', import.meta.url), {
      execArgv: [...fromSource],
      workerData: { options, flags },
    });
    const [address] = (await once(worker, 'message')) as [ListenAddress];
    return new OtherThread(worker, flags, address);
  }

  /** From now on, the other thread holds its answers back until this thread stands still. */
  hush(): void {
    this.#flags.fill(0);
  }

  /** Whether a dialer has sent its HELLO and waits for WELCOME. */
  get isGreeted(): boolean {
    return Atomics.load(this.#flags, GREETED) === 1;
  }

  /** Blocks this thread until the other thread has answered and this many milliseconds have passed. */
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

/** Blocks this thread until the given value of `performance.now()`. */
export function standUntil(end: number): void {
  while (performance.now() < end);
}
