/**
 * The receiving half of a stream: puts its items together, keeps the whole ones until the application takes
 * them, and allows the sender as many more as were taken. That is what holds back a fast sender, and it
 * holds back this stream only. [IC-7.6] [IC-7.7]
 *
 * An item holds credit until it is taken, of the connection and of its session, so that what lies unread is
 * bounded. Only that which comes in fragments while nothing lies unread before it holds none of the
 * session's: the reader waits for just this one, and it may be larger than the session's window.
 */
import {
  addBytes,
  bytesBetween,
  Code,
  Flag,
  type FrameView,
  GrowingBuffer,
  ProtocolError,
} from '../../wire/index.js';
import type { Limits } from '../flow/limits.js';
import { keepPayload, MAX_PINNED, pinnedBy } from '../flow/payload.js';
import { Queue } from '../common/queue.js';
import { violation } from '../common/violation.js';

/** Where items go to. */
export interface ItemSink {
  /** There is an item to take, or the end. */
  onItem(): void;
}

/** What the streams of a connection share. */
export interface ItemHost {
  /** What this side allows the other. */
  readonly limits: Limits;
  /** Octets of chunks that views of unsettled messages, and of unread items, pin. */
  pinned: number;
  /** The stream's credit should go out with the next output, and no more once it is over. */
  itemCreditDue(items: ItemReceiver): void;
  itemCreditOver(items: ItemReceiver): void;
}

/** Who counts the octets that a session holds. */
export interface ItemHolder {
  readonly sessionId: number;
  /** So many octets are held no longer: of the connection's credit, and of the session's. */
  free(octets: number, inSession: number): void;
}

interface Held {
  /** Octets of the connection's credit. */
  held: number;
  /** Octets of the session's. */
  inSession: number;
}

interface WholeItem extends Held {
  readonly payload: Buffer;
  readonly pinned: number;
}

interface PartialItem extends Held {
  /** What TOTAL announced, or -1. */
  readonly total: number;
  arrived: number;
  /** None where nobody wants it. */
  body: GrowingBuffer | undefined;
}

export class ItemReceiver {
  readonly sessionId: number;
  readonly id: number;
  /** REPLY where the id is the other side's: its CREDIT says so. */
  readonly flags: number;
  readonly #host: ItemHost;
  readonly #holder: ItemHolder;
  #sink: ItemSink | undefined;
  readonly #items = new Queue<WholeItem>();
  #partial: PartialItem | undefined;
  /** Items begun, and how many may be: counters that wrap. */
  #received = 0;
  #granted: number;
  /** Items taken and not granted anew yet. */
  #taken = 0;
  /** `closed`: no more is granted. `dropped`: and nothing is kept. */
  #state: 'open' | 'closed' | 'dropped' = 'open';
  #endSeen = false;

  /** `flags`: REPLY for the items of a request of the other side. */
  constructor(host: ItemHost, holder: ItemHolder, id: number, flags: number) {
    this.sessionId = holder.sessionId;
    this.id = id;
    this.flags = flags;
    this.#host = host;
    this.#holder = holder;
    this.#granted = host.limits.items | 0;
  }

  /** Who is told of items; told at once where there are some. */
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

  /** Whether everything has come and was taken, and nothing was dropped. */
  get isAtEnd(): boolean {
    return this.isComplete && this.#items.size === 0 && this.#state !== 'dropped';
  }

  /** Whether more is to come, and somebody wants it. */
  get isOpen(): boolean {
    return this.#state === 'open' && !this.isComplete;
  }

  /** Whether everything has come. */
  get isComplete(): boolean {
    return this.#endSeen && this.#partial === undefined;
  }

  /** Octets that wait for more of their item, where the application cannot take any: they stay till then. */
  get stuck(): number {
    return this.#items.size === 0 ? (this.#partial?.held ?? 0) : 0;
  }

