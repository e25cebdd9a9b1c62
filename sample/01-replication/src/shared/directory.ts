/**
 * Reads one directory of a tree. Source and replica share this code, so that both see the same:
 * sorted names, types, modes and sizes. Links are not followed, and temporary files are left out.
 */
import type { Stats } from 'node:fs';
import { lstat, readdir, readlink } from 'node:fs/promises';
import type { Entry, EntryType } from './messages.js';
import { child, fromBytes, isTemporary, locate, type RawPath } from './paths.js';
import { isSystemError } from './system-error.js';

/** The bits that `chmod` sets. The other bits of a mode say the type. */
export const PERMISSIONS = 0o7777;
const LOOKUPS_AT_ONCE = 64;

/** All names in a directory, sorted, temporaries included. */
export async function readNames(root: string, path: RawPath): Promise<RawPath[]> {
  const names = await readdir(locate(root, path), { encoding: 'buffer' });
  return names.map(fromBytes).toSorted();
}

/** The entries with these names. An entry that has vanished meanwhile is left out. */
export async function readEntries(
  root: string,
  path: RawPath,
  names: readonly RawPath[],
): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (let from = 0; from < names.length; from += LOOKUPS_AT_ONCE) {
    const batch = names.slice(from, from + LOOKUPS_AT_ONCE);
    const found = await Promise.all(batch.map((name) => readEntry(root, path, name)));
    entries.push(...found.filter((entry) => entry !== undefined));
  }
  return entries;
}

/** All entries of a directory. */
export async function readDirectory(root: string, path: RawPath): Promise<Entry[]> {
  const names = await readNames(root, path);
  return readEntries(
    root,
    path,
    names.filter((name) => !isTemporary(name)),
  );
}

export async function readEntry(
  root: string,
  directory: RawPath,
  name: RawPath,
): Promise<Entry | undefined> {
  const place = locate(root, child(directory, name));
  try {
    const stats = await lstat(place);
    const type = typeOf(stats);
    return {
      name,
      type,
      mode: stats.mode & PERMISSIONS,
      size: type === 'file' ? stats.size : 0,
      target: type === 'link' ? fromBytes(await readlink(place, { encoding: 'buffer' })) : '',
    };
  } catch (error) {
    if (isSystemError(error) && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

function typeOf(stats: Stats): EntryType {
  if (stats.isFile()) return 'file';
  if (stats.isDirectory()) return 'directory';
  return stats.isSymbolicLink() ? 'link' : 'other';
}
