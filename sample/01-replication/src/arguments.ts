/**
 * Reads and checks the command line. Each error is one sentence that says what is wrong and what to
 * do.
 */
import { access, constants, mkdtemp, realpath, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { parseArgs, types } from 'node:util';
import { describeSystemError, isSystemError, UserError } from './shared/system-error.js';

export const USAGE = `Replicates a folder to another one, through a replica in a process of its own.

  npm start                                       node_modules/@nestjs to a temporary folder
  npm start -- FOLDER TARGET [--port N] [--delete]

  --port N   the replica listens on this port (default: any free one)
  --delete   remove from TARGET what FOLDER does not have
`;

const HINT = 'use FOLDER TARGET [--port N] [--delete].';

export interface Arguments {
  /** Real path of the folder to replicate. */
  readonly folder: string;
  /** Absolute path of the folder to write to. */
  readonly target: string;
  /** Whether the target was made for this run. Such a target is removed at the end. */
  readonly isTemporary: boolean;
  readonly port: number;
  readonly deleteExtraneous: boolean;
}

/**
 * `here`: the folder that relative paths start from. Resolves with undefined if the user asked for
 * help.
 */
export async function readArguments(argv: string[], here: string): Promise<Arguments | undefined> {
  const { values, positionals } = parse(argv);
  if (values.help) return undefined;
  if (positionals.length === 1) {
    throw new UserError(`There is no target for ${positionals[0]}: ${HINT}`);
  }
  if (positionals.length > 2) {
    throw new UserError(`"${positionals.slice(2).join(' ')}" is one folder too many: ${HINT}`);
  }
  if (positionals.includes('')) throw new UserError(`A folder has an empty name: ${HINT}`);
  const [from = 'node_modules/@nestjs', to] = positionals;
  const port = parsePort(values.port);
  const folder = await findFolder(resolve(here, from));
  const target = to === undefined ? await makeTemporary() : resolve(here, to);
  await checkApart(folder, target);
  const isTemporary = to === undefined;
  return { folder, target, isTemporary, port, deleteExtraneous: values.delete };
}

function parse(argv: string[]) {
  try {
    return parseArgs({
      args: argv,
      allowPositionals: true,
      options: {
        port: { type: 'string', default: '0' },
        delete: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (error) {
    const why = types.isNativeError(error) ? error.message : String(error);
    throw new UserError(`${why.split(/\.\s|\n/, 1)[0] ?? why}: ${HINT}`);
  }
}

function parsePort(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text);
  throw new UserError(`"${text}" is not a port: give a number from 0 (any free port) to 65535.`);
}

async function findFolder(named: string): Promise<string> {
  try {
    const stats = await stat(named);
    if (!stats.isDirectory()) {
      throw new UserError(`${named} is a file, not a folder: give the folder that contains it.`);
    }
    await access(named, constants.R_OK | constants.X_OK);
    return await realpath(named);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    if (error.code === 'ENOENT') {
      throw new UserError(`There is no folder ${named}: give a folder that exists.`);
    }
    const why = describeSystemError(error);
    throw new UserError(
      `The folder ${named} cannot be read (${why}): give a folder that you may read.`,
    );
  }
}

async function makeTemporary(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'interconnect-replica-'));
}

/**
 * Refuses a folder inside the other one: the run would replicate the replica, or write into the
 * source.
 */
async function checkApart(folder: string, target: string): Promise<void> {
  const real = await realpathOfWhatExists(target);
  if (real === folder) {
    throw new UserError(`The target ${target} is the folder itself: give another folder.`);
  }
  if (isWithin(folder, real)) {
    throw new UserError(`The target ${target} is inside ${folder}: give a target outside of it.`);
  }
  if (isWithin(real, folder)) {
    throw new UserError(
      `${folder} is inside the target ${target}: give a target that does not contain it.`,
    );
  }
}

function isWithin(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way !== '..' && !way.startsWith(`..${sep}`);
}

/**
 * The real path of a target that need not exist yet. Links among its existing parents are resolved.
 */
async function realpathOfWhatExists(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (!isSystemError(error) || dirname(path) === path) throw error;
    return join(await realpathOfWhatExists(dirname(path)), basename(path));
  }
}
