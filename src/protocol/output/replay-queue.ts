/**
 * Frames that this side has written and the other side has not acknowledged, in order. When the socket is
 * lost, what of them did not arrive is written again on the next one, before anything new.
 *
 * Only sequenced frames are kept, and neither side numbers them: both count. A frame is kept as the unit it
 * came from, not as octets, so that keeping costs a reference.
 */
import { MAX_ID } from '../../wire/index.js';
import { Queue } from '../common/queue.js';
import type { Unit } from './unit.js';

/** One frame of a large unit: its payload from `from` to `to`. */
export class Piece {
  readonly unit: Unit;
  readonly from: number;
  readonly to: number;

  constructor(unit: Unit, from: number, to: number) {
    this.unit = unit;
    this.from = from;
    this.to = to;
  }
}

export class ReplayQueue {
  /** A small unit is one frame, and stands for it itself. */
  readonly #frames = new Queue<Unit | Piece>();
  /** How many of them have been written on the socket of now. */
  #written = 0;
  #acknowledged: number;
  #octets = 0;

  /** `acknowledged`: 0 but in tests of the wrap. */
  constructor(acknowledged = 0) {
    this.#acknowledged = acknowledged;
  }

  /** Frames that the other side has acknowledged, modulo 2^31. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  get isEmpty(): boolean {
    return this.#frames.size === 0;
  }

  /** Whether so much is kept that nothing new may be written. */
  get isFull(): boolean {
    return this.#octets >= MAX_KEPT;
  }

  /** A frame that waits to be written again. */
  get next(): Unit | Piece | undefined {
    return this.#frames.at(this.#written);
  }

  /** Units of which a frame is kept; one may come several times. */
  *units(): Generator<Unit> {
    for (const frame of this.#frames) yield unitOf(frame);
  }

  /** Keeps a frame that has just been written for the first time. [IC-17.9] */
  keep(frame: Unit | Piece): void {
    this.#octets += sizeOf(frame);
    this.#written += 1;
    this.#frames.push(frame);
  }

  /** The frame that `next` gave is written again. */
  advance(): void {
    this.#written += 1;
  }

  /**
   * The other side has so many frames in all. How many of them are news; -1 where that is more than what
   * was written.
   */
  acknowledge(count: number): number {
    // [IC-17.10]
    return this.#trim(count, this.#written);
  }

  /** Whether the other side can have received `count` frames in all, so that the rest can be replayed. */
  reaches(count: number): boolean {
    return count <= MAX_ID && this.#newsOf(count) <= this.#frames.size;
  }

  /** A new socket, on which the other side has `count` frames: the others are to be written again. */
  rewind(count: number): void {
    this.#trim(count, this.#frames.size);
    this.#written = 0;
  }

  clear(): void {
    this.#frames.drain();
    this.#written = this.#octets = 0;
  }

  #newsOf(count: number): number {
    return (count - this.#acknowledged) & MAX_ID;
  }

  #trim(count: number, most: number): number {
    const news = this.#newsOf(count);
    if (news > most) return -1;
    for (let left = news; left > 0; left--) {
      const frame = this.#frames.shift();
      if (frame === undefined) break;
      this.#octets -= sizeOf(frame);
      if (!(frame instanceof Piece)) frame.onAcknowledged();
      else if (frame.to === frame.unit.payload.length) frame.unit.onAcknowledged();
    }
    this.#written = Math.max(0, this.#written - news);
    this.#acknowledged = count;
    return news;
  }
}

function unitOf(frame: Unit | Piece): Unit {
  return frame instanceof Piece ? frame.unit : frame;
}

function sizeOf(frame: Unit | Piece): number {
  return frame instanceof Piece
    ? frame.to - frame.from + OVERHEAD
    : frame.payload.length + frame.meta.length + OVERHEAD;
}

/** Octets kept for a peer that acknowledges nothing; an honest one does so every 64 KiB. */
const MAX_KEPT = 16 * 1024 * 1024;
/** What a kept frame costs beside its octets, so that small ones are bounded as well. */
const OVERHEAD = 256;
