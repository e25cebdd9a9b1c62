import { describe, expect, it } from '@jest/globals';
import { Simulation } from '../support/simulation.js';

/** `SIM_SEED=n` repeats the one run that failed; `SIM_RUNS=n` looks longer. */
const only = process.env['SIM_SEED'];
const runs = only === undefined ? Number(process.env['SIM_RUNS'] ?? 500) : 1;
const first = only === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(only);

/** The simulation of a seed; its failure says how to repeat it. */
function simulate(seed: number): string {
  const simulation = new Simulation(seed);
  try {
    simulation.run();
    return 'kept';
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    if (only !== undefined) process.stderr.write(`${simulation.pair.transcript()}\n`);
    throw new Error(`SIM_SEED=${seed}: ${reason}`, { cause: error });
  }
}

describe('A connection in any circumstances', () => {
  it(
    `keeps its promises in ${runs} random lives from seed ${first} [IC-7.1]`,
    () => {
      for (let seed = first; seed < first + runs; seed++) expect(simulate(seed)).toBe('kept');
    },
    Math.max(30_000, runs * 60),
  );
});
