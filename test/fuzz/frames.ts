/**
 * Makes frames that fit into their place in an input, without the code under test. It reads which sessions, messages
 * and fragments the earlier frames have begun. The new frame then has the next number or id, or is the next fragment.
 */
import type { Random } from '../support/random.js';
import { frameStarts, HEADER, type Part } from './input.js';

const MORE = 0x01;
const REPLY = 0x02;
const STREAM = 0x08;
const SEND = 0x20;
const FRAG = 0x21;
const ITEM = 0x22;

/** Numbers near limits. */
export const NUMBERS: readonly number[] = [
  0, 1, 2, 3, 7, 16, 64, 65, 127, 128, 255, 256, 1024, 2048, 4095, 4096, 4097, 8192, 8193, 16_383,
  16_384, 16_385, 32_768, 65_535, 65_536, 0xff_ffff, 0x100_0000, 0x3fff_ffff, 0x4000_0000,
  0x7fff_fffe, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff,
];

const SIZES: readonly number[] = [0, 1, 4, 32, 500, 513, 4095, 4096, 8192, 8193, 16_360, 20_000];
export const TYPES: readonly number[] = [
  1, 2, 3, 4, 5, 6, 7, 0x10, 0x11, 0x12, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x80, 0xff, 0x00, 0x08,
  0x13, 0x26, 0x7f,
];

/** The octets of a frame with any header. */
function frame(
  type: number,
  flags: number,
  session: number,
  id: number,
  meta: Buffer,
  payload: Buffer,
): Buffer {
  const header = Buffer.alloc(HEADER);
  header.writeUInt8(type, 0);
  header.writeUInt8(flags, 1);
  header.writeUInt16BE(meta.length & 0xffff, 2);
  header.writeUInt32BE(meta.length + payload.length, 4);
  header.writeUInt32BE(session >>> 0, 8);
  header.writeUInt32BE(id >>> 0, 12);
  return Buffer.concat([header, meta, payload]);
}

/** One field of a meta. */
export function field(tag: number, value: Buffer): Buffer {
  return Buffer.concat([Buffer.of(tag, value.length >> 8, value.length & 0xff), value]);
}

/** A field with this tag. Its value has the right form, and is mostly in range. */
export function someField(random: Random, tag: number): Buffer {
  const number = random.chance(0.5) ? random.integer(0, 100_000) : pick(random, NUMBERS);
  switch (tag) {
    case 0x01:
      return field(tag, u32(random.chance(0.8) ? random.integer(1, 60_000) : number));
    case 0x02:
    case 0x11:
      return field(tag, Buffer.concat([u32(random.chance(0.95) ? 0 : number), u32(number)]));
    case 0x03:
      return field(tag, text(random, random.chance(0.9) ? random.integer(1, 10) : 1025));
    case 0x07:
      return field(tag, random.bytes(random.integer(1, 64)));
    case 0x08:
      return field(tag, u16(random.pick([0, 0x301, 0x401, 0x501, 0x9001, 0x101, number]) ?? 0));
    case 0x09:
    case 0x16:
      return field(tag, text(random, random.integer(0, 128)));
    case 0x0a:
    case 0x12:
    case 0x13:
    case 0x1a:
      return field(tag, u32(number));
    case 0x0b: {
      const name = text(random, random.integer(1, 4));
      return field(tag, Buffer.concat([Buffer.of(name.length), name, text(random, 4)]));
    }
    case 0x10:
      return field(tag, u32(random.chance(0.8) ? 16_384 : (random.pick([65_536, number]) ?? 0)));
    case 0x14:
      return field(tag, Buffer.concat([u32(random.integer(0, 4)), u32(window(random))]));
    case 0x15:
      return field(
        tag,
        Buffer.concat([u32(random.integer(0, 9)), u32(window(random)), u32(random.integer(0, 9))]),
      );
    case 0x18:
    case 0x19:
      return field(tag, Buffer.concat([Buffer.alloc(32, number), u32(random.integer(0, 20))]));
    case 0x1c:
      return field(tag, u16(random.pick([2048, 8192, 12_288, number]) ?? 0));
    default:
      return field(tag, random.bytes(random.integer(0, 8)));
  }
}

/** HELLO (1) or WELCOME (2), as a peer may write it. */
export function greeting(random: Random, type: number): Buffer {
  const tags = [0x10, 0x14, 0x15, 0x11, 0x12, 0x1c, 0x16].filter(
    (_, at) => at < 3 || random.chance(0.3),
  );
  const meta = Buffer.concat(tags.map((tag) => someField(random, tag)));
  return frame(type, 0, 0, 0, meta, Buffer.alloc(random.integer(0, 8), 0x64));
}

