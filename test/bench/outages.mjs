/**
 * `npm run outages`: measures how much outages cost, and how much load they cause. No figure makes the run fail, but
 * a lost, repeated or changed message does.
 *
 * - goodput: messages per second that settle while a relay cuts the sockets, as a share of the messages per second without
 *   cuts. Both are measured in turn, on one connection through the same relay.
 * - storm: attempts of 1,000 dialers, for each second, in three cases: after a cut of all sockets, while there is no listener,
 *   and while the relay ends each socket after its handshake.
 *
 * Flags: `--only goodput|storm --seconds 8 --rounds 5 --seed N --load 64x16` (messages in flight, KiB of each).
 */
import Table from 'cli-table3';
import { createHash } from 'node:crypto';
import { subscribe } from 'node:diagnostics_channel';
import os from 'node:os';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { connect, Listener } from 'nestjs-interconnect/core';
import { now } from './clock.mjs';
import { answer, connectAll, machineUsage, Team, usage } from './processes.mjs';
import { relayRole } from './relay.mjs';

const SELF = fileURLToPath(import.meta.url);
const host = '127.0.0.1';
/** Milliseconds between two cuts. */
const INTERVALS = [200, 500, 1000, 2000];
const DIALERS = 1000;
/**
 * `AWAY`: seconds without a listener. `THROWING`: seconds in which the relay ends each socket after its handshake.
 */
const AWAY = 5;
const THROWING = 20;
/**
 * `WARM_TIME`: milliseconds of load before the first measurement. `CALM_TIME`: milliseconds of load after the last
 * cut.
 */
const WARM_TIME = 3000;
const CALM_TIME = 500;
/** Octets of the message number. */
const NUMBER = 8;

/** Fills a message: its number, then a part of `pattern` that differs from message to message. */
function fill(message, number, pattern) {
  message.writeDoubleBE(number);
  const from = number % message.length;
  pattern.copy(message, NUMBER, from, from + message.length - NUMBER);
}

function patternFor(size) {
  return createHash('shake256', { outputLength: 2 * size })
    .update('outages')
    .digest();
}

/** Ends this process. An exception in a handler would only be an event. */
function fail(message) {
  process.nextTick(() => {
    throw new Error(message);
  });
}

function serverRole() {
  let taken = 0;
  let pattern, expected;

  function take(message) {
    const { data } = message;
    if (expected?.length !== data.length) {
      pattern = patternFor(data.length);
      expected = Buffer.alloc(data.length);
    }
    fill(expected, taken, pattern);
    if (!data.equals(expected)) fail(`message ${taken} did not come as it was sent`);
    taken += 1;
    message.respond(Buffer.from(data.subarray(0, NUMBER)));
  }
  const handlers = { numbered: take, plain: (message) => message.accept() };

  return {
    async listen({ port = 0 }) {
      const listener = new Listener({ host, port, maxConnections: 2 * DIALERS });
      listener.on('connection', (connection) => {
        connection.on('session', (session) => {
          session.on('message', handlers[session.name]);
          session.accept();
        });
      });
      return (await listener.listen()).port;
    },

    /** The number of different messages that have come. Each has come once. */
    taken: () => taken,

    usage,
  };
}

