/**
 * One process of a campaign. It runs batches of lives and reports the results. If a life ends the process or never
 * ends, the campaign starts another process.
 */
import { inMacrotask, Life } from './life.js';
import { Moments } from './moments.js';

/** The seeds from `first` on, `count` in number. */
export interface Batch {
  readonly first: number;
  readonly count: number;
}

/** A life that broke a promise, and all events of that life. */
export interface Violation {
  readonly seed: number;
  readonly reason: string;
  readonly lines: readonly string[];
}

export interface BatchReport {
  readonly violations: readonly Violation[];
  readonly moments: readonly (readonly [string, number])[];
}

process.on('message', ({ first, count }: Batch) => void live(first, count));

async function live(first: number, count: number): Promise<void> {
  const violations: Violation[] = [];
  const moments = new Moments();
  await inMacrotask(() => {
    for (let seed = first; seed < first + count; seed++) {
      const reason = failureOf(seed, undefined, moments);
      if (reason === undefined) continue;
      const lines: string[] = [];
      failureOf(seed, (line) => void lines.push(line));
      violations.push({ seed, reason, lines });
    }
  });
  const report: BatchReport = { violations, moments: [...moments.counts] };
  process.send?.(report);
}

function failureOf(
  seed: number,
  onTrace?: (line: string) => void,
  moments?: Moments,
): string | undefined {
  const life = new Life(seed, onTrace);
  try {
    life.run();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    moments?.add(life.world.moments.counts);
  }
}
