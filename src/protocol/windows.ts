/**
 * Flow control: what one side still allows the other.
 *
 * Every limit on the wire is absolute and only grows, so a CREDIT that is lost, repeated or late is
 * harmless. Byte counters wrap at 2^32 and are held as signed 32-bit integers; message ids wrap as
 * `nextId` says. What is left is always a difference of the two, which wrapping does not disturb.
 */
import { addBytes, bytesBetween, Code, idsAhead, MAX_ID, ProtocolError } from '../wire/index.js';

/** Nothing may be allowed further ahead than this; beyond it, serial arithmetic would read backwards. */
export const MAX_WINDOW = 2 ** 30;

/** Bytes that this side may still send. */
export class SendWindow {
  #used = 0;
  #limit: number;

  constructor(limit: number) {
    this.#limit = limit | 0;
  }

  get room(): number {
    return bytesBetween(this.#used, this.#limit);
  }

  use(bytes: number): void {
    this.#used = addBytes(this.#used, bytes);
  }

  /** Takes the peer's newest limit. Returns false where it allows nothing more than before. */
  raise(limit: number): boolean {
    const gain = bytesBetween(this.#limit, limit);
    if (gain <= 0) return false;
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
  #used = 0;
  #limit: number;
  #freed = 0;

  constructor(size: number) {
    this.#size = size;
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

  /** Counts octets that have arrived. @throws ProtocolError FLOW beyond the limit. */
  take(bytes: number, whose: string): void {
    this.#used = addBytes(this.#used, bytes);
    if (this.room < 0) {
      throw new ProtocolError(
        Code.FLOW,
        `${-this.room} bytes more arrived than the byte credit of the ${whose} allows.`,
      );
    }
  }

  /** Octets no longer held. Returns true once so much is free that a CREDIT is worth its frame. */
  free(bytes: number): boolean {
    this.#freed += bytes;
    return this.#freed >= this.#size / 2;
  }

  /** Grants what was freed; returns the new limit for CREDIT (as unsigned 32 bits). */
  grant(): number {
    this.#limit = addBytes(this.#limit, this.#freed);
    this.#freed = 0;
    return this.#limit >>> 0;
  }
}

/** Message ids that the peer may still use in one session. */
export class MessageWindow {
  readonly #size: number;
  #limit: number;
  #freed = 0;

  /** `lastId` is the id before the first one (0 but in tests of the wrap). */
  constructor(size: number, lastId = 0) {
    this.#size = size;
    this.#limit = advanceId(lastId, size);
  }

  allows(id: number): boolean {
    return isAllowed(id, this.#limit);
  }

  /** One message has settled. Returns true once a CREDIT is worth its frame. */
  free(): boolean {
    return ++this.#freed >= this.#size / 2;
  }

  grant(): number {
    this.#limit = advanceId(this.#limit, this.#freed);
    this.#freed = 0;
    return this.#limit;
  }
}

/** The id `count` steps after `id`; 0 stands before the first. */
export function advanceId(id: number, count: number): number {
  if (count === 0) return id;
  return ((id - 1 + count) % MAX_ID) + 1;
}

/** Whether `id` is at most `limit`, in serial order. */
export function isAllowed(id: number, limit: number): boolean {
  return limit !== 0 && idsAhead(id, limit) < MAX_WINDOW;
}
