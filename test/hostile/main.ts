/**
 * `npm run hostile`: attacks a server and a client of ours, each program in a process of its own, beside an honest
 * client. The program prints a table, and keeps all that it measured in a log.
 *
 *     npm run hostile                              all programs, from a random seed, which it prints
 *     npm run hostile -- rows tls                  the programs whose names contain one of these words
 *     npm run hostile -- --seconds 5 gate          longer attacks
 *     npm run hostile -- --seed 7 --log FILE       a given seed; another file than hostile.log
 *     npm run hostile -- --list                    the names, and what each program does
 */
import { appendFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { OPEN } from './open.js';
import type { Program } from './program.js';
import { programs } from './programs/index.js';
import { Arena, type Measured } from './trial.js';
import { faultsOf, mib, ratioOf } from './verdict.js';

const text = { type: 'string' } as const;
const { values: flags, positionals: words } = parseArgs({
  options: { seconds: text, seed: text, log: text, list: { type: 'boolean' } },
  allowPositionals: true,
});
const seconds = Number(flags.seconds ?? 1.5);
const seed = Number(flags.seed ?? Math.floor(Math.random() * 2 ** 31));
const log = flags.log ?? 'hostile.log';
const chosen = programs.filter(
  ({ name }) => words.length === 0 || words.some((word) => name.includes(word)),
);
if (chosen.length === 0 || !(seconds > 0) || !Number.isInteger(seed)) {
  throw new Error(
    'No program has such a name, or --seconds is not above 0, or --seed is not a whole number. --list shows the names.',
  );
}

const WIDTH = 6;
const HEAD = `${'program'.padEnd(26)} ${'result'.padEnd(7)} ${[
  'calls',
  'p99',
  'quiet',
  'burnt',
  'ratio',
  'held',
  'peak',
  'cpu',
  'log',
]
  .map((word) => word.padStart(WIDTH))
  .join('')}`;
const NO_CELLS = ' '.repeat(9 * WIDTH);

if (flags.list === true) {
  for (const { name, about } of chosen) console.log(`${name.padEnd(26)} ${about}`);
} else {
  await campaign();
}

async function campaign(): Promise<void> {
  const began = performance.now();
  const counts = { passed: 0, failed: 0, open: 0 };
  writeFileSync(log, '');
  say(`seed ${seed}, ${seconds} s each, ${chosen.length} programs; log: ${log}`);
  say(HEAD);
  const arena = await Arena.open();
  for (const [index, program] of chosen.entries()) {
    const { row, verdict } = await run(arena, program, seed + index);
    counts[verdict] += 1;
    say(row);
  }
  await arena.close();
  const took = ((performance.now() - began) / 1000).toFixed(0);
  say(
    `${counts.passed} passed, ${counts.failed} failed, ${counts.open} open, in ${took} s; seed ${seed}`,
  );
  process.exitCode = counts.failed > 0 ? 1 : 0;
}

/** Runs one program. The row says what became of it. */
async function run(
  arena: Arena,
  program: Program,
  itsSeed: number,
): Promise<{ row: string; verdict: 'passed' | 'failed' | 'open' }> {
  const { name } = program;
  const known = OPEN[name];
  let faults: string[];
  let cells: string;
  try {
    let measured = await arena.run(program, seconds, itsSeed);
    faults = faultsOf(program, measured, true);
    // Other work on this machine can make one trial slow, and rarely two.
    if (faults.length > 0 && faultsOf(program, measured, false).length === 0) {
      keep({ name, seed: itsSeed, faults, isRepeated: true, ...measured });
      measured = await arena.run(program, seconds, itsSeed);
      faults = faultsOf(program, measured, true);
    }
    cells = cellsOf(measured);
    keep({ name, seed: itsSeed, faults, ...measured });
  } catch (error) {
    faults = [String(error).replaceAll(/\s+/g, ' ').slice(0, 200)];
    cells = NO_CELLS;
    keep({ name, seed: itsSeed, error: String(error) });
  }
  const isSound = faults.length === 0;
  const verdict = known === undefined ? (isSound ? 'passed' : 'failed') : 'open';
  const stale = isSound ? 'no fault seen; if this stays so, take its mark away' : faults.join('; ');
  const rest = known === undefined ? faults.join('; ') : `${known}: ${stale}`;
  return { row: `${name.padEnd(26)} ${verdict.padEnd(7)} ${cells}  ${rest}`.trimEnd(), verdict };
}

function cellsOf(measured: Measured): string {
  const { attacked, quiet, burnt, held, peak, victimCpu, lines } = measured;
  return [
    attacked.calls,
    attacked.p99.toFixed(1),
    quiet.p99.toFixed(1),
    burnt.p99.toFixed(1),
    ratioOf(measured).toFixed(1),
    mib(held),
    mib(peak),
    victimCpu.toFixed(1),
    lines,
  ]
    .map((value) => String(value).padStart(WIDTH))
    .join('');
}

function say(line: string): void {
  console.log(line);
  appendFileSync(log, `${line}\n`);
}

function keep(measured: object): void {
  appendFileSync(log, `${JSON.stringify(measured)}\n`);
}
