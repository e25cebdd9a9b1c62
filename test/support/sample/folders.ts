/** Creates temporary folders with content, and describes the content of a folder as plain data. */
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  realpath,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const made: string[] = [];

/** The real path of a new folder. `removeFolders` removes it. */
export async function makeFolder(): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'interconnect-test-')));
  made.push(folder);
  return folder;
}

export async function removeFolders(): Promise<void> {
  for (const folder of made.splice(0)) {
    await makeWritable(folder);
    await rm(folder, { recursive: true, force: true });
  }
}

/** File contents by path. */
export async function write(folder: string, files: Record<string, string | Buffer>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  }
}

/** Creates one entry of each kind: sizes, names, modes, nesting, links. */
export async function writeVariety(folder: string): Promise<void> {
  await write(folder, {
    empty: '',
    'one byte': 'x',
    'deep/er/still/file.txt': 'here',
    'Grüße 日本語 😀\n.txt': 'a name in several scripts, with a line break',
    'big.bin': noise(3 * 1024 * 1024 + 1),
    'exactly one chunk': noise(256 * 1024),
    'read only/inside': 'i',
    'run me.sh': '#!/bin/sh\n',
  });
  await mkdir(join(folder, 'empty folder/nested'), { recursive: true });
  await writeFile(odd(folder), 'a name that is not UTF-8');
  await symlink('../big.bin', join(folder, 'deep/link'));
  await symlink('nowhere', join(folder, 'dangling'));
  await chmod(join(folder, 'run me.sh'), 0o750);
  await chmod(join(folder, 'one byte'), 0o400);
  await chmod(join(folder, 'read only'), 0o555);
  await chmod(join(folder, 'empty folder'), 0o711);
}

/** Repeatable bytes. No two chunks of them are alike. */
export function noise(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0, state = 1; i < length; i++) {
    state = (state * 48_271) % 0x7fff_ffff;
    bytes[i] = state >> 8;
  }
  return bytes;
}

/**
 * A map from each path to its type, its mode, and its content or target. Equal trees give equal maps. The root is
 * `.`.
 */
export async function snapshot(folder: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  const visit = async (place: Buffer, path: string): Promise<void> => {
    const stats = await lstat(place);
    const mode = (stats.mode & 0o7777).toString(8);
    if (stats.isSymbolicLink()) found[path] = `link to ${await readlink(place)}`;
    else if (stats.isFile())
      found[path] = `file ${mode} ${(await readFile(place)).toString('hex')}`;
    else {
      found[path] = `directory ${mode}`;
      for (const name of await readdir(place, { encoding: 'buffer' })) {
        const inside = Buffer.concat([place, Buffer.from('/'), name]);
        await visit(inside, `${path}/${name.toString('latin1')}`);
      }
    }
  };
  await visit(Buffer.from(folder), '.');
  return found;
}

function odd(folder: string): Buffer {
  const name = process.platform === 'darwin' ? Buffer.from('odd') : Buffer.from([0x6f, 0xff, 0xfe]);
  return Buffer.concat([Buffer.from(`${folder}/`), name]);
}

async function makeWritable(folder: string): Promise<void> {
  await chmod(folder, 0o700);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) await makeWritable(join(folder, entry.name));
  }
}
