import type { Parameters as RunParameters } from 'fast-check';

/**
 * The seed of the random tests of this run. The titles of the tests show it. `FC_SEED=… npm test -- wire` repeats the
 * run with the same values.
 */
export const seed = Number(process.env['FC_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

/** The number of runs of a property. `FC_RUNS` multiplies it for a longer search. */
export function runs<T = unknown>(numRuns: number): RunParameters<T> {
  return { seed, numRuns: numRuns * Number(process.env['FC_RUNS'] ?? 1) };
}
