/**
 * Names of files. A file name is a row of bytes, not a text: most are UTF-8, some are in the
 * encoding of another decade. So that each arrives as it is, a path has one character per byte here
 * (latin1), in memory and on the wire; `show` turns it into what a person reads.
 */

/** Below the root, with `/` between the names and one character per byte. `''` is the root. */
export type RawPath = string;

/** Names of transfers that are not finished. They are no part of a tree, on either side. */
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

/** The directory a path stands in. */
export function parent(path: RawPath): RawPath {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

/** Where `path` is on this machine's disk, in the form `node:fs` takes for names that are no text. */
export function locate(root: string, path: RawPath): Buffer {
  return path === '' ? Buffer.from(root) : Buffer.concat([Buffer.from(`${root}/`), toBytes(path)]);
}

/** Control characters, and those that change the direction of a text: a name could fool with them. */
const TREACHEROUS = /[\p{Cc}\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/** For a terminal: decoded, and with what could command the terminal spelled out. */
export function show(path: RawPath): string {
  const text = path === '' ? '.' : toBytes(path).toString('utf8');
  return text.replace(TREACHEROUS, (character) => {
    return `\\u{${character.codePointAt(0)!.toString(16)}}`;
  });
}

/** A name for content on its way. It is short, whatever the name of the file is. */
export function temporaryName(run: string, serial: number): RawPath {
  return `.interconnect-${run}-${serial}.part`;
}

export function isTemporary(name: RawPath): boolean {
  return TEMPORARY.test(name);
}

/** A temporary of a run that did not come to its end. */
export function isLeftover(name: RawPath, run: string): boolean {
  return isTemporary(name) && !name.startsWith(`.interconnect-${run}-`);
}
