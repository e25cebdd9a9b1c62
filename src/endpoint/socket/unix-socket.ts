/**
 * Gives a server the file of a Unix socket, and removes the file afterwards. At most one server owns a path at a time.
 *
 * A server binds to a name of its own in the same folder, and then renames that file to the path. So the path never
 * leads to a server that does not listen yet. Node removes the name that a server was bound to, so it never removes the
 * file of a successor. Every process holds a lock while it renames or removes the file.
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

/**
 * Whether the path names a file. An abstract socket of Linux and a pipe of Windows are not files, and have no owner.
 */
export function isFile(path: string): boolean {
  return !path.startsWith('\0') && process.platform !== 'win32';
}

/**
 * Binds `server` to `path`. `listen` is called with the name to bind to. `mode`: the permissions of the file. When the
 * server closes, the file is removed, if it is still the server's own.
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
    // Runs before the other listeners for the end of the server.
    server.prependOnceListener('close', () => removeOwn(path, own));
  } catch (error) {
    await new Promise((resolve) => server.close(resolve));
    throw error;
  }
}

/**
 * Binds to the path itself by `listen`, for a process that does not own the file. Removes the file of a dead process
 * first.
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

/** Returns a name in the folder of the path. The name is not longer than the path, if possible. */
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

/** Returns true if no server listens at the path: there is no file, or a dead process left it behind. */
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
    // Any other error says that a server listens, or that this is unknown.
    probe.once('error', (reason) => {
      const code = systemCodeOf(reason);
      resolve(code === 'ECONNREFUSED' || code === 'ENOENT');
    });
  });
}

/**
 * Removes the file if it is still the server's own. Another process may have replaced the file, or be about to: then
 * the file belongs to that process.
 */
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
    // The folder is gone, or this process may not write to it: the next server finds the file to be stale.
  }
}

/** Compares the time of the last change too, which is the time of binding: the system uses file numbers again. */
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

/** Returns the lock's file; undefined while another process has the lock. */
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

/** Removes an old lock. A lock is held for milliseconds only, so an old one belongs to a killed process. */
function breakStale(lock: string): void {
  const file = statSync(lock, { throwIfNoEntry: false });
  if (file === undefined || wallTime() - file.mtimeMs < LOCK_LIFETIME) return;
  // Only one process succeeds in renaming the file, and that process removes the file that it has inspected.
  const name = `${lock}.${randomInt(2 ** 32).toString(36)}`;
  try {
    renameSync(lock, name);
    if (isSame(statSync(name), file)) rmSync(name);
    // The lock was fresh: another process was faster.
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

/** The size of `sun_path` on Linux, less its final zero. */
export const MAX_PATH = 107;
const LETTERS = 'abcdefghijklmnopqrstuvwxyz0123456789';
const LEAST_LETTERS = 6;
const MOST_LETTERS = 10;
/** Milliseconds between two attempts to take the lock, and the number of attempts. */
const PAUSE = 10;
const MOST_TRIES = 1000;
/** Milliseconds. */
const LOCK_LIFETIME = 5000;
