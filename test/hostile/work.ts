/** What the handlers of a victim do. They are ordinary handlers: none of them defends itself. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Handshake, ListenerOptions } from 'nestjs-interconnect/core';
import type { Certificates } from '../support/peers/certificates.js';
import type { Counters, ServerSetting } from './program.js';

const ROW = 1024;
const EMPTY = Buffer.alloc(0);
const BIG = 2 ** 20;
/** Items of an endless answer. A sound victim never comes near. */
const MOST_ROWS = 5_000_000;

let running = 0;
let mostRunning = 0;
let runningHooks = 0;
let hooks = 0;
let mostHooks = 0;
const delay = monitorEventLoopDelay({ resolution: 10 });
delay.enable();

/** Counts a handler while it runs. */
async function counted<T>(work: () => T | Promise<T>): Promise<T> {
  running += 1;
  mostRunning = Math.max(mostRunning, running);
  try {
    return await work();
  } finally {
    running -= 1;
  }
}

/** Items of their own memory, as rows of a database are. */
async function* repeated(size: number): AsyncGenerator<Buffer> {
  for (let count = 0; count < MOST_ROWS; count++) yield Buffer.alloc(size, 'row ');
}

export const work = {
  echo: (data: unknown) => counted(() => data),
  rows: () => repeated(ROW),
  empties: () => repeated(0),
  big: () => counted(() => sleep(1, Buffer.alloc(BIG))),
  slow: () => counted(() => sleep(100, EMPTY)),
  hold: () => counted(() => sleep(3000, EMPTY)),
  gate: () => counted(() => sleep(1, EMPTY)),
  upload: async (body: AsyncIterable<unknown>) => {
    // A handler that is busy elsewhere before it reads.
    await sleep(3000);
    for await (const _item of body) await sleep(1);
    return EMPTY;
  },
};

export type WorkName = keyof typeof work;

/** The options of a listener for these settings. */
export function listenerOptions(
  setting: ServerSetting,
  certificates: Certificates | undefined,
): Omit<ListenerOptions, 'tls'> & { readonly tls: ListenerOptions['tls'] } {
  const { handshakeTimeout, resumeTimeout, authenticate, tls } = setting;
  return {
    host: '127.0.0.1',
    port: 0,
    handshakeTimeout,
    resumeTimeout,
    authenticate: authenticate === undefined ? undefined : judgeOf(authenticate),
    tls: tls === undefined ? undefined : tlsOf(tls, certificates),
  };
}

function judgeOf(kind: 'token' | 'slow'): (handshake: Handshake) => Promise<void> {
  return async (handshake) => {
    hooks += 1;
    runningHooks += 1;
    mostHooks = Math.max(mostHooks, runningHooks);
    const data = handshake.data.toString();
    if (kind === 'slow' && data !== 'honest') await sleep(1000);
    runningHooks -= 1;
    if (data === 'honest' || kind === 'slow') handshake.accept(undefined, data);
    else handshake.reject();
  };
}

function tlsOf(kind: 'server' | 'mutual', certificates: Certificates | undefined) {
  if (certificates === undefined) throw new Error('TLS needs certificates.');
  const { ca, server } = certificates;
  return kind === 'server' ? server : { ...server, ca, requestCert: true };
}

/** Octets of the heap and outside of it, after a collection. */
export async function held(): Promise<number> {
  for (let times = 0; times < 2; times++) {
    globalThis.gc?.();
    await sleep(1);
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

export function counters(): Omit<Counters, 'failures' | 'words'> {
  return { mostRunning, hooks, mostHooks, stood: delay.max / 1e6 };
}

/** Forgets what has been counted so far. */
export function forget(): void {
  mostRunning = running;
  hooks = 0;
  mostHooks = runningHooks;
  delay.reset();
}
