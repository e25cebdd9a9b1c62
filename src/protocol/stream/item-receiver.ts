/**
 * The receiving half of a stream, of a request or of a response. It assembles items, keeps the whole ones until the
 * application takes them, and then grants the sender the same number again. So a fast sender is held back, but only in
 * this stream. `incoming-stream-state.ts` has the state.
 *
 * An item holds byte credit of the connection and of its session until the application takes the item, so that unread
 * bytes are bounded. There is one exception: an item that arrives in fragments while no item before it is unread holds
 * no credit of the session. The reader waits for exactly this item, and the item may be larger than the session's window.
 */
import { addBytes, bytesBetween, Flag, type FrameView, GrowingBuffer } from '../../wire/index.js';
import { type Account, ITEM_PRICE } from '../flow/account.js';
import type { Limits } from '../flow/limits.js';
import { keepPayload, MAX_PINNED, pinnedBy } from '../flow/payload.js';
import { Queue } from '../common/queue.js';
import type { MoveEffects } from '../common/moves.js';
import { beyondCredit, violation, violationOf } from '../common/violation.js';
import { IncomingStreamState } from './incoming-stream-state.js';

/** The reader of the items. */
export interface ItemSink {
  /** There is an item to take, or the stream has ended. */
  onItem(): void;
}

/** The services of a connection for the streams that it reads. */
export interface ItemContext extends MoveEffects {
  /** The limits that this side has announced. */
  readonly limits: Limits;
  /** The memory that the connection holds. */
  readonly account: Account;
  /** Bytes of received chunks that unsettled messages and unread items keep in memory, as `pinnedBy` counts them. */
  pinned: number;
  /** CREDIT for this stream should leave with the next output. */
  itemCreditDue(items: ItemReceiver): void;
  /** The stream needs no further CREDIT. */
  itemCreditOver(items: ItemReceiver): void;
}

/** The service of a session for the streams that it reads: they return the credit of bytes that they no longer hold. */
export interface CreditContext {
  readonly sessionId: number;
  /** Returns `octets` to the connection's credit, and `inSession` octets to the session's credit. */
  free(octets: number, inSession: number): void;
}

interface Held {
  /** Octets of the connection's credit that the item holds. */
  held: number;
  /** Octets of the session's credit that the item holds. */
  inSession: number;
}

interface WholeItem extends Held {
  readonly payload: Buffer;
  readonly pinned: number;
}

interface PartialItem extends Held {
  /** Octets that TOTAL announced; -1 = the item has no TOTAL. */
  readonly total: number;
  arrived: number;
  /** Undefined if the item is dropped. */
  body: GrowingBuffer | undefined;
}

export class ItemReceiver {
  readonly sessionId: number;
  readonly id: number;
  /** The flags of this stream's CREDIT: REPLY if the other side gave the message its id. */
  readonly flags: number;
  /** Whether the CREDIT for the stream waits to be written. The connection sets it. */
  isCreditDue = false;
  readonly #context: ItemContext;
  readonly #credit: CreditContext;
  readonly #state: IncomingStreamState;
  #sink: ItemSink | undefined;
  readonly #items = new Queue<WholeItem>();
  #partial: PartialItem | undefined;
  /** The number of items that have begun, and the number that may begin in all. Both counters wrap. */
  #received = 0;
  #granted: number;
  /** Items that were taken, and for which no further item is granted yet. */
  #taken = 0;

  /** `flags`: REPLY for the items of a request of the other side, 0 for those of a response. */
  constructor(context: ItemContext, credit: CreditContext, id: number, flags: number) {
    this.sessionId = credit.sessionId;
    this.id = id;
    this.flags = flags;
    this.#context = context;
    this.#credit = credit;
    this.#granted = context.limits.items | 0;
    this.#state = new IncomingStreamState(this, (flags & Flag.REPLY) === 0, context);
  }

  /** Sets the reader. If there is something to take, the reader is told at once. */
  set sink(sink: ItemSink | undefined) {
    this.#sink = sink;
    if (this.hasUnread || this.isAtEnd) sink?.onItem();
  }

  get hasUnread(): boolean {
    return this.#items.size > 0;
  }

  /** Whether an item has begun and is not whole. */
  get isPartial(): boolean {
    return this.#partial !== undefined;
  }

  /** Whether all items have arrived and were taken, and none was dropped. */
  get isAtEnd(): boolean {
    return this.isComplete && this.#items.size === 0 && this.#state.isWanted;
  }

  /** Whether further items can come, and the application wants them. */
  get isOpen(): boolean {
    return this.#state.isFlowing;
  }

  /** Whether all items have arrived. */
  get isComplete(): boolean {
    return this.#state.isEndSeen && this.#partial === undefined;
  }

  /** Octets of an unfinished item, if the application has nothing to take: only the rest of the item can free them. */
  get stuck(): number {
    return this.#items.size === 0 ? (this.#partial?.held ?? 0) : 0;
  }