/** The progress that the frames of an input have made so far, seen by their writer. */
export class Story {
  /**
   * `sessions`: the sessions that the writer has opened. `lastIds`: the last message id in each session of either
   * side.
   */
  readonly sessions: number[] = [];
  readonly lastIds = new Map<number, number>();
  /** The messages, items and settlements that are incomplete: session, id, REPLY. */
  unfinished: (readonly [session: number, id: number, reply: number])[] = [];
  /** The messages with items in answer. Their ACCEPT has STREAM. */
  readonly answered = new Set<string>();
  readonly #parity: number;
  readonly #lastId: number;

  /** `parity`: the parity of the writer's session numbers. `lastId`: the id before the first one. */
  constructor(parts: readonly Part[], parity: number, lastId: number) {
    this.#parity = parity;
    this.#lastId = lastId;
    for (const part of parts) if (part.kind === 'octets') this.#read(part.bytes);
  }

  get nextSession(): number {
    return (this.sessions.at(-1) ?? this.#parity - 2) + 2;
  }

  nextId(session: number): number {
    const last = this.lastIds.get(session) ?? this.#lastId;
    return last >= 0x7fff_ffff ? 1 : last + 1;
  }

  #read(bytes: Buffer): void {
    for (const at of frameStarts(bytes)) {
      const type = bytes[at]!;
      const flags = bytes[at + 1]!;
      const session = bytes.readUInt32BE(at + 8);
      const id = bytes.readUInt32BE(at + 12);
      if (type === 0x10) this.sessions.push(session);
      if (type === SEND) this.lastIds.set(session, id);
      if (type < SEND || type > 0x24) continue;
      const reply = flags & REPLY;
      if (type === ITEM && reply !== 0) this.answered.add(`${session}/${id}`);
      this.unfinished = this.unfinished.filter(
        ([s, i, r]) => s !== session || i !== id || r !== reply,
      );
      if ((flags & MORE) !== 0) this.unfinished.push([session, id, reply]);
    }
  }
}

/** A frame that may follow here. */
export function nextFrame(random: Random, story: Story): Buffer {
  const unit = random.pick(story.unfinished);
  if (unit !== undefined && random.chance(0.4)) return fragment(random, unit);
  const kind = random.integer(0, 99);
  if (kind < 14 || (story.sessions.length === 0 && kind < 40)) return open(random, story);
  const own = random.chance(0.75);
  // The reader's own sessions have the other parity. Their ids start low.
  const theirs = 2 * random.integer(0, 2) + (story.nextSession % 2 === 0 ? 1 : 2);
  const session = (own ? random.pick(story.sessions) : theirs) ?? theirs;
  if (kind < 46) return send(random, session, story.nextId(session));
  if (kind < 62) return settlement(random, random.chance(0.7) ? theirs : session, story);
  if (kind < 70) return message(0x25, 0, session, random.integer(1, 4));
  if (kind < 78) return item(random, session, random.integer(1, 4));
  if (kind < 86) return credit(random, random.chance(0.5) ? session : 0);
  if (kind < 90) return ending(random, session);
  if (kind < 93) return frame(0x11, 0, theirs, 0, someOf(random, [0x0b, 0x15]), NONE);
  if (kind < 96) return frame(random.pick([3, 4]) ?? 3, 0, 0, random.integer(0, 3), NONE, NONE);
  if (kind < 97) return frame(7, 0, 0, 0, someOf(random, REASON), NONE);
  if (kind < 98) return frame(6, 0, 0, 0, someOf(random, REASON), NONE);
  if (kind < 99) return frame(0x80 + random.integer(0, 127), 0, 0, 0, NONE, content(random));
  return greeting(random, random.integer(1, 2));
}

function open(random: Random, story: Story): Buffer {
  const meta = [someField(random, 0x03), someOf(random, [0x0b, 0x15])];
  if (random.chance(0.2)) meta.unshift(someField(random, 0x01));
  return frame(0x10, 0, story.nextSession, 0, Buffer.concat(meta), content(random, 32));
}

