/**
 * The output of one connection: the units that wait to be written, and their order. A written frame is kept until the peer
 * acknowledges it. If it did not arrive, it is written again on the next socket.
 *
 * Small units leave in the order in which they came. Large units follow the small ones, and take turns, one
 * fragment each: so a large message does not hold back the others. The output passes over a large unit that lacks
 * credit. CREDIT wakes the output again.
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

/** A sender that is told when the output has room. */
interface HeldBackSender {
  /** Sends everything that has credit. */
  pump(): void;
}

export class Output {
  /** Frames that are written and not acknowledged. */
  readonly sent = new ReplayQueue();
  readonly #small = new RevocableQueue<Unit>();
  /** Large units that take turns. */
  #active: Unit[] = [];
  #turn = 0;
  /** The large requests and items. They hold the byte credit of the connection until they are settled or read. */
  readonly #requests = new Lot();
  /** The large settlements. The peer holds them beside its byte credit, until they are whole. */
  readonly #settlements = new Lot();
  #maxFrame = 0;
  /** Limit of the octets that have begun in each lot. A single larger unit may still begin alone. */
  #maxBegun = 0;
  #isCleared = false;
  /** The sum of the prices of the units in `#small`; see `priceOf`. */
  #unwritten = 0;
  /** The senders of sessions that wait until the output has room. */
  readonly #heldBack = new Set<HeldBackSender>();

  /** Sets the peer's limits: the largest body of a frame, and the octets that the peer holds for its handlers. */
  setLimits(maxFrame: number, connectionBytes: number): void {
    this.#maxFrame = Math.min(maxFrame, LARGEST_FRAGMENT);
    this.#maxBegun = connectionBytes - SMALL_SHARE;
  }

  get isEmpty(): boolean {
    return this.#small.size === 0 && this.#active.length === 0 && !this.#isWaiting;
  }

  /** Whether frames that were lost with a socket are still to be written again. */
  get isReplaying(): boolean {
    return this.sent.next !== undefined;
  }

  /** Whether the connection is over, and the units that would begin a session or a message were dropped. */
  get isCleared(): boolean {
    return this.#isCleared;
  }

  /** The units that wait to be acknowledged, and then the small units that wait to be written. */
  *units(): Iterable<Unit> {
    yield* this.sent.units();
    yield* this.#small;
  }

