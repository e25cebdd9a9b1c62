/** Runs several cases at once, and reports the results in the order of the cases. */
import type { ConformanceCase } from './conformance-case.js';
import { Mismatch, Skip } from './mismatch.js';
import type { Role, Subject } from './subject.js';

/** The outcome of one case. */
export type CaseResult = { readonly case: ConformanceCase; readonly milliseconds: number } & (
  | { readonly outcome: 'passed' }
  | { readonly outcome: 'failed'; readonly expected: string; readonly actual: string }
  | { readonly outcome: 'skipped'; readonly reason: string }
);

/** The number of cases for each outcome. */
export interface Tally {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export interface RunSettings {
  /** The number of cases that run at once. */
  readonly jobs: number;
  /** Makes the implementation under test available to one case. */
  readonly subject: () => Subject;
  /** Called for every case, in the order of the cases. */
  readonly onResult?: (result: CaseResult) => void;
}

/** The cases that apply to an implementation in this role. */
export function casesFor(role: Role, cases: readonly ConformanceCase[]): ConformanceCase[] {
  return cases.filter((each) => each.role === undefined || each.role === role);
}

/**
 * Resolves with a result for each case, in the order of the cases.
 * @throws any error that is neither a mismatch nor a skip: the run cannot go on after such an error
 */
export async function runCases(
  cases: readonly ConformanceCase[],
  { jobs, subject, onResult }: RunSettings,
): Promise<CaseResult[]> {
  const results: (CaseResult | undefined)[] = cases.map(() => undefined);
  let next = 0;
  let told = 0;
  const work = async (): Promise<void> => {
    for (let index = next++; index < cases.length; index = next++) {
      const each = cases[index];
      if (each === undefined) return;
      try {
        results[index] = await runCase(each, subject());
      } catch (error) {
        next = cases.length;
        throw error;
      }
      for (let result = results[told]; result !== undefined; result = results[told]) {
        onResult?.(result);
        told += 1;
      }
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
  return results.filter((each) => each !== undefined);
}

export function tallyOf(results: readonly CaseResult[]): Tally {
  const count = (outcome: CaseResult['outcome']): number =>
    results.filter((each) => each.outcome === outcome).length;
  return { passed: count('passed'), failed: count('failed'), skipped: count('skipped') };
}

async function runCase(each: ConformanceCase, subject: Subject): Promise<CaseResult> {
  const start = performance.now();
  const spent = (): number => Math.round(performance.now() - start);
  try {
    await each.run(subject);
    return { case: each, outcome: 'passed', milliseconds: spent() };
  } catch (error) {
    if (error instanceof Mismatch) {
      const { expected, actual } = error;
      return { case: each, outcome: 'failed', expected, actual, milliseconds: spent() };
    }
    if (error instanceof Skip) {
      return { case: each, outcome: 'skipped', reason: error.message, milliseconds: spent() };
    }
    throw error;
  } finally {
    await subject.dispose();
  }
}
