/**
 * Makes new inputs from old ones. Most changes know the form of a frame, so that the changed frames pass the first
 * checks. Some changes do not.
 */
import type { Random } from '../support/random.js';
import { field, nextFrame, NUMBERS, someField, Story, TYPES, u32 } from './frames.js';
import { HEADER, type Input, type Octets, octets, type Part, sizeOf } from './input.js';

export interface MutatorOptions {
  /** The parity of the session numbers of the octets' sender. */
  readonly parity: number;
  readonly hasActs: boolean;
  /** Whether thousands of equal frames are worth their time. */
  readonly hasFloods: boolean;
  /** The id before the id of the first message, in this scene. */
  readonly lastId: (scene: Buffer) => number;
}

/** An input that is being changed. */
interface Draft {
  scene: Buffer;
  parts: Part[];
}

const MOST_PARTS = 60;
const MOST_OCTETS = 400_000;
const MOST_FRAMES = 12_000;
const A_FLOOD = 1000;
const A_FEW = 40;
const ACT_LENGTH = 3;

export class Mutator {
  readonly #random: Random;
  readonly #options: MutatorOptions;
  readonly #changes: readonly (readonly [weight: number, change: (draft: Draft) => void])[];
  readonly #weight: number;

  constructor(random: Random, options: MutatorOptions) {
    this.#random = random;
    this.#options = options;
    this.#changes = [
      [30, (draft) => this.#insertFrame(draft)],
      [6, (draft) => this.#removePart(draft)],
      [5, (draft) => this.#duplicatePart(draft)],
      [4, (draft) => this.#movePart(draft)],
      [8, (draft) => this.#onOctets(draft, (bytes) => this.#changeHeader(bytes))],
      [8, (draft) => this.#onOctets(draft, (bytes) => this.#changeMeta(bytes))],
      [6, (draft) => this.#onOctets(draft, (bytes) => this.#changePayload(bytes))],
      [5, (draft) => this.#onOctets(draft, (bytes) => this.#changeOctets(bytes))],
      [5, (draft) => this.#cut(draft)],
      [4, (draft) => this.#join(draft)],
      [3, (draft) => this.#renumber(draft)],
      [1, (draft) => this.#repeat(draft)],
      [1, (draft) => this.#merge(draft)],
      [2, (draft) => this.#changeScene(draft)],
      [options.hasActs ? 30 : 0, (draft) => this.#changeActs(draft)],
    ];
    this.#weight = this.#changes.reduce((sum, [weight]) => sum + weight, 0);
  }

  /** Changes `input` once or several times. Some inputs are crossed with `other`. */
  mutate(input: Input, other: Input): Input {
    const random = this.#random;
    const draft: Draft = { scene: input.scene, parts: [...input.parts] };
    if (random.chance(0.08)) {
      const from = random.integer(0, other.parts.length);
      draft.parts.splice(random.integer(0, draft.parts.length), Infinity);
      draft.parts.push(...other.parts.slice(from));
      if (random.chance(0.5)) this.#renumber(draft);
    }
    // A flood takes as long as a hundred other inputs, so inputs made from a flood are mostly none.
    if (sizeOf(draft).frames > A_FLOOD && random.chance(0.95))
      draft.parts = draft.parts.map(calmed);
    do this.#change(draft);
    while (random.chance(0.6));
    draft.parts.splice(MOST_PARTS);
    const { octets: size, frames } = sizeOf(draft);
    return size > MOST_OCTETS || frames > MOST_FRAMES ? input : draft;
  }

  /**
   * `input`, with one part repeated very often at its end. In most cases it is the last part, because that part was
   * new.
   */
  flood({ scene, parts }: Input): Input {
    const random = this.#random;
    const last = parts.findLastIndex(({ kind }) => kind === 'octets');
    const at = random.chance(0.8) ? last : this.#place(parts);
    const part = parts[at];
    if (part?.kind !== 'octets') return { scene, parts };
    const most = Math.ceil(MOST_OCTETS / 2 / Math.max(1, part.bytes.length));
    const many = this.#times(part, Math.min(random.integer(3000, 10_000), most));
    return { scene, parts: [...parts.slice(0, at), many] };
  }

  #change(draft: Draft): void {
    let at = this.#random.next() * this.#weight;
    for (const [weight, change] of this.#changes) {
      at -= weight;
      if (at < 0) return change(draft);
    }
  }

  #insertFrame(draft: Draft): void {
    const random = this.#random;
    const { parts } = draft;
    const at = random.chance(0.7) ? parts.length : random.integer(0, parts.length);
    const story = this.#story(draft, at);
    parts.splice(at, 0, octets(nextFrame(random, story), random.chance(0.2)));
    if (at < parts.length - 1 && random.chance(0.7)) this.#renumber(draft);
  }

  #removePart({ parts }: Draft): void {
    if (parts.length > 0) parts.splice(this.#place(parts), this.#random.chance(0.8) ? 1 : 4);
  }

  #duplicatePart({ parts }: Draft): void {
    const part = this.#random.pick(parts);
    if (part !== undefined) parts.splice(this.#place(parts), 0, part);
  }

  #movePart({ parts }: Draft): void {
    const [part] = parts.splice(this.#place(parts), 1);
    if (part !== undefined) parts.splice(this.#random.integer(0, parts.length), 0, part);
  }

  /** Changes the octets of some part. */
  #onOctets({ parts }: Draft, change: (bytes: Buffer) => Buffer): void {
    const at = this.#place(parts);
    const part = parts[at];
    if (part?.kind === 'octets') parts[at] = { ...part, bytes: change(Buffer.from(part.bytes)) };
  }

  #changeHeader(bytes: Buffer): Buffer {
    if (bytes.length < HEADER) return bytes;
    const random = this.#random;
    const number = random.pick(NUMBERS) ?? 0;
    switch (random.integer(0, 9)) {
      case 0:
        bytes.writeUInt8(random.pick(TYPES) ?? 0, 0);
        break;
      case 1:
        bytes.writeUInt8(bytes[1]! ^ (1 << random.integer(0, 7)), 1);
        break;
      case 2:
        bytes.writeUInt8(random.integer(0, 31), 1);
        break;
      case 3:
        bytes.writeUInt16BE((bytes.readUInt16BE(2) + random.integer(-3, 3)) & 0xffff, 2);
        break;
      case 4:
        bytes.writeUInt16BE(number & 0xffff, 2);
        break;
      case 5:
        bytes.writeUInt32BE((bytes.readUInt32BE(4) + random.integer(-2, 2)) >>> 0, 4);
        break;
      case 6:
        bytes.writeUInt32BE(number, 4);
        break;
      case 7:
        bytes.writeUInt32BE(number, random.pick([8, 12]) ?? 8);
        break;
      default: {
        const at = random.pick([8, 12]) ?? 8;
        bytes.writeUInt32BE((bytes.readUInt32BE(at) + random.integer(-2, 2)) >>> 0, at);
      }
    }
    return bytes;
  }

  /** Removes, adds, doubles, swaps or breaks fields. In most cases, the lengths stay right. */
  #changeMeta(bytes: Buffer): Buffer {
    if (bytes.length < HEADER) return bytes;
    const random = this.#random;
    const end = Math.min(bytes.length, HEADER + bytes.readUInt16BE(2));
    const fields: Buffer[] = [];
    for (let at = HEADER; at < end;) {
      const next = at + 3 <= end ? Math.min(end, at + 3 + bytes.readUInt16BE(at + 1)) : end;
      fields.push(bytes.subarray(at, next));
      at = next;
    }
    const at = random.integer(0, Math.max(0, fields.length - 1));
    const chosen = fields[at];
    const tag = random.chance(0.9) ? random.integer(1, 0x1d) : random.integer(0, 255);
    switch (random.integer(0, 8)) {
      case 0:
        fields.splice(at, 1);
        break;
      case 1:
        if (chosen !== undefined) fields.splice(random.integer(0, fields.length), 0, chosen);
        break;
      case 2:
        if (chosen !== undefined) fields.splice(at, 1, this.#changeOctets(Buffer.from(chosen)));
        break;
      case 3:
        if (chosen !== undefined) fields.splice(at, 1, someField(random, chosen[0] ?? tag));
        break;
      case 4:
        if (chosen !== undefined) fields.splice(at, 1, this.#resized(chosen));
        break;
      case 5:
        fields.splice(random.integer(0, fields.length), 0, field(0x80 + tag, random.bytes(4)));
        break;
      case 6:
        fields.push(...Array.from({ length: 33 }, () => someField(random, 0x0b)));
        break;
      default:
        fields.splice(random.integer(0, fields.length), 0, someField(random, tag));
    }
    return this.#assemble(bytes, Buffer.concat(fields), bytes.subarray(end));
  }

  /** A field whose value is a little longer or shorter, or has a length near a limit. */
  #resized(chosen: Buffer): Buffer {
    const random = this.#random;
    const value = chosen.subarray(3);
    const size = random.chance(0.6)
      ? Math.max(0, value.length + (random.pick([-1, 1]) ?? 1))
      : (random.pick(NUMBERS) ?? 0) % 2050;
    const longer = Buffer.concat([value, Buffer.alloc(size, 0x61)]);
    return field(chosen[0] ?? 0, longer.subarray(0, size));
  }

  #changePayload(bytes: Buffer): Buffer {
    if (bytes.length < HEADER) return bytes;
    const random = this.#random;
    const metaEnd = Math.min(bytes.length, HEADER + bytes.readUInt16BE(2));
    const meta = bytes.subarray(HEADER, metaEnd);
    let payload = bytes.subarray(metaEnd);
    if (payload.length >= 4 && random.chance(0.3)) {
      // Mostly for CREDIT: change a number by a little.
      const at = 4 * random.integer(0, Math.min(1, (payload.length >> 2) - 1));
      const old = payload.readUInt32BE(at);
      const near = old + random.integer(-3, 3) * (random.pick([1, 1000, 16_384]) ?? 1);
      u32(random.chance(0.6) ? near : (random.pick(NUMBERS) ?? 0)).copy(payload, at);
    } else if (payload.length > 0 && random.chance(0.3)) {
      payload[0] = random.integer(0, 15);
    } else {
      const size = random.chance(0.5)
        ? Math.max(0, payload.length + random.integer(-4, 4))
        : Math.min(random.pick(NUMBERS) ?? 0, 70_000);
      payload = Buffer.concat([payload, Buffer.alloc(size, 0x78)]).subarray(0, size);
    }
    return this.#assemble(bytes, meta, payload);
  }

  #changeOctets(bytes: Buffer): Buffer {
    const random = this.#random;
    const at = random.integer(0, Math.max(0, Math.min(bytes.length, 80) - 1));
    const before = bytes.subarray(0, at);
    switch (random.integer(0, 5)) {
      case 0:
        if (at < bytes.length) bytes[at]! ^= 1 << random.integer(0, 7);
        return bytes;
      case 1:
        if (at < bytes.length) bytes[at] = random.pick([0, 1, 0x7f, 0x80, 0xff]) ?? 0;
        return bytes;
      case 2:
        return Buffer.concat([before, random.bytes(random.integer(1, 4)), bytes.subarray(at)]);
      case 3:
        return Buffer.concat([before, bytes.subarray(at + random.integer(1, 4))]);
      case 4:
        return Buffer.from(before);
      default:
        if (at < bytes.length) bytes[at] = random.integer(0, 255);
        return bytes;
    }
  }

  /** Splits a part into two chunks, at any octet. */
  #cut({ parts }: Draft): void {
    const at = this.#place(parts);
    const part = parts[at];
    if (part?.kind !== 'octets' || part.bytes.length < 2 || part.times > 1) return;
    const near = Math.min(part.bytes.length - 1, 40);
    const cut = this.#random.integer(1, this.#random.chance(0.7) ? near : part.bytes.length - 1);
    const first = { ...part, bytes: part.bytes.subarray(0, cut) };
    parts.splice(at, 1, first, octets(part.bytes.subarray(cut)));
  }

  /** Moves a part into the chunk of the part before, or out of that chunk. */
  #join({ parts }: Draft): void {
    const at = this.#place(parts);
    const part = parts[at];
    if (part?.kind === 'octets') parts[at] = { ...part, joined: !part.joined };
  }

  /** Merges two parts into one, so that they may be repeated together. */
  #merge({ parts }: Draft): void {
    const at = this.#place(parts);
    const [one, other] = [parts[at], parts[at + 1]];
    if (one?.kind !== 'octets' || other?.kind !== 'octets') return;
    parts.splice(at, 2, { ...one, bytes: Buffer.concat([one.bytes, other.bytes]) });
  }

  #repeat({ parts }: Draft): void {
    const at = this.#place(parts);
    const part = parts[at];
    if (part?.kind === 'octets') parts[at] = this.#times(part, this.#random.integer(1, A_FEW));
  }

  #times(part: Octets, times: number): Octets {
    const { bytes, joined } = part;
    const random = this.#random;
    const climbs = random.pick(['nothing', 'nothing', 'id', 'session'] as const) ?? 'nothing';
    return { kind: 'octets', bytes, joined, times, climbs, apart: random.chance(0.5) };
  }

  #changeScene(draft: Draft): void {
    if (draft.scene.length === 0) return;
    draft.scene = Buffer.from(draft.scene);
    draft.scene[this.#random.integer(0, draft.scene.length - 1)] = this.#random.integer(0, 255);
  }

  #changeActs({ parts }: Draft): void {
    const random = this.#random;
    const at = this.#place(parts);
    const part = parts[at];
    const bytes = random.bytes(ACT_LENGTH);
    if (part?.kind === 'act' && random.chance(0.5)) {
      const changed = Buffer.from(part.bytes);
      changed[random.integer(0, Math.max(0, changed.length - 1))] = random.integer(0, 255);
      parts[at] = { ...part, bytes: changed };
    } else {
      parts.splice(random.integer(0, parts.length), 0, { kind: 'act', bytes });
    }
  }

  /** Gives each OPEN and SEND the number that fits its place. */
  #renumber(draft: Draft): void {
    for (const [at, part] of draft.parts.entries()) {
      if (part.kind !== 'octets' || part.bytes.length < HEADER || part.times > 1) continue;
      const type = part.bytes[0];
      if (type !== 0x10 && type !== 0x20) continue;
      const story = this.#story(draft, at);
      const bytes = Buffer.from(part.bytes);
      const session = bytes.readUInt32BE(8);
      if (type === 0x10) bytes.writeUInt32BE(story.nextSession >>> 0, 8);
      else bytes.writeUInt32BE(story.nextId(session), 12);
      draft.parts[at] = { ...part, bytes };
    }
  }

  #story({ scene, parts }: Draft, end: number): Story {
    return new Story(parts.slice(0, end), this.#options.parity, this.#options.lastId(scene));
  }

  #assemble(bytes: Buffer, meta: Buffer, payload: Buffer): Buffer {
    const assembled = Buffer.concat([bytes.subarray(0, HEADER), meta, payload]);
    if (this.#random.chance(0.05)) return assembled;
    assembled.writeUInt16BE(meta.length & 0xffff, 2);
    assembled.writeUInt32BE(meta.length + payload.length, 4);
    return assembled;
  }

  #place(parts: readonly Part[]): number {
    return this.#random.integer(0, Math.max(0, parts.length - 1));
  }
}

function calmed(part: Part): Part {
  return part.kind === 'act' ? part : { ...part, times: Math.min(part.times, A_FEW) };
}
