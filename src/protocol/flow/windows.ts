/**
 * Flow control: what one side still allows the other.
 *
 * Every limit on the wire is absolute and only grows, so a CREDIT that is lost, repeated or late is
 * harmless. Byte counters wrap at 2^32 and are held as signed 32-bit integers; message ids wrap as
 * `nextId` says. What is left is always a difference of the two, which wrapping does not disturb.
 */
import { addBytes, bytesBetween, Code, idsAhead, MAX_ID, ProtocolError } from '../../wire/index.js';

/** Nothing may be allowed further ahead than this; beyond it, serial arithmetic would read backwards. */
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

  /** What requests may use of it. [IC-8.5] */
  get requestRoom(): number {
    return this.room - this.#reserve;
  }

  use(bytes: number): void {
    this.#used = addBytes(this.#used, bytes);
  }

  /** Takes the peer's newest limit. Returns false where it allows nothing more than before. [IC-4.9] */
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

/** Bytes that the peer may still send. They come back to it when this side no longer holds them. */
export class ReceiveWindow {
  readonly #size: number;
  /** With less room than this, the peer may have something that does not fit. */
  readonly #low: number;
  #used = 0;
  #limit: number;
  #freed = 0;

  constructor(size: number, maxFrame: number) {
    this.#size = size;
    // One for a request, and one for what requests leave to settlements.
    this.#low = 2 * maxFrame;
    this.#limit = size | 0;
  }

  /** Octets that the peer may send at this moment, had it seen every grant. */
  get room(): number {
    return bytesBetween(this.#used, this.#limit);
  }

  /** Octets freed and not granted anew yet. */
  get freed(): number {
    return this.#freed;
  }

  /** Octets that have arrived and are not freed. */
  get held(): number {
    return this.#size - this.room - this.#freed;
  }

  /**
   * Counts octets that have arrived. Returns true where a CREDIT is worth its frame.
   * @throws ProtocolError FLOW beyond the limit.
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

  /** Octets no longer held. Returns true where a CREDIT is worth its frame. */
  free(bytes: number): boolean {
    this.#freed += bytes;
    return this.#isDue;
  }

  /** Grants what was freed; returns the new limit for CREDIT (as unsigned 32 bits). */
  grant(): number {
    this.#limit = addBytes(this.#limit, this.#freed);
    this.#freed = 0;
    return this.#limit >>> 0;
  }

  /** Doubles the room at least, or the peer may wait for it. What is held for long must not starve it. [IC-8.13] */
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

  /** `lastId` is the id before the first one (0 but in tests of the wrap). */
  constructor(size: number, lastId = 0) {
    this.#lastId = lastId;
    this.#limit = advanceId(lastId, size);
  }

  allows(id: number): boolean {
    return isAtMost(id, this.#limit);
  }

  /** The message has begun. Returns true where a CREDIT is worth its frame. */
  take(id: number): boolean {
    this.#lastId = id;
    return this.#isDue;
  }

  /** One message has settled. Returns true where a CREDIT is worth its frame. */
  free(): boolean {
    this.#freed += 1;
    return this.#isDue;
  }

  grant(): number {
    this.#limit = advanceId(this.#limit, this.#freed);
    this.#freed = 0;
    return this.#limit;
  }

  /** As with bytes: at least twice the room, however many are held for long. */
  get #isDue(): boolean {
    return this.#freed > 0 && this.#freed >= idsAhead(this.#lastId, this.#limit);
  }
}

/** The id `count` steps after `id`; 0 stands before the first. */
export function advanceId(id: number, count: number): number {
  if (count === 0) return id;
  return ((id - 1 + count) % MAX_ID) + 1;
}

/** Whether `id` is at most `limit`, in serial order. [IC-4.8] */
export function isAtMost(id: number, limit: number): boolean {
  return limit !== 0 && idsAhead(id, limit) < MAX_WINDOW;
}
