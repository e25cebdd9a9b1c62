/**
 * `npm run bench`: compares this library with a raw socket (`raw`) and with Nest's TCP transport. The results are
 * ratios within one run.
 *
 * Flags: `--rounds 3 --seconds 1 --peers raw,core --workloads 256x32,4x1m --all --json FILE`.
 *
 * Each round has two new processes for each peer. In each workload of a round, the peers run one after the other, so
 * that other load on the machine affects all of them. The program fails if a peer fails. It never fails because of a
 * figure.
 */
import { writeFileSync } from 'node:fs';
import os from 'node:os';
import { parseArgs } from 'node:util';
import { peers as allPeers } from './peers.mjs';
import { machineUsage, Pair } from './processes.mjs';

/** `core`: the target for the ratio to `raw`. `nest`: the target for the ratio to `nest-tcp`. */
const WORKLOADS = {
  '1x32': { connections: 1, inFlight: 1, size: 32, core: 0.85, nest: 1.8 },
  '1x1k': { connections: 1, inFlight: 1, size: 1024, core: 0.85, nest: 2.4 },
  '256x32': { connections: 1, inFlight: 256, size: 32, core: 0.55, nest: 5 },
  '256x1k': { connections: 1, inFlight: 256, size: 1024, core: 0.55, nest: 7 },
  '64x64k': { connections: 1, inFlight: 64, size: 2 ** 16, core: 0.85, nest: 8 },
  '4x1m': { connections: 1, inFlight: 4, size: 2 ** 20, core: 0.85, nest: 5 },
  '1000c': { connections: 1000, inFlight: 2, size: 32, core: 0.75, nest: 3 },
};
const USUAL = ['1x32', '1x1k', '256x32', '256x1k'];
const FIGURES = ['req/s', 'MB/s', 'p50 µs', 'p99 µs', 'client CPU µs', 'server CPU µs'];

process.on('uncaughtException', ({ message }) => {
  console.error(message);
  process.exit(1);
});
const text = { type: 'string' };
const options = { rounds: text, seconds: text, peers: text, workloads: text, json: text };
const { values: flags } = parseArgs({ options: { ...options, all: { type: 'boolean' } } });
const [rounds, seconds] = [flags.rounds ?? 3, flags.seconds ?? 1].map(number);
const peers = names(flags.peers, allPeers, Object.keys(allPeers));
const workloads = names(flags.workloads, WORKLOADS, flags.all ? Object.keys(WORKLOADS) : USUAL);

/** The reason of the failure, by peer. A failed peer is not measured again, and the others go on. */
const failures = new Map();
const runs = [];
for (let round = 1; round <= rounds; round++) await runRound(round);
report();
if (flags.json) writeFileSync(flags.json, JSON.stringify({ rounds, seconds, runs }, undefined, 1));
for (const [peer, reason] of failures) console.error(`The peer ${peer} failed: ${reason}`);
process.exit(failures.size > 0 ? 1 : 0);

async function runRound(round) {
  const pairs = new Map(peers.map((peer) => [peer, new Pair(peer)]));
  for (const workload of workloads) {
    for (const [peer, pair] of pairs) {
      if (failures.has(peer)) continue;
      try {
        runs.push({ round, workload, peer, ...(await measure(pair, WORKLOADS[workload])) });
      } catch (error) {
        failures.set(peer, `${workload}, round ${round}: ${error.message}`);
        await pair.stop();
      }
    }
  }
  for (const pair of pairs.values()) await pair.stop();
}

async function measure(pair, work) {
  pair.port ??= await pair.ask('server', 'listen');
  // Collect the garbage of the previous workload.
  await pair.ask('server', 'rest');
  await pair.ask('load', 'begin', { ...work, port: pair.port });
  const machine = [machineUsage()];
  const server = [await pair.ask('server', 'usage')];
  const { rate, p50, p99, usage: load } = await pair.ask('load', 'measure', { seconds });
  server.push(await pair.ask('server', 'usage'));
  machine.push(machineUsage());
  await pair.ask('load', 'end');
  const cores = ([from, to]) => (to.cpu - from.cpu) / (to.at - from.at);
  const [here, there, all] = [load, server, machine].map(cores);
  const micros = [p50, p99, (here * 1e6) / rate, (there * 1e6) / rate];
  const figures = [rate, (rate * work.size) / 1e6, ...micros];
  const elsewhere = Math.max(0, all - here - there) / os.cpus().length;
  return { ...Object.fromEntries(FIGURES.map((name, i) => [name, figures[i]])), elsewhere };
}

function report() {
  const elsewhere = runs.map((run) => Math.round(run.elsewhere * 100));
  console.log(`Node ${process.version}, ${os.cpus().length} × ${os.cpus()[0].model}
Medians of ${rounds} rounds of ${seconds} s; × is the median of the ratios within a round
Other processes took ${median(elsewhere)} % of the machine, at most ${Math.max(...elsewhere)} %`);
  const summary = [['Targets', 'ratio', 'target', 'reached', '']];
  for (const workload of workloads) {
    const rows = peers.map((peer) => {
      const runsOfPeer = runsOf(workload, peer);
      const figures = FIGURES.map((name) => median(runsOfPeer.map((run) => run[name])));
      return [peer, ...figures, ratio(workload, peer, 'raw'), ratio(workload, peer, 'nest-tcp')];
    });
    printTable([[workload, ...FIGURES, '× raw', '× nest-tcp'], ...rows]);
    for (const [peer, base] of Object.entries({ core: 'raw', nest: 'nest-tcp' })) {
      if (!peers.includes(peer) || !peers.includes(base)) continue;
      const target = WORKLOADS[workload][peer];
      const reached = ratio(workload, peer, base);
      const verdict = reached >= target ? 'ok' : reached < target ? 'short' : 'failed';
      summary.push([workload, `${peer} / ${base}`, target, reached, verdict]);
    }
  }
  if (summary.length > 1) printTable(summary);
}

function runsOf(workload, peer) {
  return runs.filter((run) => run.workload === workload && run.peer === peer);
}

function ratio(workload, peer, base) {
  const rates = new Map(runsOf(workload, base).map((run) => [run.round, run['req/s']]));
  return median(runsOf(workload, peer).map((run) => run['req/s'] / rates.get(run.round)));
}

function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

function printTable(rows) {
  const cells = rows.map((row) => row.map(show));
  const widths = rows[0].map((_, column) => Math.max(...cells.map((row) => row[column].length)));
  const pad = (cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]));
  console.log(`\n${cells.map((row) => row.map(pad).join('  ')).join('\n')}`);
}

function show(cell) {
  if (typeof cell === 'string') return cell;
  return Number.isNaN(cell) ? '-' : cell >= 100 ? cell.toFixed() : cell.toPrecision(3);
}

function number(value) {
  if (Number(value) > 0) return Number(value);
  throw new Error(`"${value}" is not a number above 0.`);
}

function names(list, known, fallback) {
  const asked = list?.split(',') ?? fallback;
  const strange = asked.find((name) => !Object.hasOwn(known, name));
  if (strange === undefined) return asked;
  throw new Error(`"${strange}" does not exist: use ${Object.keys(known).join(', ')}.`);
}
