/**
 * `npm run fuzz`: random inputs for the decoder and the machines. Inputs that take new ways through `src` lead to
 * further inputs. The program prints a seed. The same seed and the same code give the same run.
 *
 *     npm run fuzz                                       a long campaign
 *     npm run fuzz -- --seed 7 --runs 20000 --target dialer
 *     npm run fuzz -- --target dialer --input FILE       repeats the input that a failure has printed
 *     npm run fuzz -- --save                             writes a new corpus to test/fuzz/corpus
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Campaign } from './campaign.js';
import { blocks } from './coverage.js';
import { type Input, inputFromText, inputToText } from './input.js';
import type { Target } from './target.js';
import { targets } from './targets.js';

/** `PIECE`: inputs between two checks of the memory. `MOST_GROWTH`: octets by which the memory may grow. */
const PIECE = 10_000;
const MOST_GROWTH = 64 * 2 ** 20;

const text = { type: 'string' } as const;
const { values: flags } = parseArgs({
  options: { seed: text, runs: text, target: text, input: text, save: { type: 'boolean' } },
});
const seed = Number(flags.seed ?? Math.floor(Math.random() * 2 ** 31));
const runs = Number(flags.runs ?? 1_000_000);
const chosen = targets.filter(({ name }) => flags.target === undefined || name === flags.target);
if (chosen.length === 0 || !Number.isInteger(seed) || !Number.isInteger(runs)) {
  const names = targets.map(({ name }) => name).join(', ');
  throw new Error(`--seed and --runs need a whole number, --target one of ${names}.`);
}
let crashes = 0;
let inputs = 0;

if (flags.input === undefined) {
  console.log(`seed ${seed}`);
  const started = performance.now();
  for (const target of chosen) fuzz(target, Math.ceil(runs / chosen.length));
  const seconds = (performance.now() - started) / 1000;
  const peak = Math.round(process.resourceUsage().maxRSS / 1024);
  console.log(
    `${seconds.toFixed(1)} s, ${Math.round(inputs / seconds)} a second; blocks reached: ` +
      `${coverage('wire/')}, ${coverage('protocol/')}; peak ${peak} MiB`,
  );
} else {
  for (const line of lines(flags.input)) for (const target of chosen) replay(target, line);
}
console.log(`${inputs} inputs, ${crashes} crashes`);
process.exitCode = crashes > 0 ? 1 : 0;

function fuzz(target: Target, count: number): void {
  const file = new URL(`corpus/${target.name}.txt`, import.meta.url);
  const campaign = new Campaign(target, seed);
  const started = performance.now();
  campaign.start(existsSync(file) ? lines(file).map(inputFromText) : []);
  const before = held();
  // Run the inputs in pieces, to check the memory between them.
  let most = before;
  while (campaign.inputs < count && campaign.crash === undefined) {
    campaign.run(Math.min(PIECE, count - campaign.inputs));
    most = Math.max(most, held());
  }
  const seconds = (performance.now() - started) / 1000;
  inputs += campaign.inputs;
  console.log(
    `${target.name}: ${campaign.inputs} inputs, ${Math.round(campaign.inputs / seconds)} a second; ` +
      `${campaign.features} features in ${campaign.corpus.length} inputs; ` +
      `at most ${campaign.mostSteps} steps; ${mib(before)} to ${mib(most)} MiB held`,
  );
  if (campaign.crash !== undefined) {
    report(target, campaign.crash.error, campaign.crash.input, campaign.smallest(campaign.crash));
  } else if (most - before > MOST_GROWTH) {
    crashes += 1;
    console.log(`FAILED: ${target.name}: the heap grows from ${mib(before)} to ${mib(most)} MiB.`);
  }
  if (flags.save === true)
    writeFileSync(file, `${campaign.essence().map(inputToText).join('\n')}\n`);
}

function replay(target: Target, line: string): void {
  inputs += 1;
  const input = inputFromText(line);
  try {
    target.run(input);
  } catch (error) {
    report(target, error, input, input);
  }
}

function report({ name }: Target, error: unknown, input: Input, smallest: Input): void {
  crashes += 1;
  console.log(`FAILED: ${name}: ${error instanceof Error ? (error.stack ?? '') : String(error)}`);
  console.log(`the input:\n${inputToText(input)}`);
  if (smallest !== input) console.log(`a smaller one:\n${inputToText(smallest)}`);
}

/** The memory after a collection, if Node was started with --expose-gc. */
function held(): number {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function lines(file: string | URL): string[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('?'));
}

function coverage(floor: string): string {
  const { all, reached } = blocks(floor);
  return `${floor} ${reached} of ${all}`;
}

function mib(octets: number): string {
  return (octets / 2 ** 20).toFixed(1);
}
