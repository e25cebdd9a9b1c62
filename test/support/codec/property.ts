import type { Parameters as RunParameters } from 'fast-check';

/**
 * The seed of this run's random tests. It stands in their titles; `FC_SEED=… npm test -- wire` runs
 * them with the same values again.
 */
export const seed = Number(process.env['FC_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

/** How often to run a property; `FC_RUNS` multiplies it, for a longer search. */
export function runs<T = unknown>(numRuns: number): RunParameters<T> {
  return { seed, numRuns: numRuns * Number(process.env['FC_RUNS'] ?? 1) };
}
