/**
 * The way of all items of one session into the output, whichever message they belong to. An item is like a
 * request for credit: it leaves the reserve to settlements, or two sides whose items fill each other's
 * memory could not even end their messages.
 */
import type { OutgoingItem } from './outgoing-item.js';
import type { Limits } from '../flow/limits.js';
import { Queue } from '../common/queue.js';
import type { Unit } from '../output/unit.js';
import type { SendWindow } from '../flow/windows.js';

/** What a session does with its units; see `SessionSender`. */
export interface ItemCarrier {
  readonly window: SendWindow;
  /** Charges a small unit and hands it to the output; false where it has no credit. */
  emit(unit: Unit, fields: number): boolean;
  /** Whether the unit leaves in fragments, where it must. */
  isLarge(unit: Unit): boolean;
  /** Less waits than before. */
  onUploadOver(): void;
}

/** What a lane needs of the connection. */
export interface LaneHost {
  /** What the other side allows this one. */
  readonly peer: Limits;
  readonly output: { pushLarge(unit: Unit): void; remove(unit: Unit): void };
  /** Output waits. */
  wake(): void;
}

/** A stream whose next item waits for its turn. */
export interface WaitingStream {
  /** Lets the item go that waits; false where there is still no byte credit. */
  retry(): boolean;
}

export class ItemLane {
  readonly #host: LaneHost;
  readonly #carrier: ItemCarrier;
  /** Those that wait for byte credit. */
  readonly #waiting = new Queue<WaitingStream>();
  /** What OPEN or OPENED says of the items of this session's streams; else the greeting counts. */
  #items: number | undefined;
  #uploads = 0;

  constructor(host: LaneHost, carrier: ItemCarrier) {
    this.#host = host;
    this.#carrier = carrier;
  }

  get window(): SendWindow {
    return this.#carrier.window;
  }

  /** Items that a stream may send before it has CREDIT of its own. */
  get items(): number {
    // [IC-8.15]
    return this.#items ?? this.#host.peer.items;
  }

  /** Requests in items that have credit, and whose last item has not left. */
  get uploads(): number {
    return this.#uploads;
  }

  onUpload(): void {
    this.#uploads += 1;
  }

  onUploadOver(): void {
    this.#uploads -= 1;
    this.#carrier.onUploadOver();
  }

  isLarge(unit: Unit): boolean {
    return this.#carrier.isLarge(unit);
  }

  /** OPEN says what counts in its session. */
  replace(items: number): void {
    this.#items = items;
  }

  /** OPENED only adds to what its opener may have used already. */
  raise(items: number): void {
    this.#items = Math.max(this.items, items);
  }

  /** Takes an item that has item credit. False where it waits for byte credit: `retry` is called then. */
  offer(stream: WaitingStream, item: OutgoingItem): boolean {
    if (this.#carrier.isLarge(item)) {
      this.#host.output.pushLarge(item);
      this.#host.wake();
      return true;
    }
    if (this.#waiting.size === 0 && this.#carrier.emit(item, 0)) return true;
    this.#waiting.push(stream);
    return false;
  }

  /** Takes the item of the stream whose turn it is; false where it still waits. */
  retry(item: OutgoingItem): boolean {
    return this.#carrier.emit(item, 0);
  }

  /** Lets go what has credit now, one item of each stream. */
  pump(): void {
    for (let stream = this.#waiting.peek(); stream !== undefined; stream = this.#waiting.peek()) {
      if (!stream.retry()) return;
      this.#waiting.shift();
    }
  }

  /** Takes a large item out that is not written whole. Others may have waited for its room. */
  remove(item: OutgoingItem): void {
    this.#host.output.remove(item);
    this.#host.wake();
  }

  clear(): void {
    this.#waiting.drain();
  }
}