  /** ITEM. False where it is larger than this side takes. */
  onItem(frame: FrameView): boolean {
    const { total = -1, metadata } = frame.meta();
    if (this.#endSeen) throw violation(`Message ${this.id} has an item after its last.`);
    // [IC-6.48]
    if (this.#partial !== undefined) {
      throw violation(`An item of message ${this.id} begins before the one before it is complete.`);
    }
    if (bytesBetween(this.#received, this.#granted) <= 0) {
      throw new ProtocolError(Code.FLOW, `An item of message ${this.id} is beyond its credit.`);
    }
    // [IC-8.16]
    this.#received = addBytes(this.#received, 1);
    this.#endSeen = frame.has(Flag.END);
    if (frame.has(Flag.MORE)) return this.#begin(total, frame);
    const octets = frame.size;
    this.#checkTotal(total, frame.payloadSize);
    // An end alone, whatever fields it has that nobody knows, is no element. [IC-6.50]
    const isBare = frame.payloadSize === 0 && total < 0 && metadata === undefined;
    if (this.#state !== 'dropped' && !(this.#endSeen && isBare)) {
      return this.#keep(frame);
    }
    this.#holder.free(octets, octets);
    this.#sink?.onItem();
    return true;
  }

  /** FRAG, while `isPartial`. False where the item is larger than this side takes. */
  onFragment(frame: FrameView): boolean {
    const item = this.#partial;
    if (item === undefined) return true;
    if (!this.#append(item, frame)) return false;
    if (frame.has(Flag.MORE)) return true;
    this.#checkTotal(item.total, item.arrived);
    this.#partial = undefined;
    if (item.body === undefined) return true;
    const { held, inSession } = item;
    this.#items.push({ payload: item.body.take(), pinned: 0, held, inSession });
    this.#sink?.onItem();
    return true;
  }

  /** The next whole item; it is the application's from here on. */
  take(): Buffer | undefined {
    // [IC-6.52]
    const item = this.#items.shift();
    if (item === undefined) return undefined;
    this.#free(item);
    this.#host.pinned -= item.pinned;
    // [IC-8.17]
    this.#taken += 1;
    // [IC-8.18]
    // Half of what it may send is worth a frame; nobody asks for more after the end.
    const isDue = this.#taken * 2 >= this.#host.limits.items;
    if (isDue && this.#state === 'open' && !this.#endSeen) this.#host.itemCreditDue(this);
    const next = this.#partial;
    if (this.#items.size === 0 && next !== undefined) {
      this.#holder.free(0, next.inSession);
      next.inSession = 0;
    }
    return item.payload;
  }

  /** How many items the other side may send in all, for CREDIT. */
  grant(): number {
    this.#granted = addBytes(this.#granted, this.#taken);
    this.#taken = 0;
    return this.#granted >>> 0;
  }

  /** Has the newest grant written, again where it was before: the socket that carried it is lost. */
  announce(): void {
    const isNews = this.#granted !== (this.#host.limits.items | 0);
    if (isNews && this.#state === 'open' && !this.#endSeen) this.#host.itemCreditDue(this);
  }

  /** Nothing more comes, or is wanted: no more is granted. What is whole may still be taken. */
  close(): void {
    if (this.#state === 'open') this.#state = 'closed';
    this.#host.itemCreditOver(this);
  }

  /** Nobody takes any of it: what is there goes, and what still comes is ignored. [IC-8.20] */
  drop(): void {
    this.close();
    this.#state = 'dropped';
    this.#sink = undefined;
    for (const item of this.#items.drain()) {
      this.#free(item);
      this.#host.pinned -= item.pinned;
    }
    if (this.#partial !== undefined) this.#discard(this.#partial);
  }

  #begin(total: number, frame: FrameView): boolean {
    const { maxMessage } = this.#host.limits;
    const wanted = this.#state !== 'dropped' && total <= maxMessage;
    const body = wanted ? new GrowingBuffer(total < 0 ? maxMessage : total) : undefined;
    this.#partial = { total, arrived: 0, body, held: 0, inSession: 0 };
    const fits = this.#append(this.#partial, frame);
    return fits && (wanted || this.#state === 'dropped');
  }

  #append(item: PartialItem, frame: FrameView): boolean {
    this.#hold(item, frame.size);
    item.arrived += frame.payloadSize;
    if (item.total >= 0 && item.arrived > item.total) this.#checkTotal(item.total, item.arrived);
    if (item.body === undefined) return true;
    if (item.arrived > this.#host.limits.maxMessage) {
      this.#discard(item);
      return false;
    }
    item.body.append(frame.bytes, frame.payloadStart, frame.end);
    return true;
  }

  #keep(frame: FrameView): boolean {
    const octets = frame.size;
    if (frame.payloadSize > this.#host.limits.maxMessage) {
      this.#holder.free(octets, octets);
      return false;
    }
    const mayPin = this.#host.pinned <= MAX_PINNED;
    const payload = keepPayload(frame, mayPin);
    const pinned = pinnedBy(payload, frame.bytes);
    this.#host.pinned += pinned;
    this.#items.push({ payload, pinned, held: octets, inSession: octets });
    this.#sink?.onItem();
    return true;
  }

  /** Octets of a fragment have arrived. */
  #hold(item: PartialItem, octets: number): void {
    if (item.body === undefined) return this.#holder.free(octets, octets);
    item.held += octets;
    // [IC-8.19]
    if (this.#items.size > 0) item.inSession += octets;
    else this.#holder.free(0, octets);
  }

  #discard(item: PartialItem): void {
    item.body = undefined;
    this.#free(item);
  }

  #free(item: Held): void {
    const { held, inSession } = item;
    item.held = item.inSession = 0;
    this.#holder.free(held, inSession);
  }

  #checkTotal(total: number, size: number): void {
    if (total < 0 || size === total) return;
    throw violation(`An item of message ${this.id} has ${size} bytes and announced ${total}.`);
  }
}
