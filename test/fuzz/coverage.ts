/**
 * Records the way of an input through `src`: `instrument.mjs` makes each block call `hit`. A new way is not a new
 * block but a new step from one block to the next, or a new rough count of such a step. So a second frame of a kind,
 * or one more turn of a loop, counts as new too.
 */

/** Thrown into the code under test when an input takes too many steps. */
export class TooManySteps extends Error {
  override readonly name = 'TooManySteps';
}

const EDGES = 2 ** 16;
const counts = new Uint32Array(EDGES);
/** The edges that the current input has taken, so that no loop must visit all edges. */
const touched = new Uint32Array(EDGES);
let touchedCount = 0;
let previous = 0;
let steps = 0;
let budget = Infinity;
/** One octet for each block: 1 if the block was reached. */
let reached = new Uint8Array(4096);
let blockCount = 0;
/** One octet for each feature: 1 if the feature was seen. */
const known = new Uint8Array(EDGES * 8);
const files: { readonly name: string; readonly first: number; readonly count: number }[] = [];

/** A file of `src` calls this function as it loads. Returns the number of the file's first block. */
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

/** Each block of `src` calls this function when it is entered. */
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

/** Forgets the last input. The next input may take `allowed` steps. */
export function begin(allowed: number): void {
  for (let at = 0; at < touchedCount; at++) counts[touched[at]!] = 0;
  touchedCount = 0;
  previous = 0;
  steps = 0;
  budget = allowed;
}

/** Ends the limit of steps for the input. Returns the steps that it took. */
export function end(): number {
  budget = Infinity;
  return steps;
}

/** The features of the last input, in no particular order. One number holds an edge and its rough count. */
export function features(): number[] {
  const found: number[] = [];
  for (let at = 0; at < touchedCount; at++) found.push(featureOf(touched[at]!));
  return found;
}

/** The features that no earlier input has shown. Each feature is returned only once. */
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

/** Forgets all seen features, for another target. */
export function forget(): void {
  known.fill(0);
}

/** The edge of a feature, without its count. */
export function edgeOf(feature: number): number {
  return feature >> 3;
}

function featureOf(edge: number): number {
  return edge * 8 + rough(counts[edge]!);
}

/** The class of a count, from 0 to 7: 1, 2, 3, 4 to 7, 8 to 15, 16 to 31, 32 to 127, more. */
function rough(count: number): number {
  if (count < 4) return count - 1;
  if (count < 32) return 32 - Math.clz32(count);
  return count < 128 ? 6 : 7;
}

/** The blocks of the files whose names begin with `prefix`: their number, and how many were ever reached. */
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
