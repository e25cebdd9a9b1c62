/**
 * `npm run simulate`: connections in all circumstances, for longer than a test may take.
 *
 *     npm run simulate                                   200,000 random lives from a random seed, which it prints
 *     npm run simulate -- --runs 1000000 --workers 2     two processes
 *     npm run simulate -- --seed 7 --log FILE            lives from this seed on; FILE keeps everything
 *     npm run simulate -- --seed 7 --runs 1 --trace      one life, frame by frame
 *     npm run simulate -- --faults --runs 5000           shows which life finds each planted fault
 *     npm run simulate -- --faults "no fence"            one planted fault
 *     npm run simulate -- --variants --runs 5000         source with limits that no life would reach otherwise
 *     npm run simulate -- --cuts                         an exchange with one cut, after each octet
 *     npm run simulate -- --cuts --pairs 1               with two cuts, at each pair of octets; 10: each tenth pair
 */
import { register } from 'node:module';
import { parseArgs } from 'node:util';
import { Campaign } from './campaign.js';
import { cutsOnce, cutsTwice, firstDifference } from './cuts.js';
import { type Cut, FRAGMENTED, LARGE, type Script, SMALL } from './exchange.js';
import { faults, variants } from './faults.js';
import type * as copied from './life.js';
import { Life } from './life.js';
import { inMacrotask } from './virtual-node.js';

const EVERY = 20_000;
const MOST_SHOWN = 5;
const text = { type: 'string' } as const;
const flag = { type: 'boolean' } as const;
const { values: flags, positionals } = parseArgs({
  options: {
    seed: text,
    runs: text,
    pairs: text,
    workers: text,
    log: text,
    faults: flag,
    variants: flag,
    cuts: flag,
    trace: flag,
  },
  allowPositionals: true,
});
const isSeeking = flags.faults === true;
const first = integer('seed', isSeeking ? 1 : Math.floor(Math.random() * 2 ** 31));
const runs = integer('runs', isSeeking ? 5000 : 200_000);
let done = 0;
let violations = 0;
const started = performance.now();

if (isSeeking) {
  await seek();
} else if (flags.variants === true || flags.cuts === true || flags.trace === true) {
  if (flags.variants === true) await vary();
  else if (flags.cuts === true) await inMacrotask(cut);
  else await inMacrotask(trace);
  console.log(`${done} runs, ${violations} violations`);
  process.exitCode = violations > 0 ? 1 : 0;
} else {
  const workers = integer('workers', 1);
  const campaign = new Campaign({ first, runs, workers, log: flags.log });
  await campaign.run();
  process.exitCode = campaign.violations > 0 ? 1 : 0;
}

/** Prints the lives frame by frame. */
function trace(): void {
  for (let seed = first; seed < first + runs; seed++) {
    console.log(`SIM_SEED=${seed}`);
    const reason = failureOf(Life, seed, (line) => console.log(line));
    count(reason, (why) => console.log(`SIM_SEED=${seed}: ${why}`));
  }
}

function cut(): void {
  const stride = integer('pairs', 0);
  if (stride > 0) return compare('pairs', SMALL, cutsTwice(SMALL, stride));
  compare('fragmented', FRAGMENTED, cutsOnce(FRAGMENTED));
  compare('large', LARGE, cutsOnce(LARGE));
}

function compare(name: string, script: Script, all: Iterable<readonly Cut[]>): void {
  const before = done;
  for (const cuts of all) {
    count(firstDifference(script, cuts), (reason) => {
      console.log(`\n${name}, ${JSON.stringify(cuts)}: ${reason}`);
    });
  }
  console.log(`${name}: ${done - before} runs`);
}

/** Checks that `runs` lives find each planted fault. */
async function seek(): Promise<void> {
  const chosen = faults.filter(({ name }) => isChosen(name));
  let found = 0;
  registerCopies();
  for (const { name } of chosen) {
    const copy = await load(name);
    let seed = first;
    let reason: string | undefined;
    await inMacrotask(() => {
      while (reason === undefined && seed < first + runs) reason = failureOf(copy.Life, seed++);
    });
    if (reason !== undefined) found += 1;
    console.log(`${name}: ${reason === undefined ? 'NOT FOUND' : `found by life ${seed - first}`}`);
    if (reason !== undefined && chosen.length === 1) console.log(reason);
  }
  console.log(`${chosen.length} faults, ${found} found`);
  process.exitCode = found < chosen.length ? 1 : 0;
}

async function vary(): Promise<void> {
  registerCopies();
  for (const { name, mostKept, firstByte } of variants.filter((each) => isChosen(each.name))) {
    const { Life: Copy, ConnectionAudit } = await load(name);
    if (mostKept !== undefined) ConnectionAudit.mostKept = mostKept;
    if (firstByte !== undefined) ConnectionAudit.firstByte = firstByte;
    await inMacrotask(() => {
      for (let seed = first; seed < first + runs; seed++) {
        count(failureOf(Copy, seed), (reason) => {
          console.log(`${name}, SIM_SEED=${seed}: ${reason}`);
        });
      }
    });
    console.log(`${name}: ${runs} runs from seed ${first}`);
  }
}

function registerCopies(): void {
  const ofFaults = faults.map(({ name, ...change }) => ({ name, changes: [change] }));
  register(new URL('mutate.mjs', import.meta.url), { data: [...ofFaults, ...variants] });
}

/** A copy of the simulation and of `src`, with the changes of this name. */
async function load(name: string): Promise<typeof copied> {
  const url = new URL(`life.ts?copy=${encodeURIComponent(name)}`, import.meta.url);
  return (await import(url.href)) as typeof copied;
}

function isChosen(name: string): boolean {
  return positionals.length === 0 || positionals.includes(name);
}

function count(reason: string | undefined, show: (reason: string) => void): void {
  done += 1;
  if (reason !== undefined && (violations += 1) <= MOST_SHOWN) show(reason);
  if (done % EVERY > 0) return;
  const each = (performance.now() - started) / done;
  console.log(`${done} runs, ${violations} violations, ${each.toFixed(2)} ms each`);
}

function failureOf(
  Kind: typeof Life,
  seed: number,
  onTrace?: (line: string) => void,
): string | undefined {
  try {
    new Kind(seed, onTrace).run();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function integer(name: 'seed' | 'runs' | 'pairs' | 'workers', fallback: number): number {
  const value = Number(flags[name] ?? fallback);
  if (Number.isInteger(value) && value >= 0) return value;
  throw new Error(`--${name} takes a whole number, and is ${flags[name]}.`);
}
