/**
 * Runs a peer under load in two processes: its server, and the load on it. The first part starts processes and asks
 * them questions for any script. The second part answers the questions of `main.mjs`.
 */
import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeSync } from 'node:fs';
import os from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { peers } from './peers.mjs';

/** Seconds that an answer may take, beyond the time that the question itself asks for. */
const PATIENCE = 30;

export class Team {
  #processes = {};
  #start;

  /** Starts one process for each role. All of them run `file`, which calls `answer`. */
  constructor(roles, peer, file) {
    this.#start = (role) => start(file, role, peer);
    for (const role of roles) this.start(role);
  }

  /** Starts the process of a role again, after `kill`. */
  start(role) {
    this.#processes[role] = this.#start(role);
  }

  /** Kills the process of a role, and resolves when the process has ended. Questions to the other processes go on. */
  kill(role) {
    const { child, closed } = this.#processes[role];
    child.kill('SIGKILL');
    return closed;
  }

  /**
   * Asks a process a question. Rejects if a process ends that was not killed. Each role takes one question at a time.
   */
  ask(role, question, details) {
    const { child } = this.#processes[role];
    const reply = new Promise((resolve) => child.once('message', resolve));
    const patience = PATIENCE + (details?.seconds ?? 0);
    const tooLate = sleep(patience * 1000, undefined, { ref: false }).then(() => {
      throw new Error(`its ${role} gave no answer to "${question}" for ${patience} s`);
    });
    if (child.connected) child.send({ question, details });
    const ends = Object.values(this.#processes).map(({ ended }) => ended);
    return Promise.race([...ends, reply, tooLate]).then(({ result }) => result);
  }

  stop() {
    return Promise.all(Object.keys(this.#processes).map((role) => this.kill(role)));
  }
}

/** The server of a peer, and the load on it. */
export class Pair extends Team {
  constructor(peer, file = SELF) {
    super(['server', 'load'], peer, file);
  }
}

function start(file, role, peer) {
  const child = fork(file, [role, peer], { stdio: ['ignore', 'inherit', 'pipe', 'ipc'] });
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (complaint += text));
  const closed = new Promise((resolve) => child.once('close', resolve));
  const ended = new Promise((_resolve, reject) => {
    child.once('close', (code, signal) => {
      if (child.killed) return;
      reject(new Error(`its ${role} ended (${signal ?? code}). ${complaint.trim()}`));
    });
  });
  // The process may end while no question waits for an answer.
  ended.catch(() => undefined);
  return { child, ended, closed };
}

/**
 * Answers questions in a started process. Each role is a function of the peer and returns one function for each
 * question.
 */
export function answer(roles) {
  const [role, peer] = process.argv.slice(2);
  const questions = roles[role](peers[peer]);
  process.on('message', async ({ question, details }) => {
    process.send({ result: await questions[question](details) });
  });
  process.on('disconnect', () => process.exit());
  process.on('uncaughtException', (error) => {
    writeSync(2, `${error.message ?? error}`);
    process.exit(1);
  });
}

/** Connects a few at a time, so that no listener's backlog overflows. */
export async function connectAll(count, connect) {
  const clients = [];
  while (clients.length < count) {
    const batch = Math.min(50, count - clients.length);
    clients.push(...(await Promise.all(Array.from({ length: batch }, connect))));
  }
  return clients;
}

const SELF = fileURLToPath(import.meta.url);
/** Requests that a process makes before the first measurement, so that its code is compiled. */
const WARM_REQUESTS = 10_000;
/** The least and the most milliseconds of warm-up for each workload. */
const WARM_TIME = [300, 4000];

const serverRole = (peer) => ({ listen: peer.serve, rest: () => globalThis.gc?.(), usage });

function loadRole(peer) {
  let clients, loops, stopped;
  let replies = 0;
  let latencies; // in µs, during a measurement

  async function loop(client, payload) {
    for (;;) {
      const begun = performance.now();
      const reply = client.read(await client.send(payload));
      if (reply.length !== payload.length) throw new Error(`a reply of ${reply.length} bytes`);
      replies += 1;
      latencies?.push((performance.now() - begun) * 1000);
      if (stopped) return;
    }
  }

  return {
    async begin({ port, size, inFlight, connections }) {
      globalThis.gc?.();
      const payload = randomBytes(size);
      clients = await connectAll(connections, () => peer.connect(port));
      for (const client of clients) {
        const reply = client.read(await client.send(payload));
        if (!payload.equals(reply)) throw new Error('a first reply differs from its request');
      }
      stopped = false;
      const begun = performance.now();
      const lanes = clients.flatMap((client) => Array(inFlight).fill(client));
      loops = Promise.all(lanes.map((client) => loop(client, payload)));
      const warm = () => replies >= WARM_REQUESTS || performance.now() - begun > WARM_TIME[1];
      do await sleep(WARM_TIME[0]);
      while (!warm());
    },

    async measure({ seconds }) {
      latencies = [];
      const before = usage();
      await sleep(seconds * 1000);
      const after = usage();
      const sorted = Float64Array.from(latencies).sort();
      latencies = undefined;
      if (sorted.length === 0) throw new Error(`no reply within ${seconds} s`);
      const rate = sorted.length / (after.at - before.at);
      const at = (share) => sorted[Math.floor(share * sorted.length)];
      return { rate, p50: at(0.5), p99: at(0.99), usage: [before, after] };
    },

    async end() {
      stopped = true;
      await loops;
      await Promise.all(clients.map((client) => client.close()));
    },
  };
}

/** In seconds: the clock, and the CPU time of all processes. */
export function machineUsage() {
  const busy = os.cpus().map(({ times }) => times.user + times.nice + times.sys + times.irq);
  return { at: performance.now() / 1000, cpu: busy.reduce((sum, each) => sum + each) / 1000 };
}

/** In seconds: the clock, and the CPU time of all threads of this process. */
export function usage() {
  const { user, system } = process.cpuUsage();
  return { at: performance.now() / 1000, cpu: (user + system) / 1e6 };
}

if (process.argv[1] === SELF) answer({ server: serverRole, load: loadRole });
