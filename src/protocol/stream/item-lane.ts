/**
 * The lane of a session: its items, of requests and of responses, on their way into the output. Like requests, items leave
 * the reserve of byte credit to settlements. Otherwise two sides whose items fill each other's memory could not even
 * settle their messages.
 */
import type { OutgoingItem } from './outgoing-item.js';
import type { Limits } from '../flow/limits.js';
import type { MoveEffects } from '../common/moves.js';
import { Queue } from '../common/queue.js';
import type { Unit } from '../output/unit.js';
import type { SendWindow } from '../flow/windows.js';

/** The way of items out of a session. `SessionSender` implements it, and charges items like its other units. */
export interface ItemOutlet {
  readonly window: SendWindow;
  /** Charges a small unit and hands it to the output. Returns false if it waits for credit, or for room in the output. */
  emit(unit: Unit, fields: number): boolean;
  /** Whether the unit leaves in fragments. */
  isLarge(unit: Unit): boolean;
  /** A request stream is over. A session that ends may have waited for this. */
  onUploadOver(): void;
}

/** The services of a connection for the streams that it writes. */
export interface LaneContext extends MoveEffects {
  /** The limits that the other side has announced. */
  readonly peerLimits: Limits;
  readonly output: { pushLarge(unit: Unit): void; remove(unit: Unit): void };
  /** There is output to write. */
  wake(): void;
}

/** A stream whose next item waits for byte credit or for room in the output. */
export interface WaitingStream {
  /** Hands the waiting item to the output. Returns false if the item must still wait. */
  retry(): boolean;
}

export class ItemLane {
  /** The streams of this lane use the context too. */
  readonly context: LaneContext;
  readonly #outlet: ItemOutlet;
  /** Streams whose next item waits for byte credit or for room in the output. */
  readonly #waiting = new Queue<WaitingStream>();
  /** The item limit that OPEN or OPENED gave. Undefined if the limit of the greeting counts. */
  #items: number | undefined;
  #uploads = 0;

  constructor(context: LaneContext, outlet: ItemOutlet) {
    this.context = context;
    this.#outlet = outlet;
  }

  get window(): SendWindow {
    return this.#outlet.window;
  }

  /** How many items a stream may send before CREDIT for it arrives. */
  get items(): number {
    // [IC-8.15]
    return this.#items ?? this.context.peerLimits.items;
  }

  /** The number of request streams whose message has credit, and whose last item has not left. */
  get uploads(): number {
    return this.#uploads;
  }

  onUpload(): void {
    this.#uploads += 1;
  }

  onUploadOver(): void {
    this.#uploads -= 1;
    this.#outlet.onUploadOver();
  }

  isLarge(unit: Unit): boolean {
    return this.#outlet.isLarge(unit);
  }

  /** OPEN gives the item limit for its session. */
  replace(items: number): void {
    this.#items = items;
  }

  /** OPENED gives an item limit. A lower limit has no effect, because the opener may have used the former one already. */
  raise(items: number): void {
    this.#items = Math.max(this.items, items);
  }

  /** Takes an item that has item credit. If the item must wait, returns false, and calls `stream.retry` later. */
  offer(stream: WaitingStream, item: OutgoingItem): boolean {
    if (this.#outlet.isLarge(item)) {
      this.context.output.pushLarge(item);
      this.context.wake();
      return true;
    }
    if (this.#waiting.size === 0 && this.#outlet.emit(item, 0)) return true;
    this.#waiting.push(stream);
    return false;
  }

  /** Takes the item of the first waiting stream. Returns false if it must still wait. */
  retry(item: OutgoingItem): boolean {
    return this.#outlet.emit(item, 0);
  }

  /** Hands waiting items to the output, one of each stream, as far as there is credit and room. */
  pump(): void {
    for (let stream = this.#waiting.peek(); stream !== undefined; stream = this.#waiting.peek()) {
      if (!stream.retry()) return;
      this.#waiting.shift();
    }
  }

  /** Takes back a large item that is not written whole. Another large unit may have waited for its room. */
  remove(item: OutgoingItem): void {
    this.context.output.remove(item);
    this.context.wake();
  }

  clear(): void {
    this.#waiting.drain();
  }
}
