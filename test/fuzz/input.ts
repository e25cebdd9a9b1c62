/**
 * An input of the fuzzer, and its form as text. One line of text is one input:
 *
 *     ?0102 f1494e54430d0a01 +0300…*500i 2001…(4096*61) !040100
 *
 * `?` sets the scene, which the target interprets. Octets come as chunks of a socket. With `+` they come in the same
 * chunk as the octets before. `(4096*61)` is the octet 61, 4096 times. `*500` repeats a part 500 times: with `i` each
 * time under the next message id, with `s` under the next session, and with `/` in a chunk of its own. `!` is an
 * action of the application.
 */

/** Octets of the other side. In most cases they are one frame. */
export interface Octets {
  readonly kind: 'octets';
  readonly bytes: Buffer;
  /** Whether the octets come in the same chunk as the octets before. */
  readonly joined: boolean;
  readonly times: number;
  /** The header field that each repetition increases, in each of its frames. */
  readonly climbs: 'nothing' | 'id' | 'session';
  /** Whether each repetition is a chunk of its own. */
  readonly apart: boolean;
}

export type Part = Octets | { readonly kind: 'act'; readonly bytes: Buffer };

export interface Input {
  readonly scene: Buffer;
  readonly parts: readonly Part[];
}

/** One event at a machine: a chunk arrives, or the application acts. */
export interface Event {
  readonly kind: 'chunk' | 'act';
  readonly bytes: Buffer;
}

export const HEADER = 16;

/** Octets that come once, in a chunk of their own. */
export function octets(bytes: Buffer, joined = false): Octets {
  return { kind: 'octets', bytes, joined, times: 1, climbs: 'nothing', apart: false };
}

export function act(...bytes: number[]): Part {
  return { kind: 'act', bytes: Buffer.from(bytes) };
}

/** The chunks and actions of an input, in order. */
export function* events({ parts }: Input): Generator<Event> {
  let chunk: Buffer[] = [];
  for (const part of parts) {
    const joins = part.kind === 'octets' && part.joined;
    if (!joins && chunk.length > 0) {
      const bytes = Buffer.concat(chunk);
      // Drop the parts of the chunk first: otherwise they would count as memory that the machine holds.
      chunk = [];
      yield { kind: 'chunk', bytes };
    }
    if (part.kind === 'act') {
      yield part;
      continue;
    }
    for (let time = 0; time < part.times; time++) {
      if (part.apart && chunk.length > 0) {
        const bytes = Buffer.concat(chunk);
        chunk = [];
        yield { kind: 'chunk', bytes };
      }
      chunk.push(time === 0 || part.climbs === 'nothing' ? part.bytes : climbed(part, time));
    }
  }
  if (chunk.length > 0) yield { kind: 'chunk', bytes: Buffer.concat(chunk) };
}

/** The number of octets of an input, and the most frames that it can have. */
export function sizeOf({ parts }: Input): { readonly octets: number; readonly frames: number } {
  let size = 0;
  let count = 0;
  for (const part of parts) {
    if (part.kind === 'act') continue;
    size += part.bytes.length * part.times;
    count += part.times;
  }
  return { octets: size, frames: count };
}

/** The places where frames start, as long as the octets can be read as frames. */
export function* frameStarts(bytes: Buffer): Generator<number> {
  for (let at = 0; at + HEADER <= bytes.length;) {
    yield at;
    at += HEADER + bytes.readUInt32BE(at + 4);
  }
}

function climbed({ bytes, climbs }: Octets, time: number): Buffer {
  const copy = Buffer.from(bytes);
  const [field, step] = climbs === 'id' ? [12, time] : [8, 2 * time];
  for (const at of frameStarts(copy)) {
    copy.writeUInt32BE((copy.readUInt32BE(at + field) + step) >>> 0, at + field);
  }
  return copy;
}

/** The text of an input. */
export function inputToText({ scene, parts }: Input): string {
  const words = parts.map((part) => {
    if (part.kind === 'act') return `!${part.bytes.toString('hex')}`;
    const { bytes, joined, times, climbs, apart } = part;
    const repeat = times === 1 ? '' : `*${times}${climb(climbs)}${apart ? '/' : ''}`;
    return `${joined ? '+' : ''}${hexOf(bytes) || '-'}${repeat}`;
  });
  return [`?${scene.toString('hex')}`, ...words].join(' ');
}

/** @throws Error if the text is no input */
export function inputFromText(text: string): Input {
  const [scene = '', ...words] = text.trim().split(/\s+/);
  if (!scene.startsWith('?')) throw new Error(`An input starts with "?": ${text.slice(0, 40)}`);
  return { scene: bytesOf(scene.slice(1)), parts: words.map(partFromText) };
}

function partFromText(word: string): Part {
  if (word.startsWith('!')) return { kind: 'act', bytes: bytesOf(word.slice(1)) };
  const match = /^(\+?)((?:[0-9a-f]|\(\d+\*[0-9a-f]{2}\))+|-)(?:\*(\d+)([is]?)(\/?))?$/.exec(word);
  if (match === null) throw new Error(`Not a part of an input: ${word.slice(0, 40)}`);
  const [, joined, hex = '', times = '1', climbs, apart] = match;
  return {
    kind: 'octets',
    bytes: hex === '-' ? Buffer.alloc(0) : bytesOf(hex),
    joined: joined === '+',
    times: Number(times),
    climbs: climbs === 'i' ? 'id' : climbs === 's' ? 'session' : 'nothing',
    apart: apart === '/',
  };
}

function climb(climbs: Octets['climbs']): string {
  if (climbs === 'nothing') return '';
  return climbs === 'id' ? 'i' : 's';
}

/** Hex digits. A long run of one octet has a short form. */
function hexOf(bytes: Buffer): string {
  let text = '';
  for (let at = 0; at < bytes.length;) {
    const octet = bytes[at]!;
    let end = at + 1;
    while (end < bytes.length && bytes[end] === octet) end += 1;
    const hex = bytes.toString('hex', at, at + 1);
    text += end - at > 8 ? `(${end - at}*${hex})` : hex.repeat(end - at);
    at = end;
  }
  return text;
}

function bytesOf(text: string): Buffer {
  const runs = text.match(/\(\d+\*[0-9a-f]{2}\)|[0-9a-f]{2}/g) ?? [];
  if (runs.join('') !== text) throw new Error(`Not hex: ${text.slice(0, 40)}`);
  return Buffer.concat(
    runs.map((run) => {
      const [, count, octet] = /^\((\d+)\*(..)\)$/.exec(run) ?? [];
      return count === undefined
        ? Buffer.from(run, 'hex')
        : Buffer.alloc(Number(count), Buffer.from(octet!, 'hex'));
    }),
  );
}
