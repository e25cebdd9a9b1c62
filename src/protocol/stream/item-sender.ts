/**
 * The sending half of a stream: the items of one request, or of one response. `outgoing-stream-state.ts` has the state.
 *
 * Items are pulled: at most one item waits here for credit or for room in the output. When this item has left, the source
 * is asked for the next one. So a source is ahead of its reader by at most the items that the reader allows, plus one.
 */
import { addBytes, bytesBetween, Code, Flag, ProtocolError, EMPTY } from '../../wire/index.js';
import type { ItemLane, WaitingStream } from './item-lane.js';
import { OutgoingItem } from './outgoing-item.js';
import { OutgoingStreamState } from './outgoing-stream-state.js';
import { MAX_WINDOW } from '../flow/windows.js';

/** The source of the items. */
export interface ItemSource {
  /** The next item may be given. This is called each time `isReady` becomes true. */
  onReady(): void;
}

export class ItemSender implements WaitingStream {
  readonly #lane: ItemLane;
  readonly sessionId: number;
  readonly id: number;
  readonly #flags: number;
  #source: ItemSource | undefined;
  readonly #state: OutgoingStreamState;
  /** The number of items that have begun, and the number that may begin in all. Both counters wrap. */
  #sent = 0;
  #limit: number;
  /** The item that waits for credit. */
  #next: OutgoingItem | undefined;
  /** The large item that the output has not written whole. */
  #leaving: OutgoingItem | undefined;
  #hasBegun = false;
  /** Called when the half-written item is whole. */
  #onClear: (() => void) | undefined;

  /** `flags`: REPLY for the items of a response, 0 for those of a request. */
  constructor(lane: ItemLane, sessionId: number, id: number, flags: number) {
    this.#lane = lane;
    this.sessionId = sessionId;
    this.id = id;
    this.#flags = flags;
    this.#limit = lane.items | 0;
    this.#state = new OutgoingStreamState(this, (flags & Flag.REPLY) !== 0, lane.context);
  }

  /** Whether the next item may be given. */
  get isReady(): boolean {
    return this.#state.isFlowing && this.#next === undefined && this.#leaving === undefined;
  }

  /** Whether no further item can be given: the stream has ended, or its message is settled, cancelled or lost. */
  get isOver(): boolean {
    return this.#state.isOver;
  }

  /** Whether the other side takes no items at all: its limit is 0, and the limit rises only after items were taken. */
  get mayNeverSend(): boolean {
    return this.#limit === 0 && this.#sent === 0;
  }

  /** Whether the stream is over without an ITEM with END. */
  get isCut(): boolean {
    return this.#state.isCut;
  }

  /** Items may leave now: the message itself has left, or its handler streams. Calls `source.onReady`. */
  start(source: ItemSource): void {
    if (!this.#state.begun()) return;
    this.#source = source;
    this.#tell();
  }

  /** Takes one item. Call this only while `isReady`. The connection owns the payload from then on. */
  send(payload: Buffer): void {
    this.#give(payload, this.#flags);
  }

  /** Ends the stream by an ITEM with END. Call this only while `isReady`. [IC-6.55] */
  end(): void {
    this.#give(EMPTY, this.#flags | Flag.END);
  }

  /** CREDIT for this stream. Returns false if it allows no further item. */
  onCredit(limit: number): boolean {
    if (bytesBetween(this.#limit, limit) <= 0) return false;
    if (bytesBetween(this.#sent, limit) > MAX_WINDOW) {
      throw new ProtocolError(Code.FLOW, `CREDIT allows more than ${MAX_WINDOW} items ahead.`);
    }
    const waited = this.#next !== undefined && !this.#mayGo;
    this.#limit = limit | 0;
    if (waited && this.#advance()) this.#tell();
    return true;
  }

  /** The lane has credit or room again. Returns false if the item must still wait. */
  retry(): boolean {
    if (this.#next === undefined) return true;
    if (!this.#lane.retry(this.#next)) return false;
    this.#onLeft(this.#next);
    this.#tell();
    return true;
  }

  /** Whether the first ITEM is on its way, and no longer waits for credit. */
  get hasBegun(): boolean {
    return this.#hasBegun || this.#leaving?.started === true;
  }

  onItemWritten(item: OutgoingItem): void {
    if (item !== this.#leaving) return;
    this.#hasBegun = true;
    this.#leaving = undefined;
    const onClear = this.#onClear;
    this.#onClear = undefined;
    if (onClear === undefined) this.#tell();
    else onClear();
  }

  /**
   * No further item is sent, and the item that waits is dropped. If an item is half written, its rest still leaves, before
   * any other frame of the message. With `cut`, the rest is dropped too: the other side would not take it.
   */
  stop(cut: boolean): void {
    this.#next = undefined;
    const item = this.#leaving;
    if (item !== undefined && (cut || !item.started)) {
      this.#leaving = undefined;
      this.#lane.remove(item);
    }
    if (this.#state.stopped()) this.#finish();
  }

  /** Calls `onClear` as soon as no item is half written, perhaps at once. Then the settlement may follow. */
  whenClear(onClear: () => void): void {
    if (this.#leaving === undefined) onClear();
    else this.#onClear = onClear;
  }

  /** A measure of progress: the number changes whenever more of the stream has left. */
  get moved(): number {
    return this.#sent + (this.#leaving?.written ?? 0);
  }

  #give(payload: Buffer, flags: number): void {
    if (!this.isReady) throw new Error(`Message ${this.id} takes no item now.`);
    const { window } = this.#lane;
    this.#next = new OutgoingItem(this, flags, payload, window);
    this.#advance();
  }

  get #mayGo(): boolean {
    return bytesBetween(this.#sent, this.#limit) > 0;
  }

  /** Hands the waiting item to the output, if the item has credit. Returns whether the item has left. */
  #advance(): boolean {
    const item = this.#next;
    if (item === undefined || !this.#mayGo || !this.#lane.offer(this, item)) return false;
    this.#onLeft(item);
    return true;
  }

  /** The output has the item. */
  #onLeft(item: OutgoingItem): void {
    this.#next = undefined;
    this.#sent = addBytes(this.#sent, 1);
    if (this.#lane.isLarge(item)) this.#leaving = item;
    else this.#hasBegun = true;
    if ((item.flags & Flag.END) === 0) return;
    this.#state.ended();
    this.#finish();
  }

  #tell(): void {
    if (this.isReady) this.#source?.onReady();
  }

  /** The stream has just ended or stopped. */
  #finish(): void {
    this.#source = undefined;
    if ((this.#flags & Flag.REPLY) === 0) this.#lane.onUploadOver();
  }
}
