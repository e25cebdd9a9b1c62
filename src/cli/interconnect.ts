/** The `interconnect` command as a function. `main.ts` connects it to the process. */
import { parseArgs } from 'node:util';
import { printable } from '../wire/index.js';
import { conformance } from './conformance/command.js';
import { fixture } from './fixture/command.js';
import type { Output } from './io.js';
import { messageOf } from './message-of.js';
import { USAGE } from './usage.js';
import { UsageError } from './usage-error.js';
import { packageVersion } from './version.js';

/** What the command gets from the process: its outputs, the environment variables, and a signal for interruption. */
export interface Surroundings extends Output {
  readonly env: NodeJS.ProcessEnv;
  /** Aborts when the user interrupts the command. */
  readonly end: AbortSignal;
}

/** Runs the command. Resolves with the exit code: 0 for success, 1 if a case failed, 2 if the run was not possible. */
export async function interconnect(
  args: readonly string[],
  surroundings: Surroundings,
): Promise<number> {
  try {
    return await dispatch(args, surroundings);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    surroundings.error(`interconnect: ${printable(error.message, 4096)}`);
    return 2;
  }
}

async function dispatch(args: readonly string[], around: Surroundings): Promise<number> {
  // Arguments after -- belong to the command of the dialer under test.
  const dashes = args.indexOf('--');
  const own = dashes < 0 ? args : args.slice(0, dashes);
  const behind = dashes < 0 ? [] : args.slice(dashes + 1);
  const [command, ...rest] = own;
  if (own.includes('--help') || own.includes('-h') || command === 'help') {
    around.out(USAGE.trimEnd());
    return 0;
  }
  switch (command) {
    case '--version':
      around.out(await packageVersion());
      return 0;
    case 'conformance':
      return runConformance(rest, behind, around);
    case 'fixture':
      return runFixture([...rest, ...behind], around);
    case undefined:
      throw new UsageError('There is no command: give conformance or fixture, or see --help.');
    default:
      throw new UsageError(
        `"${command}" is no command: give conformance or fixture, or see --help.`,
      );
  }
}

function runConformance(
  args: string[],
  command: readonly string[],
  around: Surroundings,
): Promise<number> {
  const { values, positionals } = parsed(() =>
    parseArgs({
      args,
      allowPositionals: true,
      options: {
        listen: { type: 'string' },
        path: { type: 'string' },
        group: { type: 'string', multiple: true, default: [] },
        case: { type: 'string', multiple: true, default: [] },
        junit: { type: 'string' },
        timeout: { type: 'string' },
        patience: { type: 'string' },
        jobs: { type: 'string' },
        list: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        tls: { type: 'boolean', default: false },
      },
    }),
  );
  const { group: groups, case: cases, ...others } = values;
  return conformance({ ...others, groups, cases, positionals, command }, around);
}

function runFixture(args: string[], around: Surroundings): Promise<number> {
  const { values } = parsed(() =>
    parseArgs({
      args,
      options: {
        host: { type: 'string' },
        port: { type: 'string' },
        path: { type: 'string' },
        connect: { type: 'string' },
        delay: { type: 'string' },
      },
    }),
  );
  return fixture(values, around, around.env, around.end);
}

/** Turns an error of `parseArgs` into a UsageError with the first sentence of Node's message, which names the fault. */
function parsed<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    const why = messageOf(error);
    const [sentence = why] = why.split(/\.\s|\n/, 1);
    throw new UsageError(`${sentence.replace(/\.$/, '')}: see --help.`);
  }
}
