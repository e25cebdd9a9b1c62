/**
 * Which way an input went through `src`, as `instrument.mjs` has every block tell. What counts as new is
 * not a block but a step from one block to the next, and how often it was taken, roughly: so a second frame
 * of a kind, or a loop that turns once more, is seen too.
 */

/** Thrown into the code under test when an input takes it more steps than any input should. */
export class TooManySteps extends Error {
  override readonly name = 'TooManySteps';
}

const EDGES = 2 ** 16;
const counts = new Uint32Array(EDGES);
/** The edges that the present input has taken, so that nothing needs to look at all of them. */
const touched = new Uint32Array(EDGES);
let touchedCount = 0;
let previous = 0;
let steps = 0;
let budget = Infinity;
/** One octet for each block, 1 once it was reached. */
let reached = new Uint8Array(4096);
let blockCount = 0;
/** One octet for each feature, 1 once it was seen. */
const known = new Uint8Array(EDGES * 8);
const files: { readonly name: string; readonly first: number; readonly count: number }[] = [];

/** Called by a file of `src` as it loads: the number of the first of its blocks. */
export function register(name: string, count: number): number {
  const first = blockCount;
  files.push({ name, first, count });
  blockCount += count;
  if (blockCount > reached.length) {
    const larger = new Uint8Array(2 * blockCount);
    larger.set(reached);
    reached = larger;
  }
  return first;
}

/** Called by every block of `src` as it is entered. */
export function hit(block: number): void {
  steps += 1;
  if (steps > budget) throw new TooManySteps(`More than ${budget} steps.`);
  reached[block] = 1;
  const edge = (Math.imul(previous, 0x9e37) ^ block) & (EDGES - 1);
  const count = counts[edge]!;
  counts[edge] = count + 1;
  if (count === 0) touched[touchedCount++] = edge;
  previous = block;
}

/** Forgets the last input; the next may take so many steps. */
export function begin(allowed: number): void {
  for (let at = 0; at < touchedCount; at++) counts[touched[at]!] = 0;
  touchedCount = 0;
  previous = 0;
  steps = 0;
  budget = allowed;
}

/** Ends the count, so that what a test does afterwards costs nothing. Returns the steps taken. */
export function end(): number {
  budget = Infinity;
  return steps;
}

/** What the last input did: an edge and how often it was taken, in one number, in no particular order. */
export function features(): number[] {
  const found: number[] = [];
  for (let at = 0; at < touchedCount; at++) found.push(featureOf(touched[at]!));
  return found;
}

/** The features that nothing has ever shown before: each is told once. */
export function newFeatures(): number[] {
  const found: number[] = [];
  for (let at = 0; at < touchedCount; at++) {
    const feature = featureOf(touched[at]!);
    if (known[feature] === 1) continue;
    known[feature] = 1;
    found.push(feature);
  }
  return found;
}

/** Starts anew with what is new: for another target. */
export function forget(): void {
  known.fill(0);
}

/** The edge of a feature, without how often it was taken. */
export function edgeOf(feature: number): number {
  return feature >> 3;
}

function featureOf(edge: number): number {
  return edge * 8 + rough(counts[edge]!);
}

/** 1, 2, 3, 4 to 7, 8 to 15, 16 to 31, 32 to 127, more: 0 to 7. */
function rough(count: number): number {
  if (count < 4) return count - 1;
  if (count < 32) return 32 - Math.clz32(count);
  return count < 128 ? 6 : 7;
}

/** Blocks of the files whose names begin so: how many there are, and how many were ever reached. */
export function blocks(prefix: string): { readonly all: number; readonly reached: number } {
  let all = 0;
  let hits = 0;
  for (const { name, first, count } of files) {
    if (!name.startsWith(prefix)) continue;
    all += count;
    for (let block = first; block < first + count; block++) hits += reached[block]!;
  }
  return { all, reached: hits };
}
