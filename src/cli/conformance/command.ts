/** `interconnect conformance`: reads the options, runs the cases and prints the results. */
import { writeFile } from 'node:fs/promises';
import { parseListenTarget, parseTarget } from '../address.js';
import type { Output } from '../io.js';
import { messageOf } from '../message-of.js';
import { UsageError } from '../usage-error.js';
import { packageVersion } from '../version.js';
import { CASES } from './cases/index.js';
import { commandDialer } from './command-dialer.js';
import type { ConformanceCase } from './conformance-case.js';
import { dialerSubject, type StartDialer } from './dialer-subject.js';
import { checkReachable, listenerSubject } from './listener-subject.js';
import { listToJson, toJson } from './reports/json.js';
import { toJunit } from './reports/junit.js';
import { TextReport } from './reports/text.js';
import { casesFor, runCases, tallyOf } from './runner.js';
import { selectCases } from './selection.js';
import type { Role, Subject } from './subject.js';
import { DEFAULT_PATIENCE, DEFAULT_TIMEOUT, type Waits } from './waits.js';

/** The options of the command, as they were typed. */
export interface ConformanceOptions {
  readonly positionals: readonly string[];
  /** The arguments after `--`. */
  readonly command: readonly string[];
  readonly listen?: string | undefined;
  readonly path?: string | undefined;
  readonly groups: readonly string[];
  readonly cases: readonly string[];
  readonly junit?: string | undefined;
  readonly timeout?: string | undefined;
  readonly patience?: string | undefined;
  readonly jobs?: string | undefined;
  readonly list: boolean;
  readonly json: boolean;
  readonly tls: boolean;
}

/** Starts a dialer under test. A test starts one in its own process. */
export type DialerStarter = (command: readonly string[]) => StartDialer;

/**
 * Resolves with the exit code: 0 if no case failed, else 1.
 * @throws UsageError
 */
export async function conformance(
  options: ConformanceOptions,
  { out }: Output,
  starter: DialerStarter = commandDialer,
): Promise<number> {
  const role: Role = options.listen === undefined ? 'listener' : 'dialer';
  const cases = selectCases(casesFor(role, CASES), options.groups, options.cases);
  const report = new TextReport(out);
  if (options.list) {
    if (options.json) out(listToJson(cases, role, await packageVersion()));
    else report.list(cases);
    return 0;
  }
  const { subject, jobs } = await (options.listen === undefined
    ? listenerUnderTest(options)
    : dialerUnderTest(options, options.listen, starter));
  if (options.junit !== undefined) await write(options.junit, '');
  return run(cases, { subject, jobs }, options, role, out);
}

interface UnderTest {
  readonly subject: () => Subject;
  readonly jobs: number;
}

async function run(
  cases: readonly ConformanceCase[],
  underTest: UnderTest,
  options: ConformanceOptions,
  role: Role,
  out: Output['out'],
): Promise<number> {
  const report = new TextReport(out);
  const results = await runCases(cases, {
    ...underTest,
    ...(options.json ? {} : { onResult: (result) => report.onResult(result) }),
  });
  if (options.json) out(toJson(results, role, await packageVersion()));
  if (options.junit !== undefined) await write(options.junit, toJunit(results));
  const tally = tallyOf(results);
  if (!options.json) report.onEnd(tally);
  return tally.failed === 0 ? 0 : 1;
}

async function listenerUnderTest(options: ConformanceOptions): Promise<UnderTest> {
  const { positionals, path, command, tls } = options;
  if (command.length > 0) {
    throw new UsageError(
      'A command after -- is for --listen: the suite dials a listener, and does not start it.',
    );
  }
  const [address, extra] = positionals;
  if (extra !== undefined) throw new UsageError(`"${extra}" is one address too many: give one.`);
  if ((address === undefined) === (path === undefined)) {
    throw new UsageError('There is nothing to test: give either HOST:PORT or --path.');
  }
  const target = address === undefined ? { path: path ?? '' } : parseTarget(address);
  const listener = { target, tls, ...waitsOf(options) };
  const jobs = jobsOf(options, 16);
  await checkReachable(listener);
  return { subject: () => listenerSubject(listener), jobs };
}

function dialerUnderTest(
  options: ConformanceOptions,
  listen: string,
  starter: DialerStarter,
): Promise<UnderTest> {
  const { positionals, path, command, tls } = options;
  if (positionals.length > 0 || path !== undefined || tls) {
    throw new UsageError(
      '--listen takes a dialer to test: HOST:PORT, --path and --tls are for a listener.',
    );
  }
  if (command.length === 0) {
    throw new UsageError('There is no dialer to test: give its command behind --.');
  }
  const { host, port } = parseListenTarget(listen);
  const jobs = jobsOf(options, port === 0 ? 8 : 1);
  if (port !== 0 && jobs > 1) {
    throw new UsageError('Several cases at once need several ports: give port 0, or --jobs 1.');
  }
  const dialer = { host, port, ...waitsOf(options), start: starter(command) };
  return Promise.resolve({ subject: () => dialerSubject(dialer), jobs });
}

function waitsOf({ timeout, patience }: ConformanceOptions): Waits {
  return {
    timeout:
      timeout === undefined ? DEFAULT_TIMEOUT : integerOf('--timeout', timeout, 100, 3_600_000),
    patience:
      patience === undefined ? DEFAULT_PATIENCE : integerOf('--patience', patience, 50, 60_000),
  };
}

function jobsOf({ jobs }: ConformanceOptions, fallback: number): number {
  return jobs === undefined ? fallback : integerOf('--jobs', jobs, 1, 256);
}

function integerOf(name: string, text: string, from: number, to: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= from && value <= to) return value;
  throw new UsageError(`${name} is "${text}": give an integer from ${from} to ${to}.`);
}

async function write(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text);
  } catch (error) {
    throw new UsageError(`The JUnit file cannot be written: ${messageOf(error)}.`);
  }
}
