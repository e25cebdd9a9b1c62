/**
 * Names of files. A file name is a sequence of bytes and need not be text: most names are UTF-8,
 * and some have an older encoding. A path therefore has one character for each byte (latin1), in
 * memory and on the wire. `show` turns a path into readable text.
 */

/**
 * A path below the root: `/` between the names, and one character for each byte. `''` is the root.
 */
export type RawPath = string;

/**
 * The form of the names of temporary files. They hold unfinished transfers, and are not part of a
 * tree, on either side.
 */
const TEMPORARY = /^\.interconnect-[0-9a-f]{12}-\d+\.part$/;

export function toBytes(path: RawPath): Buffer {
  return Buffer.from(path, 'latin1');
}

export function fromBytes(bytes: Buffer): RawPath {
  return bytes.toString('latin1');
}

export function child(directory: RawPath, name: RawPath): RawPath {
  return directory === '' ? name : `${directory}/${name}`;
}

/** The directory that contains a path. */
export function parent(path: RawPath): RawPath {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

/** The place of `path` on the disk. It is a buffer, because a name need not be text. */
export function locate(root: string, path: RawPath): Buffer {
  return path === '' ? Buffer.from(root) : Buffer.concat([Buffer.from(`${root}/`), toBytes(path)]);
}

/**
 * Control characters, and characters that change the direction of text. A name with them could
 * deceive the user.
 */
const TREACHEROUS = /[\p{Cc}\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/** The path as text for a terminal. Characters that could control the terminal are escaped. */
export function show(path: RawPath): string {
  const text = path === '' ? '.' : toBytes(path).toString('utf8');
  return text.replace(TREACHEROUS, (character) => {
    return `\\u{${character.codePointAt(0)!.toString(16)}}`;
  });
}

/** A name for a temporary file. The name is short, however long the name of the file is. */
export function temporaryName(run: string, serial: number): RawPath {
  return `.interconnect-${run}-${serial}.part`;
}

export function isTemporary(name: RawPath): boolean {
  return TEMPORARY.test(name);
}

/** Whether this is a temporary file of a run that was killed. */
export function isLeftover(name: RawPath, run: string): boolean {
  return isTemporary(name) && !name.startsWith(`.interconnect-${run}-`);
}
