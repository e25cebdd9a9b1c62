/**
 * Flow control: counters of what one side has used, and of what the other side allows.
 *
 * Every limit on the wire is absolute and only grows, so a CREDIT that is lost, repeated or late is harmless. Byte
 * counters wrap at 2^32, and are kept as signed 32-bit integers. Message ids wrap as `nextId` defines. The remaining
 * room is the difference of two counters, and so wrapping does not change it.
 */
import { addBytes, bytesBetween, Code, idsAhead, MAX_ID, ProtocolError } from '../../wire/index.js';

/** A limit may be at most this far ahead of its counter. Serial arithmetic would read a larger step as a step back. */
export const MAX_WINDOW = 2 ** 30;

/** Bytes that this side may still send. */
export class SendWindow {
  readonly #reserve: number;
  #used = 0;
  #limit: number;

  /** `reserve`: octets that requests leave to settlements; see `reserveOf`. */
  constructor(limit: number, reserve = 0) {
    this.#limit = limit | 0;
    this.#reserve = reserve;
  }

  get room(): number {
    return bytesBetween(this.#used, this.#limit);
  }

  /** The part of `room` that requests may use. [IC-8.5] */
  get requestRoom(): number {
    return this.room - this.#reserve;
  }

  /** Returns the `room` that `bytes` octets need. `leavesReserve`: they belong to a request, which leaves the reserve. */
  roomFor(bytes: number, leavesReserve: boolean): number {
    return leavesReserve ? bytes + this.#reserve : bytes;
  }

  use(bytes: number): void {
    this.#used = addBytes(this.#used, bytes);
  }

  /** Takes the peer's newest limit. Returns false if it allows no more than before. [IC-4.9] */
  raise(limit: number): boolean {
    const gain = bytesBetween(this.#limit, limit);
    if (gain <= 0) return false;
    // [IC-8.4]
    if (bytesBetween(this.#used, limit) > MAX_WINDOW) {
      throw new ProtocolError(Code.FLOW, `CREDIT allows more than ${MAX_WINDOW} bytes ahead.`);
    }
    this.#limit = limit | 0;
    return true;
  }
}

/** Bytes that the peer may still send. This side grants bytes again when it no longer holds them. */
export class ReceiveWindow {
  readonly #size: number;
  /** With less room than this, a frame of the peer may not fit. */
  readonly #low: number;
  #used = 0;
  #limit: number;
  #freed = 0;

  constructor(size: number, maxFrame: number) {
    this.#size = size;
    // There must be room for one frame of a request, and for the reserve, which requests leave to settlements.
    this.#low = 2 * maxFrame;
    this.#limit = size | 0;
  }

  /** Octets that the peer may still send, once it has read every CREDIT that is written. */
  get room(): number {
    return bytesBetween(this.#used, this.#limit);
  }

  /** Octets that are freed, and that this side has not granted again yet. */
  get freed(): number {
    return this.#freed;
  }

  /** Octets that have arrived and are not freed. */
  get held(): number {
    return this.#size - this.room - this.#freed;
  }

  /**
   * Counts octets that have arrived. Returns true if a CREDIT is due.
   * @throws ProtocolError FLOW if they exceed the limit.
   */
  take(bytes: number, whose: string): boolean {
    this.#used = addBytes(this.#used, bytes);
    if (this.room < 0) {
      throw new ProtocolError(
        Code.FLOW,
        `${-this.room} bytes more arrived than the byte credit of the ${whose} allows.`,
      );
    }
    return this.#isDue;
  }

  /** This side no longer holds `bytes` octets. Returns true if a CREDIT is due. */
  free(bytes: number): boolean {
    this.#freed += bytes;
    return this.#isDue;
  }

  /** Grants the freed octets. Returns the new limit for CREDIT, as unsigned 32 bits. */
  grant(): number {
    this.#limit = addBytes(this.#limit, this.#freed);
    this.#freed = 0;
    return this.#limit >>> 0;
  }

  /**
   * Whether a CREDIT is due: it would at least double the room, or the peer may wait for room. The rule compares with
   * the room, and not with the window. So octets that are held for long do not delay the CREDIT. [IC-8.13]
   */
  get #isDue(): boolean {
    const { room } = this;
    return this.#freed > 0 && (this.#freed >= room || room < this.#low);
  }
}

/** Message ids that the peer may still use in one session. */
export class MessageWindow {
  #limit: number;
  #lastId: number;
  #freed = 0;

  /** `lastId`: the id before the first one. Only tests of the wrap give another value than 0. */
  constructor(size: number, lastId = 0) {
    this.#lastId = lastId;
    this.#limit = advanceId(lastId, size);
  }

  allows(id: number): boolean {
    return isAtMost(id, this.#limit);
  }

  /** The message with this id has begun. Returns true if a CREDIT is due. */
  take(id: number): boolean {
    this.#lastId = id;
    return this.isDue;
  }

  /** The place of one message is free. Returns true if a CREDIT is due. */
  free(): boolean {
    this.#freed += 1;
    return this.isDue;
  }

  /** Grants the free places. Returns the new limit for CREDIT. `raise` false: the limit stays as it was. */
  grant(raise = true): number {
    if (!raise) return this.#limit;
    this.#limit = advanceId(this.#limit, this.#freed);
    this.#freed = 0;
    return this.#limit;
  }

  /** Whether a CREDIT is due: it would at least double the room. Messages that are held for long do not count. */
  get isDue(): boolean {
    return this.#freed > 0 && this.#freed >= idsAhead(this.#lastId, this.#limit);
  }
}

/** The id that is `count` steps after `id`. The first id is one step after 0. */
export function advanceId(id: number, count: number): number {
  if (count === 0) return id;
  return ((id - 1 + count) % MAX_ID) + 1;
}

/** Whether `id` is at most `limit`, in serial order. [IC-4.8] */
export function isAtMost(id: number, limit: number): boolean {
  return limit !== 0 && idsAhead(id, limit) < MAX_WINDOW;
}
