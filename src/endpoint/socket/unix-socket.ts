/**
 * Gives a server the file of a Unix socket, and takes the file away afterwards. At most one server owns a path at a
 * time.
 *
 * A server binds to a name of its own in the same folder, and then renames that file to the path. So the path never
 * leads to a server that does not listen yet, and Node, which removes the name that a server was bound to, never
 * removes the file of a successor. All who rename or remove hold a lock meanwhile.
 */
import { randomInt } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  lstatSync,
  openSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
} from 'node:fs';
import { connect, type Server } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { InterconnectError } from '../common/errors.js';
import { setTimeout, wallTime } from '../common/runtime.js';
import { systemCodeOf } from '../common/words.js';

/** Whether the path names a file, and not an abstract socket of Linux or a pipe of Windows: those have no owner. */
export function isFile(path: string): boolean {
  return !path.startsWith('\0') && process.platform !== 'win32';
}

/**
 * Binds `server` to `path` by `listen`, which is called with the name to bind to. `mode`: the permissions of the file.
 * The file is removed when the server closes, if it is still the server's own.
 * @throws the system's error; EADDRINUSE if another server listens there, or if the file is no socket.
 */
export async function bindFile(
  server: Server,
  path: string,
  mode: number,
  listen: (path: string) => Promise<void>,
): Promise<void> {
  const name = temporaryName(path);
  await listen(name);
  try {
    chmodSync(name, mode);
    const own = lstatSync(name);
    await withLock(path, async () => {
      if (!(await isFree(path))) throw addressInUse(path);
      renameSync(name, path);
    });
    // Before whoever waits for the end of the server goes on.
    server.prependOnceListener('close', () => removeOwn(path, own));
  } catch (error) {
    await new Promise((resolve) => server.close(resolve));
    throw error;
  }
}

/**
 * Binds by `listen` to the path itself, for a process that does not own the file. A file that a dead process left behind
 * is removed.
 */
export async function replacingStale(path: string, listen: () => Promise<void>): Promise<void> {
  try {
    await listen();
  } catch (error) {
    const isInUse = systemCodeOf(error) === 'EADDRINUSE';
    if (!isInUse || !(await isFree(path))) throw error;
    await withLock(path, async () => {
      if (await isFree(path)) rmSync(path, { force: true });
    });
    await listen();
  }
}

/** In the folder of the path, and not longer than the path if that can be. */
function temporaryName(path: string): string {
  const length = Math.min(MOST_LETTERS, Math.max(LEAST_LETTERS, basename(path).length - 1));
  const letters = Array.from({ length }, () => LETTERS[randomInt(LETTERS.length)]);
  const name = join(dirname(path), `.${letters.join('')}`);
  if (Buffer.byteLength(name) <= MAX_PATH) return name;
  throw new Error(
    `the server needs a temporary name in the folder, such as ${name}, and a socket's path has at most ${MAX_PATH} ` +
      `bytes. Choose a folder with a shorter path`,
  );
}

/** Whether nobody listens at the path: there is no file, or a process left it behind that is gone. */
async function isFree(path: string): Promise<boolean> {
  const file = lstatSync(path, { throwIfNoEntry: false });
  if (file === undefined) return true;
  if (!file.isSocket()) return false;
  return new Promise((resolve) => {
    const probe = connect({ path });
    probe.once('connect', () => {
      probe.destroy();
      resolve(false);
    });
    // Any other error says that somebody listens, or that nobody can tell.
    probe.once('error', (reason) => {
      const code = systemCodeOf(reason);
      resolve(code === 'ECONNREFUSED' || code === 'ENOENT');
    });
  });
}

/** Somebody else may have replaced the file meanwhile, or is about to: then it is theirs. */
function removeOwn(path: string, own: Stats): void {
  try {
    const lock = takeLock(path);
    if (lock === undefined) return;
    try {
      if (isSame(lstatSync(path, { throwIfNoEntry: false }), own)) rmSync(path);
    } finally {
      rmSync(lock, { force: true });
    }
  } catch {
    // The folder is gone, or is not ours to write any more: the next server finds the file to be stale.
  }
}

/** The time of the last change is that of the binding: numbers of files are used again. */
function isSame(file: Stats | undefined, own: Stats): boolean {
  return file?.ino === own.ino && file.dev === own.dev && file.mtimeMs === own.mtimeMs;
}

/** Runs `work` while no other process renames or removes the file of the path. */
async function withLock(path: string, work: () => Promise<void>): Promise<void> {
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const lock = takeLock(path);
    if (lock !== undefined) {
      try {
        return await work();
      } finally {
        rmSync(lock, { force: true });
      }
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
  }
  throw new InterconnectError(
    'IC_ERR_LISTEN',
    `another process holds ${lockOf(path)}. Remove that file if no process starts or ends at this path`,
  );
}

/** The lock's file; undefined while somebody else has it. */
function takeLock(path: string): string | undefined {
  const lock = lockOf(path);
  try {
    closeSync(openSync(lock, 'wx', 0o600));
    return lock;
  } catch (error) {
    if (systemCodeOf(error) !== 'EEXIST') throw error;
    breakStale(lock);
    return undefined;
  }
}

/** A lock is held for milliseconds: an old one was left behind by a process that was killed. */
function breakStale(lock: string): void {
  const file = statSync(lock, { throwIfNoEntry: false });
  if (file === undefined || wallTime() - file.mtimeMs < LOCK_LIFETIME) return;
  // Only one process gets the file under its new name, and removes what it has looked at.
  const name = `${lock}.${randomInt(2 ** 32).toString(36)}`;
  try {
    renameSync(lock, name);
    if (isSame(statSync(name), file)) rmSync(name);
    // It was a fresh one: somebody else was faster.
    else renameSync(name, lock);
  } catch (error) {
    if (systemCodeOf(error) !== 'ENOENT') throw error;
  }
}

function lockOf(path: string): string {
  return `${path}.lock`;
}

function addressInUse(path: string): Error {
  const message = `listen EADDRINUSE: address already in use ${path}`;
  return Object.assign(new Error(message), {
    code: 'EADDRINUSE',
    syscall: 'listen',
    address: path,
  });
}

/** What `sun_path` holds on Linux, less its final zero. */
export const MAX_PATH = 107;
const LETTERS = 'abcdefghijklmnopqrstuvwxyz0123456789';
const LEAST_LETTERS = 6;
const MOST_LETTERS = 10;
/** Milliseconds between two looks at the lock, and how many looks. */
const PAUSE = 10;
const MOST_TRIES = 1000;
/** Milliseconds. */
const LOCK_LIFETIME = 5000;
