/** Judges a trial: what the program demands, and what every trial demands. */
import type { Program } from './program.js';
import type { Measured } from './trial.js';
import { FORGED, RAW } from './words.js';

/** MiB that every victim may grow by, beside the budget of the program. */
const ALLOWANCE = 32;
/** MiB of the resident set that may be garbage: what V8 has not collected yet. */
const GARBAGE = 128;
/** An honest p99 is a fault from this multiple of the undisturbed one on, and from this time on, in milliseconds. */
const MOST_RATIO = 3;
const NOTICEABLE = 60;
/** Lines and octets that a victim may write in one trial. */
const MOST_LINES = 100;
const MOST_OCTETS = 64 * 1024;
const MIB = 2 ** 20;

/** How often the honest p99 is that of the undisturbed phases. */
export function ratioOf({ attacked, quiet, burnt }: Measured): number {
  return attacked.p99 / Math.max(quiet.p99, Number.isNaN(burnt.p99) ? 0 : burnt.p99);
}

/** The faults of a trial. `times`: whether times count. On a machine with other work they say little. */
export function faultsOf(program: Program, measured: Measured, times: boolean): string[] {
  const { reaction, attacked, held, peak, counters, lines, octets, text } = measured;
  const { expect, budget = 0 } = program;
  const isExpected = typeof expect === 'string' ? reaction === expect : expect.test(reaction);
  const ratio = ratioOf(measured);
  const most = budget + ALLOWANCE;
  const faults: (string | false | undefined)[] = [
    !isExpected && `reaction ${reaction} instead of ${String(expect)}`,
    held > most * MIB && `holds ${mib(held)} MiB, allowed are ${most}`,
    peak > (most + GARBAGE) * MIB &&
      `resident set +${mib(peak)} MiB, allowed are ${most + GARBAGE}`,
    attacked.errors.length > 0 && `honest errors: ${attacked.errors.slice(0, 3).join('; ')}`,
    attacked.calls === 0 && 'no honest call was answered',
    times &&
      !(ratio < MOST_RATIO) &&
      attacked.p99 > NOTICEABLE &&
      `honest p99 × ${ratio.toFixed(0)} (${attacked.p99.toFixed(0)} ms)`,
    lines > MOST_LINES && `${lines} lines of log`,
    octets > MOST_OCTETS && `${octets} octets of log`,
    RAW.test(text) && 'raw control characters in the log',
    FORGED.test(text) && 'a forged line in the log',
    program.judge?.(counters),
  ];
  return faults.filter((fault) => typeof fault === 'string');
}

export function mib(octets: number): number {
  return Math.round(octets / MIB);
}