  /**
   * Whether another small request or item may be pushed. If not, it waits outside, whatever credit the peer gives, and
   * `sender.pump` is called later. Other units do not wait: the peer's own messages and sessions bound them.
   */
  admits(sender: HeldBackSender): boolean {
    if (this.#unwritten < MOST_UNWRITTEN) return true;
    this.#heldBack.add(sender);
    return false;
  }

  /** If the output has room again, calls `pump` of the senders that were held back, in turn. */
  letGoOn(): void {
    if (this.#heldBack.size === 0 || this.#unwritten > ROOM_AGAIN) return;
    // A sender that fills the output comes back to the end of the set: the others go on before it next time.
    for (const sender of this.#heldBack) {
      if (this.#unwritten >= MOST_UNWRITTEN) return;
      this.#heldBack.delete(sender);
      sender.pump();
    }
  }

  /** The session of this sender is over. */
  forget(sender: HeldBackSender): void {
    this.#heldBack.delete(sender);
  }

  /** Takes a unit whose credit is charged, and which fits into one frame. */
  push(unit: Unit): void {
    this.#unwritten += priceOf(unit);
    this.#small.push(unit);
  }

  /** Takes a larger unit. The output charges the credit of each fragment when it writes the fragment. */
  pushLarge(unit: Unit): void {
    const lot = this.#lotOf(unit);
    if (!this.#begin(unit, lot)) lot.waiting.push(unit);
  }

  /** Revokes a small unit of which nothing is written. The caller gives its credit back. */
  revoke(unit: Unit): void {
    unit.isRevoked = true;
    this.#unwritten -= priceOf(unit);
    this.#small.onRevoked();
  }

  /** Drops the revoked units, so that another connection may send them. */
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
   * The connection is over: drops all waiting units. `leaving`: keeps the frames that were lost with a socket, and the
   * small units that begin neither a session nor a message. `flushLast` writes these.
   */
  clear(leaving: boolean): void {
    this.#isCleared = true;
    const small = this.#small.drain();
    this.#requests.clear();
    this.#settlements.clear();
    this.#active = [];
    this.#unwritten = 0;
    this.#heldBack.clear();
    if (leaving) {
      this.sent.clearWritten();
      for (const unit of withoutBeginnings(small)) this.push(unit);
    } else {
      this.sent.clear();
    }
  }

  /** Writes again the frames that the former socket lost. Returns false while some of them are left. [IC-17.26] */
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
      this.#unwritten -= priceOf(unit);
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

  /** Writes the last frames before CLOSE: first the frames that were lost with a socket, then the small units. */
  flushLast(writer: FrameWriter, now: number): void {
    this.replay(writer, Infinity, now);
    this.sent.clear();
    while (this.#small.size > 0) {
      this.flushSmall(writer, Infinity, now);
      // No socket comes after this one: a full replay queue must not hold the rest back.
      this.sent.clear();
    }
  }

  /** Writes fragments in turn, until `room` octets are written or no unit has credit. [IC-9.8] */
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
        // Small messages that waited behind this unit leave before the next large one of their session.
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
    // A fragment that is not the last must be large enough to be worth its header.
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

  #lotOf(unit: Unit): Lot {
    return unit.leavesReserve ? this.#requests : this.#settlements;
  }

  get #isWaiting(): boolean {
    return this.#requests.waiting.size + this.#settlements.waiting.size > 0;
  }

  #begin(unit: Unit, lot: Lot): boolean {
    // [IC-8.6]
    if (lot.begun > 0 && lot.begun + unit.payload.length > this.#maxBegun) return false;
    lot.begun += unit.payload.length;
    this.#active.push(unit);
    return true;
  }

  #retire(at: number): void {
    const [unit] = this.#active.splice(at, 1);
    if (unit === undefined) return;
    const lot = this.#lotOf(unit);
    lot.begun -= unit.payload.length;
    for (let next = lot.waiting.peek(); next !== undefined; next = lot.waiting.peek()) {
      if (!this.#begin(next, lot)) return;
      lot.waiting.shift();
    }
  }

  #forget(unit: Unit): void {
    const { waiting } = this.#lotOf(unit);
    for (const other of waiting.drain()) if (other !== unit) waiting.push(other);
  }
}

/** Large units of one kind. They begin only if the peer has memory for all of them. */
class Lot {
  /** Octets of the units that take turns. */
  begun = 0;
  /** The units that wait until they may begin. */
  readonly waiting = new Queue<Unit>();

  clear(): void {
    this.begun = 0;
    this.waiting.drain();
  }
}

/** Writes one frame of a unit, for the first time or again. Only the value of DEADLINE differs then. [IC-17.25] */
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

/** The units without each OPEN, each frame of the session that an OPEN would begin, and each SEND. */
function withoutBeginnings(units: readonly Unit[]): Unit[] {
  const unopened = new Set<number>();
  return units.filter(({ type, sessionId }) => {
    if (type === FrameType.OPEN) unopened.add(sessionId);
    // [IC-12.9]
    return type !== FrameType.SEND && !unopened.has(sessionId);
  });
}

/** Returns the head of the unit's first frame. The caller sets `flags` and `total`. */
function headOf(unit: Unit, now: number): FrameHead {
  HEAD.type = unit.type;
  HEAD.session = unit.sessionId;
  HEAD.id = unit.id;
  HEAD.deadline = unit.remaining(now);
  return HEAD;
}

/** One head for all frames of a thread: the writer does not keep it. */
const HEAD = new FrameHead();

/** The price of a small unit that waits: its octets, and the memory that the unit takes beside them. */
function priceOf({ payload, meta }: Unit): number {
  return payload.length + meta.length + UNIT_PRICE;
}

function roomFor(unit: Unit, window: SendWindow | undefined): number {
  if (window === undefined) return MAX_WINDOW;
  return unit.leavesReserve ? window.requestRoom : window.room;
}

/**
 * Octets of small units that may wait to be written. A peer that grants much and reads nothing makes this side hold no
 * more than this, and the frames of the replay queue.
 */
const MOST_UNWRITTEN = 1024 * 1024;
/** The senders that wait for room go on when no more than this waits: seldom, and then for many units at once. */
const ROOM_AGAIN = MOST_UNWRITTEN / 2;
/** Octets that a waiting unit counts beside its payload and its metadata. So units without payload are limited too. */
const UNIT_PRICE = 256;
/** Octets of the largest fragment. Larger fragments would make the other units wait longer. */
const LARGEST_FRAGMENT = 64 * 1024;
/** Octets of the peer's memory that large requests leave to small ones. */
const SMALL_SHARE = 1024 * 1024;
