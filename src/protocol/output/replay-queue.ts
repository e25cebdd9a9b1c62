/**
 * Frames that this side has written and the peer has not acknowledged, in order. If the socket is lost, the
 * frames that did not arrive are written again on the next socket, before any new frame.
 *
 * Only sequenced frames are kept. They bear no number: both sides count them. The queue keeps the unit of a frame,
 * not its octets, so that keeping a frame costs one reference.
 */
import { MAX_ID } from '../../wire/index.js';
import { MESSAGE_PRICE } from '../flow/account.js';
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
  /** A small unit is one frame: the queue holds the unit itself. */
  readonly #frames = new Queue<Unit | Piece>();
  /** How many of `#frames` have been written on the current socket. */
  #written = 0;
  #acknowledged: number;
  #octets = 0;

  /** `acknowledged`: only tests of the wrap give another value than 0. */
  constructor(acknowledged = 0) {
    this.#acknowledged = acknowledged;
  }

  /** Number of frames that the peer has acknowledged, modulo 2^31. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** Octets of memory that the kept frames take. */
  get octets(): number {
    return this.#octets;
  }

  get isEmpty(): boolean {
    return this.#frames.size === 0;
  }

  /** Whether the kept frames reach the limit of memory, so that no new frame may be written. */
  get isFull(): boolean {
    return this.#octets >= MAX_KEPT;
  }

  /** The next frame to write again; undefined = there is none. */
  get next(): Unit | Piece | undefined {
    return this.#frames.at(this.#written);
  }

  /** The unit of each kept frame. A large unit may come several times. */
  *units(): Generator<Unit> {
    for (const frame of this.#frames) yield unitOf(frame);
  }

  /** Keeps a frame that has just been written for the first time. [IC-17.9] */
  keep(frame: Unit | Piece): void {
    this.#octets += sizeOf(frame);
    this.#written += 1;
    this.#frames.push(frame);
  }

  /** The frame that `next` returned has been written again. */
  advance(): void {
    this.#written += 1;
  }

  /**
   * The peer has received `count` frames in all. Returns how many frames this newly acknowledges, or -1 if it is
   * more than were written.
   */
  acknowledge(count: number): number {
    // [IC-17.10]
    return this.#trim(count, this.#written);
  }

  /** Whether the peer can have received `count` frames in all. If so, the queue has all frames that follow. */
  reaches(count: number): boolean {
    return count <= MAX_ID && this.#newsOf(count) <= this.#frames.size;
  }

  /** A new socket carries the connection, and the peer has received `count` frames: `next` returns the others again. */
  rewind(count: number): void {
    this.#trim(count, this.#frames.size);
    this.#written = 0;
  }

  /** Lets go of the frames that are written: the connection closes, and no socket needs them again. */
  clearWritten(): void {
    for (; this.#written > 0; this.#written--) {
      const frame = this.#frames.shift();
      if (frame !== undefined) this.#octets -= sizeOf(frame);
    }
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

/** The limit of the kept octets. A peer that keeps to the rules acknowledges every 64 KiB, and never comes near it. */
const MAX_KEPT = 16 * 1024 * 1024;
/** Memory that a kept frame costs beside its octets. The unit of the frame is a message of either direction. */
const OVERHEAD = MESSAGE_PRICE;
