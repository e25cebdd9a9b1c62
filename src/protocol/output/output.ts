/**
 * What waits to be written on one connection, and in which order it goes. Afterwards it is kept until the
 * other side acknowledges it, and is written again on the next socket where it did not arrive.
 *
 * Small units leave in the order in which they came. Large ones take turns, one fragment each, and only
 * after the small ones: that is what keeps a large message from holding back the others. A unit that
 * lacks credit is passed over; CREDIT wakes the output again.
 */
import {
  DEADLINE_LENGTH,
  Flag,
  FrameType,
  MIN_FRAGMENT,
  TOTAL_LENGTH,
  EMPTY,
} from '../../wire/index.js';
import { FrameHead, type FrameWriter } from './frame-writer.js';
import { Queue } from '../common/queue.js';
import { Piece, ReplayQueue } from './replay-queue.js';
import { type Unit } from './unit.js';
import { MAX_WINDOW, type SendWindow } from '../flow/windows.js';
import { RevocableQueue } from './revocable-queue.js';

export class Output {
  /** Frames that are written, and not acknowledged. */
  readonly sent = new ReplayQueue();
  readonly #small = new RevocableQueue<Unit>();
  /** Large units that have their turn. */
  #active: Unit[] = [];
  /** Large requests and items that wait until the other side can hold them whole. */
  readonly #waiting = new Queue<Unit>();
  #turn = 0;
  /** Octets of those that have begun. */
  #begun = 0;
  #maxFrame = 0;
  #maxBegun = 0;
  #isCleared = false;

  /** The other side's limits: a frame's body, and what it holds at most for its handlers. */
  setLimits(maxFrame: number, connectionBytes: number): void {
    this.#maxFrame = Math.min(maxFrame, LARGEST_FRAGMENT);
    this.#maxBegun = connectionBytes - SMALL_SHARE;
  }

  get isEmpty(): boolean {
    return this.#small.size === 0 && this.#active.length === 0 && this.#waiting.size === 0;
  }

  /** Whether frames that a lost socket took with it are still to be written again. */
  get isReplaying(): boolean {
    return this.sent.next !== undefined;
  }

  /** Whether the connection is over, and each unit that would begin something was thrown away. */
  get isCleared(): boolean {
    return this.#isCleared;
  }

  /** The units that wait to be acknowledged, then the small ones that wait to be written. */
  *units(): Iterable<Unit> {
    yield* this.sent.units();
    yield* this.#small;
  }

  /** A unit whose credit is already charged, and which fits into one frame. */
  push(unit: Unit): void {
    this.#small.push(unit);
  }

