/**
 * Measures the memory of the peers. The first figure is for one idle connection, of 1000 that have carried one
 * request each. The second figure is for both processes during a transfer of 500 MB in messages of 256 KiB, 8 in
 * flight.
 *
 *     npm run build && node --expose-gc test/bench/memory.mjs [core nest nest-tcp]
 */
import { fileURLToPath } from 'node:url';
import { answer, connectAll, Pair } from './processes.mjs';

const CONNECTIONS = 1000;
const TRANSFER = 500e6;
const MESSAGE = 256 * 1024;
const LANES = 8;
const SELF = fileURLToPath(import.meta.url);

const serverRole = (peer) => ({ listen: peer.serve, memory, peak });

function loadRole(peer) {
  let clients;
  const exchange = async (client) => {
    client.read(await client.send(Buffer.alloc(32)));
    return client;
  };

  return {
    async open({ port, count }) {
      clients = await connectAll(count, async () => exchange(await peer.connect(port)));
    },

    close: () => Promise.all(clients.map((client) => client.close())),

    /** As a reader of a file does, each lane fills its buffer again when the message is settled. */
    async transfer({ port }) {
      const client = await peer.connect(port, 'sink');
      const begun = performance.now();
      let left = Math.ceil(TRANSFER / MESSAGE);
      const lane = async (buffer) => {
        while (left-- > 0) client.read(await client.send(buffer.fill(left)));
      };
      await Promise.all(Array.from({ length: LANES }, () => lane(Buffer.alloc(MESSAGE))));
      const seconds = (performance.now() - begun) / 1000;
      await client.close();
      return TRANSFER / seconds;
    },

    memory,
    peak,
  };
}

/** Bytes in use now. */
function memory() {
  for (let i = 0; i < 3; i++) globalThis.gc();
  return process.memoryUsage();
}

/** The highest RSS so far, in bytes. */
function peak() {
  return process.resourceUsage().maxRSS * 1024;
}

async function idleConnections(peer) {
  const pair = new Pair(peer, SELF);
  const port = await pair.ask('server', 'listen');
  // The first connections load code and fill caches. These bytes must not count for the measured connections.
  await pair.ask('load', 'open', { port, count: 50 });
  await pair.ask('load', 'close');
  const before = await ofBoth(pair, 'memory');
  await pair.ask('load', 'open', { port, count: CONNECTIONS });
  const after = await ofBoth(pair, 'memory');
  await pair.stop();
  for (const role of ['server', 'load']) {
    const each = (key) => kib((after[role][key] - before[role][key]) / CONNECTIONS);
    const parts = `heap ${each('heapUsed')}, buffers ${each('arrayBuffers')}, RSS ${each('rss')}`;
    console.log(`${peer}, an idle connection, ${role}: ${parts}`);
  }
}

async function transfer(peer) {
  const pair = new Pair(peer, SELF);
  const port = await pair.ask('server', 'listen');
  await pair.ask('load', 'open', { port, count: 1 });
  const idle = await ofBoth(pair, 'memory');
  const rate = await pair.ask('load', 'transfer', { port });
  const most = await ofBoth(pair, 'peak');
  await pair.stop();
  for (const role of ['server', 'load']) {
    const change = `RSS idle ${mib(idle[role].rss)}, peak ${mib(most[role])}`;
    console.log(
      `${peer}, ${TRANSFER / 1e6} MB at ${Math.round(rate / 1e6)} MB/s, ${role}: ${change}`,
    );
  }
}

async function ofBoth(pair, question) {
  return { server: await pair.ask('server', question), load: await pair.ask('load', question) };
}

const kib = (bytes) => `${(bytes / 1024).toFixed(1)} KiB`;
const mib = (bytes) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;

if (process.send !== undefined) {
  answer({ server: serverRole, load: loadRole });
} else {
  process.on('uncaughtException', ({ message }) => {
    console.error(message);
    process.exit(1);
  });
  const asked = process.argv.slice(2);
  for (const peer of asked.length > 0 ? asked : ['core', 'nest', 'nest-tcp']) {
    await idleConnections(peer);
    await transfer(peer);
  }
  process.exit();
}
