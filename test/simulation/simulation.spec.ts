import { describe, expect, it } from '@jest/globals';
import { Life } from './life.js';
import { inMacrotask } from './virtual-node.js';

/** `SIM_SEED=n` repeats one life. `SIM_RUNS=n` runs more lives. */
const only = process.env['SIM_SEED'];
const fresh = Math.floor(Math.random() * 2 ** 31);

describe('A connection in any circumstances', () => {
  it.each(
    only === undefined
      ? [
          [1, 5000],
          [fresh, Number(process.env['SIM_RUNS'] ?? 5000)],
        ]
      : [[Number(only), 1]],
  )(
    'keeps its promises in the random lives from seed %i, %i of them',
    async (first, runs) => {
      await inMacrotask(() => {
        for (let seed = first; seed < first + runs; seed++) live(seed);
      });

      expect(runs).toBeGreaterThan(0);
    },
    300_000,
  );

  it('is the same again with the same seed', async () => {
    const [once, again] = await inMacrotask(() => [transcript(fresh), transcript(fresh)]);

    expect(once).toEqual(again);
  });
});

/** Runs the life of a seed. Its failure says how to repeat the life, and lists the events before the failure. */
function live(seed: number): void {
  try {
    new Life(seed).run();
  } catch (error) {
    const lines = transcript(seed);
    const reason = error instanceof Error ? error.message : String(error);
    const shown = (only === undefined ? lines.slice(-LAST_LINES) : lines).join('\n');
    throw new Error(`SIM_SEED=${seed}: ${reason}\n${shown}`, { cause: error });
  }
}

/** The events of the life, one line each. */
function transcript(seed: number): string[] {
  const lines: string[] = [];
  try {
    new Life(seed, (line) => void lines.push(line)).run();
  } catch {
    // Why is known; here it is what came before.
  }
  return lines;
}

const LAST_LINES = 40;