  /** ITEM. Returns false if the item is larger than this side takes. */
  onItem(frame: FrameView): boolean {
    const { total = -1, metadata } = frame.meta();
    this.#state.itemBegun(frame.has(Flag.END));
    // [IC-6.52]
    if (this.#partial !== undefined) {
      throw violationOf(
        'An item of message',
        this.id,
        ' begins before the one before it is complete.',
      );
    }
    if (bytesBetween(this.#received, this.#granted) <= 0) {
      throw beyondCredit('An item of message', this.id, ' is beyond its credit.');
    }
    // [IC-8.16]
    this.#received = addBytes(this.#received, 1);
    if (frame.has(Flag.MORE)) return this.#begin(total, frame);
    const octets = frame.size;
    this.#checkTotal(total, frame.payloadSize);
    this.#state.itemWhole();
    // An empty ITEM with END is no element, but only the end. Fields that this side does not know change nothing. [IC-6.54]
    const isBare = frame.payloadSize === 0 && total < 0 && metadata === undefined;
    if (this.#state.isWanted && !(this.#state.isEndSeen && isBare)) return this.#keep(frame);
    this.#credit.free(octets, octets);
    this.#sink?.onItem();
    return true;
  }

  /** FRAG, while `isPartial`. Returns false if the item is larger than this side takes. */
  onFragment(frame: FrameView): boolean {
    const item = this.#partial;
    if (item === undefined) return true;
    if (!this.#append(item, frame)) return false;
    if (frame.has(Flag.MORE)) return true;
    this.#checkTotal(item.total, item.arrived);
    this.#partial = undefined;
    this.#state.itemWhole();
    if (item.body === undefined) return true;
    const { held, inSession } = item;
    this.#context.account.take(ITEM_PRICE);
    this.#items.push({ payload: item.body.take(), pinned: 0, held, inSession });
    this.#sink?.onItem();
    return true;
  }

  /** Takes the next whole item; undefined = there is none. The application owns the returned bytes. */
  take(): Buffer | undefined {
    // [IC-6.56]
    const item = this.#items.shift();
    if (item === undefined) return undefined;
    this.#freeWhole(item);
    // [IC-8.17]
    this.#taken += 1;
    // [IC-8.18]
    // CREDIT is worth a frame once it grants half of the items that the sender may have on their way.
    const isDue = this.#taken * 2 >= this.#context.limits.items;
    if (isDue && this.#state.takesMore) this.#context.itemCreditDue(this);
    const next = this.#partial;
    if (this.#items.size === 0 && next !== undefined) {
      this.#credit.free(0, next.inSession);
      next.inSession = 0;
    }
    return item.payload;
  }

  /** Grants as many further items as were taken. Returns how many items the other side may send in all, for CREDIT. */
  grant(): number {
    this.#granted = addBytes(this.#granted, this.#taken);
    this.#taken = 0;
    return this.#granted >>> 0;
  }

  /** Has the newest grant written again: its CREDIT may be lost with the former socket. */
  announce(): void {
    const hasGranted = this.#granted !== (this.#context.limits.items | 0);
    if (hasGranted && this.#state.takesMore) this.#context.itemCreditDue(this);
  }

  /** The settlement of this side's message has begun: no item follows. Whole items may still be taken. */
  close(): void {
    this.#state.settled();
    this.#context.itemCreditOver(this);
  }

  /** The application takes no further item: drops the waiting items, and ignores those that still arrive. [IC-8.20] */
  drop(): void {
    this.#state.dropped();
    this.#context.itemCreditOver(this);
    this.#sink = undefined;
    for (const item of this.#items.drain()) {
      this.#freeWhole(item);
    }
    if (this.#partial !== undefined) this.#discard(this.#partial);
  }

  #begin(total: number, frame: FrameView): boolean {
    const { maxMessage } = this.#context.limits;
    const { isWanted } = this.#state;
    const isTaken = isWanted && total <= maxMessage;
    const body = isTaken ? new GrowingBuffer(total < 0 ? maxMessage : total) : undefined;
    this.#partial = { total, arrived: 0, body, held: 0, inSession: 0 };
    const fits = this.#append(this.#partial, frame);
    return fits && (isTaken || !isWanted);
  }

  #append(item: PartialItem, frame: FrameView): boolean {
    this.#hold(item, frame.size);
    item.arrived += frame.payloadSize;
    if (item.total >= 0 && item.arrived > item.total) this.#checkTotal(item.total, item.arrived);
    if (item.body === undefined) return true;
    if (item.arrived > this.#context.limits.maxMessage) {
      this.#discard(item);
      return false;
    }
    item.body.append(frame.bytes, frame.payloadStart, frame.end);
    return true;
  }

  #keep(frame: FrameView): boolean {
    const octets = frame.size;
    if (frame.payloadSize > this.#context.limits.maxMessage) {
      this.#credit.free(octets, octets);
      return false;
    }
    const mayPin = this.#context.pinned <= MAX_PINNED;
    const payload = keepPayload(frame, mayPin);
    const pinned = pinnedBy(frame, mayPin);
    this.#context.pinned += pinned;
    this.#context.account.take(octets + ITEM_PRICE);
    this.#items.push({ payload, pinned, held: octets, inSession: octets });
    this.#sink?.onItem();
    return true;
  }

  /** Octets of the item have arrived: the item holds their credit. */
  #hold(item: PartialItem, octets: number): void {
    if (item.body === undefined) return this.#credit.free(octets, octets);
    item.held += octets;
    this.#context.account.take(octets);
    // [IC-8.19]
    if (this.#items.size > 0) item.inSession += octets;
    else this.#credit.free(0, octets);
  }

  #discard(item: PartialItem): void {
    item.body = undefined;
    this.#free(item);
  }

  #freeWhole(item: WholeItem): void {
    this.#free(item);
    this.#context.account.give(ITEM_PRICE);
    this.#context.pinned -= item.pinned;
  }

  #free(item: Held): void {
    const { held, inSession } = item;
    this.#context.account.give(held);
    item.held = item.inSession = 0;
    this.#credit.free(held, inSession);
  }

  #checkTotal(total: number, size: number): void {
    if (total < 0 || size === total) return;
    throw violation(`An item of message ${this.id} has ${size} bytes and announced ${total}.`);
  }
}