  /** A larger unit; its credit is charged as it is written. */
  pushLarge(unit: Unit): void {
    if (!unit.leavesReserve) this.#active.push(unit);
    else if (!this.#begin(unit)) this.#waiting.push(unit);
  }

  /** Revokes a small unit of which nothing is written. Its credit is for the caller to give back. */
  revoke(unit: Unit): void {
    unit.isRevoked = true;
    this.#small.onRevoked();
  }

  /** Lets go of the units that were revoked, so that they may be sent again elsewhere. */
  discardRevoked(): void {
    this.#small.discardRevoked();
  }

  /** Takes out a large unit that is not written whole. */
  remove(unit: Unit): void {
    const at = this.#active.indexOf(unit);
    if (at >= 0) this.#retire(at);
    else if (!unit.started) this.#forget(unit);
  }

  /**
   * The connection is over: what waits is thrown away. `leaving`: the frames that a lost socket took with it stay, and
   * so do the small units that begin neither a session nor a message. `flushLast` writes these.
   */
  clear(leaving: boolean): void {
    this.#isCleared = true;
    const small = this.#small.drain();
    this.#waiting.drain();
    this.#active = [];
    this.#begun = 0;
    if (leaving) for (const unit of withoutBeginnings(small)) this.#small.push(unit);
    else this.sent.clear();
  }

  /** Writes again what the socket before this one lost. False while some of it is left. [IC-17.24] */
  replay(writer: FrameWriter, room: number, now: number): boolean {
    for (let frame = this.sent.next; frame !== undefined; frame = this.sent.next) {
      if (writer.bytes >= room) return false;
      if (frame instanceof Piece) writePiece(writer, frame.unit, frame.from, frame.to, now);
      else writePiece(writer, frame, 0, frame.payload.length, now);
      this.sent.advance();
    }
    return true;
  }

  /** Writes the small units, until `room` octets are written. */
  flushSmall(writer: FrameWriter, room: number, now: number): void {
    while (writer.bytes < room && !this.sent.isFull) {
      const unit = this.#small.shift();
      if (unit === undefined) return;
      unit.onStart(now, true);
      const { payload } = unit;
      const head = headOf(unit, now);
      head.flags = unit.flags;
      head.total = 0;
      writer.frame(head, unit.meta, payload, 0, payload.length);
      unit.started = true;
      unit.written = payload.length;
      this.sent.keep(unit);
      unit.onWritten();
    }
  }

  /** Writes what is left but fragments: nothing follows. What was lost comes first, here as well. */
  flushLast(writer: FrameWriter, now: number): void {
    if (this.replay(writer, Infinity, now)) this.flushSmall(writer, Infinity, now);
  }

  /** Writes fragments in turn, until `room` octets are written or nothing has credit. [IC-9.8] */
  flushLarge(writer: FrameWriter, room: number, now: number, window: SendWindow): void {
    let passed = 0;
    while (writer.bytes < room && passed < this.#active.length && !this.sent.isFull) {
      if (this.#turn >= this.#active.length) this.#turn = 0;
      const unit = this.#active[this.#turn]!;
      if (!this.#writeFragment(writer, unit, now, window)) {
        passed++;
        this.#turn++;
        continue;
      }
      passed = 0;
      if (unit.written < unit.payload.length) {
        this.#turn++;
      } else {
        this.#retire(this.#turn);
        unit.onWritten();
        // Those that waited behind it come before the next large one of their session.
        this.flushSmall(writer, room, now);
      }
    }
  }

  #writeFragment(writer: FrameWriter, unit: Unit, now: number, window: SendWindow): boolean {
    const first = !unit.started;
    const deadline = first ? unit.remaining(now) : 0;
    // [IC-9.2]
    const meta = first ? unit.meta : EMPTY;
    const rest = unit.payload.length - unit.written;
    const room = Math.min(this.#maxFrame, roomFor(unit, window), roomFor(unit, unit.window));
    let metaLength = meta.length + (deadline > 0 ? DEADLINE_LENGTH : 0);
    // [IC-9.1]
    const more = metaLength + rest > room;
    if (more && first) metaLength += TOTAL_LENGTH;
    const piece = more ? room - metaLength : rest;
    // A fragment that is not the last must be worth its header.
    if (more && piece < MIN_FRAGMENT) return false;
    const end = unit.written + piece;
    if (first) unit.onStart(now, !more);
    writePiece(writer, unit, unit.written, end, now);
    this.sent.keep(new Piece(unit, unit.written, end));
    window.use(metaLength + piece);
    unit.window?.use(metaLength + piece);
    unit.started = true;
    // [IC-9.3]
    unit.written = end;
    return true;
  }

  #begin(unit: Unit): boolean {
    // [IC-8.6]
    if (this.#begun > 0 && this.#begun + unit.payload.length > this.#maxBegun) return false;
    this.#begun += unit.payload.length;
    this.#active.push(unit);
    return true;
  }

  #retire(at: number): void {
    const [unit] = this.#active.splice(at, 1);
    if (unit?.leavesReserve !== true) return;
    this.#begun -= unit.payload.length;
    for (let next = this.#waiting.peek(); next !== undefined; next = this.#waiting.peek()) {
      if (!this.#begin(next)) return;
      this.#waiting.shift();
    }
  }

  #forget(unit: Unit): void {
    for (const other of this.#waiting.drain()) if (other !== unit) this.#waiting.push(other);
  }
}

/** Writes one frame of a unit, as often as it is asked to: only DEADLINE is of the moment. [IC-17.23] */
function writePiece(writer: FrameWriter, unit: Unit, from: number, to: number, now: number): void {
  const { payload } = unit;
  const first = from === 0;
  const more = to < payload.length;
  const head = headOf(unit, now);
  if (!first) {
    head.type = FrameType.FRAG;
    head.deadline = 0;
  }
  head.flags = (first ? unit.flags : unit.flags & Flag.REPLY) | (more ? Flag.MORE : 0);
  head.total = first && more ? payload.length : 0;
  writer.frame(head, first ? unit.meta : EMPTY, payload, from, to);
}

/** What is left without each OPEN and each SEND. END follows its OPEN: the other side never hears of that session. */
function withoutBeginnings(units: readonly Unit[]): Unit[] {
  const unopened = new Set<number>();
  return units.filter(({ type, sessionId }) => {
    if (type === FrameType.OPEN) unopened.add(sessionId);
    // [IC-12.2]
    return type !== FrameType.SEND && !unopened.has(sessionId);
  });
}

/** The head of the unit's first frame, but for `flags` and `total`. */
function headOf(unit: Unit, now: number): FrameHead {
  HEAD.type = unit.type;
  HEAD.session = unit.sessionId;
  HEAD.id = unit.id;
  HEAD.deadline = unit.remaining(now);
  return HEAD;
}

/** One head for all frames of a thread: the writer does not keep it. */
const HEAD = new FrameHead();

function roomFor(unit: Unit, window: SendWindow | undefined): number {
  if (window === undefined) return MAX_WINDOW;
  return unit.leavesReserve ? window.requestRoom : window.room;
}

/** A larger frame would only make the others wait longer. */
const LARGEST_FRAGMENT = 64 * 1024;
/** What large requests leave of the other side's memory for small ones. */
const SMALL_SHARE = 1024 * 1024;
