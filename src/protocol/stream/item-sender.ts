/**
 * The sending half of a stream: the items of one request, or of one answer. [IC-7.6] [IC-7.7]
 *
 *     held ──the message is on its way──► open ──END given──► over
 *       └────────────── settled, cancelled, lost ───────────► ▲
 *
 * Items are pulled: at most one waits here for credit, and the next is asked for when that has left. So a
 * source runs ahead of its reader by what the reader allows, and one.
 */
import { addBytes, bytesBetween, Code, Flag, ProtocolError, EMPTY } from '../../wire/index.js';
import type { ItemLane, WaitingStream } from './item-lane.js';
import { OutgoingItem } from './outgoing-item.js';
import { MAX_WINDOW } from '../flow/windows.js';

/** Where items come from. */
export interface ItemSource {
  /** The next item may be given; asked for again each time `isReady` had become false. */
  onReady(): void;
}

export class ItemSender implements WaitingStream {
  readonly #lane: ItemLane;
  readonly sessionId: number;
  readonly id: number;
  readonly #flags: number;
  #source: ItemSource | undefined;
  #state: 'held' | 'open' | 'over' = 'held';
  /** Items begun, and the limit of them: counters that wrap. */
  #sent = 0;
  #limit: number;
  /** The item that waits for credit. */
  #next: OutgoingItem | undefined;
  /** A large item that the output has and has not written whole. */
  #leaving: OutgoingItem | undefined;
  #hasBegun = false;
  /** Whether END is on its way. */
  #hasEnd = false;
  /** Waits until no item is left half written. */
  #onClear: (() => void) | undefined;

  /** `flags`: REPLY for an answer's items. */
  constructor(lane: ItemLane, sessionId: number, id: number, flags: number) {
    this.#lane = lane;
    this.sessionId = sessionId;
    this.id = id;
    this.#flags = flags;
    this.#limit = lane.items | 0;
  }

  /** Whether the next item may be given. */
  get isReady(): boolean {
    return this.#state === 'open' && this.#next === undefined && this.#leaving === undefined;
  }

  /** Whether nothing more can be given: ended, settled, cancelled or lost. */
  get isOver(): boolean {
    return this.#state === 'over';
  }

  /** Whether the other side takes no items. The items that it takes would raise its limit, and it takes none. */
  get mayNeverSend(): boolean {
    return this.#limit === 0 && this.#sent === 0;
  }

  /** Whether it is over without an END. */
  get isCut(): boolean {
    return this.isOver && !this.#hasEnd;
  }

  /** The message itself is on its way: items may follow, and `source` is told so. */
  start(source: ItemSource): void {
    if (this.#state !== 'held') return;
    this.#state = 'open';
    this.#source = source;
    this.#tell();
  }

  /** Takes one item; only where `isReady`. The payload belongs to the connection from here on. */
  send(payload: Buffer): void {
    this.#give(payload, this.#flags);
  }

  /** The last item was given; END goes out behind it. Only where `isReady`. [IC-6.51] */
  end(): void {
    this.#give(EMPTY, this.#flags | Flag.END);
  }

  /** CREDIT for this stream. False where it allows nothing new. */
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

  /** Its turn has come in the lane. False where there is still no byte credit. */
  retry(): boolean {
    if (this.#next === undefined) return true;
    if (!this.#lane.retry(this.#next)) return false;
    this.#onLeft(this.#next);
    this.#tell();
    return true;
  }

  /** Whether its first ITEM is on its way: it waits for nothing that the other side allows. */
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
   * Nothing more is sent: what waits is dropped. Of an item that is half written, the rest leaves before
   * anything else of its message; with `cut` it does not, where nobody would take it.
   */
  stop(cut: boolean): void {
    this.#next = undefined;
    const item = this.#leaving;
    if (item !== undefined && (cut || !item.started)) {
      this.#leaving = undefined;
      this.#lane.remove(item);
    }
    this.#finish();
  }

  /** Calls back when no item is half written: then the settlement may follow. */
  whenClear(onClear: () => void): void {
    if (this.#leaving === undefined) onClear();
    else this.#onClear = onClear;
  }

  /** A measure of what has left: it is another whenever more has. */
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

  /** Lets the item go that waits, if it has credit. */
  #advance(): boolean {
    const item = this.#next;
    if (item === undefined || !this.#mayGo || !this.#lane.offer(this, item)) return false;
    this.#onLeft(item);
    return true;
  }

  /** The item is the output's. */
  #onLeft(item: OutgoingItem): void {
    this.#next = undefined;
    this.#sent = addBytes(this.#sent, 1);
    if (this.#lane.isLarge(item)) this.#leaving = item;
    else this.#hasBegun = true;
    if ((item.flags & Flag.END) === 0) return;
    this.#hasEnd = true;
    this.#finish();
  }

  #tell(): void {
    if (this.isReady) this.#source?.onReady();
  }

  #finish(): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    this.#source = undefined;
    if ((this.#flags & Flag.REPLY) === 0) this.#lane.onUploadOver();
  }
}