function loadRole() {
  /** The times at which this process began to dial. */
  let dials = [];
  subscribe('net.client.socket', () => dials.push(now()));
  return { ...goodputLoad(), ...stormLoad(), usage };

  function goodputLoad() {
    let detaches, resumes, firsts;
    let settled = 0;
    let awaitsFirst = false;
    let isOver = false;
    let connection, lanes;

    async function lane(session, message, pattern, take) {
      for (;;) {
        const number = take();
        fill(message, number, pattern);
        const { accepted, data } = await session.send(message);
        if (!accepted || data.readDoubleBE() !== number)
          throw new Error(`${number}: not its answer`);
        settled += 1;
        if (awaitsFirst) firsts.push(now());
        awaitsFirst = false;
        if (isOver) return;
      }
    }

    return {
      async load({ port, inFlight, size }) {
        [detaches, resumes, firsts] = [[], [], []];
        connection = await connect({ host, port });
        connection.on('detach', () => detaches.push(now()));
        connection.on('renew', () => fail('the connection was not resumed: a new one began'));
        connection.on('resume', () => {
          awaitsFirst = true;
          resumes.push(now());
        });
        const session = await connection.createSession('numbered');
        const pattern = patternFor(size);
        let count = 0;
        lanes = Array.from({ length: inFlight }, () => {
          return lane(session, Buffer.alloc(size), pattern, () => count++);
        });
      },

      async measure({ seconds }) {
        [detaches, resumes, firsts, dials] = [[], [], [], []];
        const [begun, before] = [now(), settled];
        await sleep(seconds * 1000);
        const rate = ((settled - before) / (now() - begun)) * 1000;
        return { rate, detaches, dials, resumes, firsts };
      },

      /** Ends the load. Returns the number of messages that have settled in all. */
      async finish() {
        isOver = true;
        await Promise.all(lanes);
        await connection.close();
        return settled;
      },
    };
  }

  function stormLoad() {
    let connections;
    const countOpen = () => connections.filter(({ status }) => status === 'open').length;

    return {
      async dial({ port, count }) {
        connections = await connectAll(count, async () => {
          const connection = await connect({ host, port });
          const session = await connection.createSession('plain');
          await session.send(Buffer.from('x'));
          return connection;
        });
      },

      /**
       * Returns one row for each second until all dialers are connected again: the attempts, the most attempts in 100
       * ms, the open connections at the end, and the longest time in which this process could not run its timers.
       */
      async watch({ seconds, least }) {
        dials = [];
        const delay = monitorEventLoopDelay({ resolution: 10 });
        delay.enable();
        const begun = now();
        const rows = [];
        while (rows.length < seconds) {
          await sleep(begun + (rows.length + 1) * 1000 - now());
          const from = begun + rows.length * 1000;
          const tenths = Array(10).fill(0);
          for (const at of dials) {
            const tenth = Math.floor((at - from) / 100);
            if (tenth in tenths) tenths[tenth] += 1;
          }
          const attempts = tenths.reduce((sum, each) => sum + each);
          const stall = Math.round(delay.max / 1e6);
          delay.reset();
          rows.push([attempts, Math.max(...tenths), countOpen(), stall]);
          if (rows.length >= least && countOpen() === connections.length) break;
        }
        return rows;
      },
    };
  }
}

async function goodput({ seconds, rounds, seed, inFlight, size }) {
  const team = new Team(['server', 'relay', 'load'], 'core', SELF);
  const target = { host, port: await team.ask('server', 'listen', {}) };
  const port = await team.ask('relay', 'listen', target);
  await team.ask('load', 'load', { port, inFlight, size });
  await sleep(WARM_TIME);
  const before = await cpuOf(team);
  const runs = [];
  for (let round = 0; round < rounds; round++) {
    for (const interval of INTERVALS) {
      const uncut = await team.ask('load', 'measure', { seconds });
      await team.ask('relay', 'cutEvery', { interval, seed: seed + runs.length });
      const cut = await team.ask('load', 'measure', { seconds });
      const cuts = await team.ask('relay', 'calm');
      await sleep(CALM_TIME);
      runs.push({ interval, uncut: uncut.rate, cut: cut.rate, cuts, pauses: pausesOf(cuts, cut) });
    }
  }
  const after = await cpuOf(team);
  const settled = await team.ask('load', 'finish', { seconds: 10 });
  const taken = await team.ask('server', 'taken');
  await team.stop();
  if (taken !== settled) throw new Error(`${settled} messages settled, but ${taken} arrived`);
  reportGoodput(runs, size);
  console.log(`${settled} messages settled; each arrived once, in order and unchanged.`);
  const elsewhere =
    (after.elsewhere - before.elsewhere) / (after.at - before.at) / os.cpus().length;
  console.log(`Other processes took ${Math.max(0, elsewhere * 100).toFixed()} % of the machine.`);
}

/** In seconds: the clock, and the CPU time of all processes outside the team. */
async function cpuOf(team) {
  const { at, cpu } = machineUsage();
  let elsewhere = cpu;
  for (const role of ['server', 'relay', 'load']) elsewhere -= (await team.ask(role, 'usage')).cpu;
  return { at, elsewhere };
}

/**
 * For each cut, the milliseconds from each event to the next one: cut, detach, dial, resume, first settled message.
 */
function pausesOf(cuts, { detaches, dials, resumes, firsts }) {
  return cuts.flatMap((cut, index) => {
    const end = cuts[index + 1] ?? Infinity;
    const moments = [cut];
    for (const times of [detaches, dials, resumes, firsts]) {
      moments.push(times.find((time) => time >= moments.at(-1)) ?? Infinity);
    }
    if (moments.at(-1) >= end || moments.at(-1) === Infinity) return [];
    return [[...moments.slice(1).map((time, at) => time - moments[at]), moments.at(-1) - cut]];
  });
}