function send(random: Random, session: number, id: number): Buffer {
  const payload = content(random);
  const more = payload.length >= 4096 && random.chance(0.7) ? MORE : 0;
  const flags = random.pick([0, 0, 0, 0, 4, 8]) ?? 0;
  const meta = random.chance(0.3) ? [someField(random, 0x01)] : [];
  if (random.chance(0.2)) meta.push(total(random, payload.length, more));
  if (random.chance(0.2)) meta.push(someOf(random, [0x07, 0x0b]));
  return message(SEND, flags | more, session, id, Buffer.concat(meta), payload);
}

function settlement(random: Random, session: number, story: Story): Buffer {
  const payload = content(random);
  const more = payload.length >= 4096 && random.chance(0.7) ? MORE : 0;
  const meta = random.chance(0.2) ? [total(random, payload.length, more)] : [];
  const rejects = random.chance(0.4);
  if (rejects) meta.push(field(0x08, u16(random.pick([0x401, 0x501, 0x9001]) ?? 0x501)));
  if (random.chance(0.2)) meta.push(someField(random, 0x0b));
  const id = random.integer(1, 4);
  if (rejects) return message(0x24, REPLY | more, session, id, Buffer.concat(meta), payload);
  const isStream = random.chance(story.answered.has(`${session}/${id}`) ? 0.95 : 0.2);
  const flags = REPLY | more | (isStream ? STREAM : 0);
  return message(0x23, flags, session, id, Buffer.concat(meta), payload);
}

function item(random: Random, session: number, id: number): Buffer {
  const payload = content(random);
  const more = payload.length >= 4096 && random.chance(0.7) ? MORE : 0;
  const flags = random.pick([0, REPLY, REPLY, 0x10]) ?? 0;
  return message(ITEM, flags | more, session, id, someOf(random, [0x02, 0x0b]), payload);
}

function fragment(random: Random, [session, id, reply]: Story['unfinished'][number]): Buffer {
  const more = random.chance(0.5) ? MORE : 0;
  const size = more === 0 ? (random.pick([1, 100, 4096, 12_000]) ?? 1) : 4096;
  return message(FRAG, reply | more, session, id, NONE, Buffer.alloc(size, 0x66));
}

function credit(random: Random, session: number): Buffer {
  const count = random.chance(0.5) ? random.integer(1, 20) : pick(random, NUMBERS);
  if (session !== 0 && random.chance(0.2)) {
    return message(
      5,
      random.pick([0, REPLY]) ?? 0,
      session,
      random.integer(1, 3),
      NONE,
      u32(count),
    );
  }
  const bytes = random.chance(0.7) ? random.integer(60_000, 500_000) : pick(random, NUMBERS);
  const received = session === 0 ? random.integer(0, 12) : 0;
  return message(5, 0, session, received, NONE, Buffer.concat([u32(count), u32(bytes)]));
}

function ending(random: Random, session: number): Buffer {
  return frame(0x12, 0, session, 0, random.chance(0.6) ? NONE : someOf(random, REASON), NONE);
}

function message(
  type: number,
  flags: number,
  session: number,
  id: number,
  meta: Buffer = NONE,
  payload: Buffer = NONE,
): Buffer {
  return frame(type, flags, session, id, meta, payload);
}

function total(random: Random, size: number, more: number): Buffer {
  const octets = more === 0 ? size : size + (random.pick([1, 100, 4096, 12_000]) ?? 1);
  return field(0x02, Buffer.concat([u32(0), u32(octets)]));
}

function someOf(random: Random, tags: readonly number[]): Buffer {
  return Buffer.concat(tags.filter(() => random.chance(0.3)).map((tag) => someField(random, tag)));
}

/** A payload. Its first octet selects the reaction of the application, and the others have no meaning. */
function content(random: Random, most = Infinity): Buffer {
  const size = Math.min(most, random.pick(SIZES) ?? 0);
  const octets = Buffer.alloc(size, 0x70);
  if (size > 0) octets[0] = random.integer(0, 15);
  return octets;
}

function text(random: Random, size: number): Buffer {
  return random.chance(0.95) ? Buffer.alloc(size, 0x61) : random.bytes(size);
}

function window(random: Random): number {
  return random.chance(0.8) ? random.integer(32_768, 200_000) : pick(random, NUMBERS);
}

function u16(value: number): Buffer {
  return Buffer.of((value >> 8) & 0xff, value & 0xff);
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

function pick(random: Random, numbers: readonly number[]): number {
  return random.pick(numbers) ?? 0;
}

const REASON: readonly number[] = [0x08, 0x09, 0x0a];
const NONE = Buffer.alloc(0);
