/**
 * Measures a stream of 1 GiB in each direction, and its effect on small messages in another session of the same
 * connection. Prints the throughput, the round trips of the small messages, and the memory of each process above its
 * idle memory.
 *
 *     npm run build && node --expose-gc test/bench/stream.mjs [MiB of the stream] [KiB of an item]
 */
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { connect, Listener } from 'nestjs-interconnect/core';
import { answer, Pair } from './processes.mjs';

const [STREAM = 1024, ITEM = 64] = process.argv.slice(2).map(Number).filter(Number.isInteger);
const SELF = fileURLToPath(import.meta.url);
const host = '127.0.0.1';
/** Octets of a small message, and the milliseconds between two of them. */
const SMALL = 64;
const PAUSE = 2;

/** Each item has memory of its own, as the chunks of a file do. */
function* items({ size, item }) {
  for (let left = size; left > 0; left -= item) yield Buffer.alloc(Math.min(item, left), left);
}

async function drain(stream) {
  let size = 0;
  for await (const item of stream) size += item.length;
  return size;
}

function serverRole() {
  const handlers = {
    echo: (message) => message.respond(message.data),
    up: async (message) => message.respond(Buffer.from(`${await drain(message.body)}`)),
    down: (message) => message.respond(Readable.from(items(JSON.parse(message.data.toString())))),
  };
  return {
    async listen() {
      const listener = new Listener({ host });
      listener.on('connection', (connection) => {
        connection.on('session', (session) => {
          session.on('message', handlers[session.name]);
          session.accept();
        });
      });
      const { port } = await listener.listen();
      return port;
    },
    rest,
    peak,
  };
}

function loadRole() {
  const sessions = {};
  const transfer = {
    async up(shape) {
      const outcome = await sessions.up.send(Readable.from(items(shape)));
      check(Number(outcome.data), shape);
    },
    async down(shape) {
      const answers = sessions.down.stream(Buffer.from(JSON.stringify(shape)));
      check(await drain(answers), shape);
    },
  };

  return {
    async open({ port }) {
      const connection = await connect({ host, port });
      for (const name of ['echo', 'up', 'down']) {
        sessions[name] = await connection.createSession(name);
      }
      // The first transfers load code and fill caches. This memory must not count for the measured stream.
      for (let round = 0; round < 2000; round++) await sessions.echo.send(Buffer.alloc(SMALL));
      for (const way of ['up', 'down']) await transfer[way]({ size: 2 ** 20, item: 2 ** 16 });
    },

    async idle({ milliseconds }) {
      return measured(() => sleep(milliseconds));
    },

    async up(shape) {
      return measured(() => transfer.up(shape));
    },

    async down(shape) {
      return measured(() => transfer.down(shape));
    },

    rest,
    peak,
  };

  /** Measures the seconds of the work, and the round trips of the small messages meanwhile, in µs. */
  async function measured(work) {
    const trips = [];
    const state = { isOver: false };
    const begun = performance.now();
    const working = work().finally(() => (state.isOver = true));
    while (!state.isOver) {
      const sent = performance.now();
      await sessions.echo.send(Buffer.alloc(SMALL));
      trips.push((performance.now() - sent) * 1000);
      await sleep(PAUSE);
    }
    await working;
    const sorted = Float64Array.from(trips).sort();
    const at = (share) => sorted[Math.floor(share * sorted.length)];
    const seconds = (performance.now() - begun) / 1000;
    return { seconds, count: sorted.length, p50: at(0.5), p99: at(0.99) };
  }
}

function check(size, shape) {
  if (size !== shape.size) throw new Error(`${size} bytes came of ${shape.size}`);
}

/** The RSS in use now, in bytes. */
function rest() {
  for (let round = 0; round < 3; round++) globalThis.gc();
  return process.memoryUsage().rss;
}

/** The highest RSS so far, in bytes. */
function peak() {
  return process.resourceUsage().maxRSS * 1024;
}

async function run(way) {
  const pair = new Pair('core', SELF);
  const ofBoth = async (question) => ({
    server: await pair.ask('server', question),
    load: await pair.ask('load', question),
  });
  const port = await pair.ask('server', 'listen');
  await pair.ask('load', 'open', { port });
  const quiet = await pair.ask('load', 'idle', { milliseconds: 2000 });
  const idle = await ofBoth('rest');
  const shape = { size: STREAM * 2 ** 20, item: ITEM * 2 ** 10, seconds: 300 };
  const result = await pair.ask('load', way, shape);
  const most = await ofBoth('peak');
  await pair.stop();
  const rate = Math.round(STREAM / result.seconds);
  console.log(`${way}: ${STREAM} MiB in items of ${ITEM} KiB at ${rate} MiB/s`);
  for (const [what, { count, p50, p99 }] of Object.entries({ alone: quiet, meanwhile: result })) {
    console.log(`  ${what}: ${count} small messages, p50 ${ms(p50)}, p99 ${ms(p99)}`);
  }
  const above = (role) => `${role} ${mib(most[role] - idle[role])} above ${mib(idle[role])}`;
  console.log(`  RSS: ${above('load')}, ${above('server')}`);
}

const mib = (bytes) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
const ms = (microseconds) => `${(microseconds / 1000).toFixed(2)} ms`;

if (process.send !== undefined) {
  answer({ server: serverRole, load: loadRole });
} else {
  process.on('uncaughtException', ({ message }) => {
    console.error(message);
    process.exit(1);
  });
  for (const way of ['up', 'down']) await run(way);
  process.exit();
}