function reportGoodput(runs, size) {
  const shares = new Table({
    head: ['cut every', 'cuts', 'cut / uncut', 'min', 'max', 'uncut MB/s', 'cut MB/s'],
    ...STYLE,
  });
  const pauses = new Table({
    head: ['median ms', 'noticed', 'waited', 'resumed', 'first settled', 'in all', 'most'],
    ...STYLE,
  });
  for (const interval of INTERVALS) {
    const mine = runs.filter((run) => run.interval === interval);
    const ratios = mine.map(({ cut, uncut }) => cut / uncut);
    const rate = (kind) => ((median(mine.map((run) => run[kind])) * size) / 1e6).toFixed();
    const name = `${interval / 1000} s`;
    const count = mine.reduce((sum, { cuts }) => sum + cuts.length, 0);
    const figures = [median(ratios), Math.min(...ratios), Math.max(...ratios)];
    shares.push([
      name,
      count,
      ...figures.map((ratio) => ratio.toFixed(2)),
      rate('uncut'),
      rate('cut'),
    ]);
    const all = mine.flatMap((run) => run.pauses);
    const column = (at) => all.map((pause) => pause[at]);
    const medians = [0, 1, 2, 3, 4].map((at) => median(column(at)));
    pauses.push([
      name,
      ...[...medians, Math.max(...column(4))].map((time) =>
        Number.isFinite(time) ? time.toFixed(1) : '-',
      ),
    ]);
  }
  console.log(shares.toString());
  console.log('\nFrom a cut to the first message that settles after it');
  console.log(pauses.toString());
}

async function storms() {
  await storm('All sockets are cut at once, and the listener stays', 'relay', 2, (team) => {
    return team.ask('relay', 'cutAll');
  });
  // Dial the listener directly: the relay would accept sockets even while no listener runs.
  const away = `The listener is killed, and another one listens ${AWAY} s later`;
  await storm(away, 'server', AWAY, async (team, port) => {
    await team.kill('server');
    team.start('server');
    await sleep(AWAY * 1000);
    await team.ask('server', 'listen', { port });
  });
  const thrown = `Each socket ends after its handshake for ${THROWING} s, and then all stay`;
  await storm(thrown, 'relay', THROWING, async (team) => {
    await team.ask('relay', 'throwOut');
    await sleep(THROWING * 1000);
    await team.ask('relay', 'letIn');
  });
}

/** Prints the attempts of the dialers during `trouble`: for at least `least` seconds, and until all are connected. */
async function storm(title, dialed, least, trouble) {
  const team = new Team(['server', 'relay', 'load'], 'core', SELF);
  const server = await team.ask('server', 'listen', {});
  const relay = await team.ask('relay', 'listen', { host, port: server });
  const port = { server, relay }[dialed];
  await team.ask('load', 'dial', { port, count: DIALERS });
  const watching = team.ask('load', 'watch', { seconds: 60, least });
  await trouble(team, port);
  const rows = await watching;
  await team.stop();
  reportStorm(title, rows);
}

function reportStorm(title, rows) {
  const table = new Table({
    head: ['second', 'attempts', 'most in 100 ms', 'connected', 'longest stall ms'],
    ...STYLE,
  });
  for (const [at, row] of rows.entries()) table.push([at + 1, ...row]);
  console.log(`\n${DIALERS} dialers. ${title}.`);
  console.log(table.toString());
}

function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

const STYLE = {
  style: { head: [], border: [] },
  chars: { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' },
  colAligns: Array(7).fill('right'),
};

function wholeNumber(value, fallback) {
  const number = Number(value ?? fallback);
  if (Number.isInteger(number) && number > 0) return number;
  throw new Error(`"${value}" is not a whole number above 0.`);
}

async function main() {
  const text = { type: 'string' };
  const options = { only: text, seconds: text, rounds: text, seed: text, load: text };
  const { values: flags } = parseArgs({ options });
  if (!['goodput', 'storm', undefined].includes(flags.only)) {
    throw new Error(`--only takes "goodput" or "storm", not "${flags.only}".`);
  }
  const [inFlight, kib] = (flags.load ?? '64x16').split('x').map((each) => wholeNumber(each));
  const seconds = wholeNumber(flags.seconds, 8);
  const rounds = wholeNumber(flags.rounds, 5);
  const seed = wholeNumber(flags.seed, (Date.now() % 1_000_000) + 1);
  console.log(
    `Node ${process.version}, ${os.cpus().length} × ${os.cpus()[0].model}, load average ${os.loadavg()[0].toFixed(1)}`,
  );
  if (flags.only !== 'storm') {
    console.log(
      `\n${inFlight} messages of ${kib} KiB in flight, ${rounds} rounds of ${seconds} s without and with cuts, seed ${seed}`,
    );
    await goodput({ seconds, rounds, seed, inFlight, size: kib * 1024 });
  }
  if (flags.only === 'goodput') return;
  await storms();
}

if (process.send !== undefined) {
  answer({ server: serverRole, relay: relayRole, load: loadRole });
} else {
  process.on('uncaughtException', ({ message }) => {
    console.error(message);
    process.exit(1);
  });
  await main();
  process.exit();
}
