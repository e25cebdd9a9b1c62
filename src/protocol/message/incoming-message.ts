/**
 * A message of the peer, from its first frame to the settlement that this side writes. Its states are in
 * `incoming-state.ts`.
 *
 * The message is also the unit that goes out: when it is settled, the object becomes its ACCEPT or REJECT.
 */
import { EMPTY, Flag, type FrameView, type GrowingBuffer, type Meta } from '../../wire/index.js';
import type { ItemReceiver } from '../stream/item-receiver.js';
import type { ItemSender, ItemSource } from '../stream/item-sender.js';
import type { MoveEffects } from '../common/moves.js';
import { IncomingState } from './incoming-state.js';
import type { SendWindow } from '../flow/windows.js';

/** Why a running message is no longer wanted. `too-large`: one of its items is larger than this side takes. */
export type AbortReason = 'timeout' | 'cancelled' | 'lost' | 'too-large';

/** The receiving half of the session, as the message sees it. */
export interface IncomingContext {
  /** The byte credit that settlements use. */
  readonly settlementWindow: SendWindow;
  settle(message: IncomingMessage, type: number, meta: Buffer, payload: Buffer): boolean;
  onSettlementWritten(message: IncomingMessage): void;
  /** Receives the changes of state, for a trace. */
  readonly watcher: MoveEffects;
  readonly streams: {
    reply(message: IncomingMessage, source: ItemSource): ItemSender;
    send(message: IncomingMessage, payload: Buffer): boolean;
  };
}

export class IncomingMessage extends IncomingState {
  readonly oneWay: boolean;
  /** Metadata entries of the request; undefined when the handler has ended. */
  metadata: Meta['metadata'];
  /** The request's payload, once it is whole. */
  data: Buffer = EMPTY;
  /** The payload while it arrives in fragments. */
  body: GrowingBuffer | undefined;
  /** Octets that TOTAL announced, or -1. */
  readonly total: number;
  /** Octets of the connection's credit that the message holds until its settlement is written and its handler ends. */
  held = 0;
  /** Octets of memory that the account of the connection counts for the message; see `Account`. */
  charged = 0;
  /** Octets of the chunk that the payload pins, if the payload is a view; see `pinnedBy`. */
  pinned = 0;
  /** Octets of the session's credit that the message holds. A fragment gives its octets back when it arrives. */
  heldInSession = 0;
  /** The items of the request, if it is a stream. */
  requestItems: ItemReceiver | undefined;
  /** The items of the response. CREDIT for items can create this before the handler has decided to stream. */
  responseItems: ItemSender | undefined;
  /** Whether the response is a stream, which may have no items. */
  isStreamed = false;
  /** Set once the message is no longer wanted; its handler may still run. */
  abortReason: AbortReason | undefined;
  /** Whether the application keeps the message for later: its handler has not begun, although the state is RUNNING. */
  isKeptForLater = false;
  /** Called at most once: when the message is aborted while its handler runs. */
  abortListener: { onAbort(reason: AbortReason): void } | undefined;
  readonly #receiver: IncomingContext;
  readonly #deadline: number;

  /** `frame`: the SEND. `meta`: its fields. `deadline`: the instant at which the message times out. */
  constructor(receiver: IncomingContext, frame: FrameView, meta: Meta, deadline: number) {
    super(!frame.has(Flag.MORE));
    this.sessionId = frame.session;
    this.id = frame.id;
    this.window = receiver.settlementWindow;
    this.#receiver = receiver;
    this.oneWay = frame.has(Flag.ONEWAY);
    this.#deadline = deadline;
    this.metadata = meta.metadata;
    this.total = meta.total ?? -1;
  }

  /** The instant at which the message times out; `Infinity` = never, or its response stream has begun. [IC-10.10] */
  get deadline(): number {
    return this.responseItems?.hasBegun === true ? Infinity : this.#deadline;
  }

  /**
   * The handler has ended, and settles the message with ACCEPT or REJECT. Returns false, and writes nothing, if the
   * message is settled already: for example, because its deadline has passed or its session is over.
   */
  settle(type: number, meta: Buffer, payload: Buffer): boolean {
    return this.#receiver.settle(this, type, meta, payload);
  }

  /** Begins a stream as the response. `source` is told when it may give the first item. */
  reply(source: ItemSource): ItemSender {
    return this.#receiver.streams.reply(this, source);
  }

  /**
   * Gives the next item of the response. Call it only if `responseItems` are ready. Returns false if the peer does not
   * take the item: the message is then settled.
   */
  giveItem(payload: Buffer): boolean {
    return this.#receiver.streams.send(this, payload);
  }

  /** Octets that the message holds while the rest of it, or of an item, is missing; 0 if nothing is missing. */
  get stuck(): number {
    if (this.body !== undefined) return this.held;
    const { stuck = 0 } = this.requestItems ?? {};
    return stuck > 0 ? stuck + this.held : 0;
  }

  onWritten(): void {
    this.#receiver.onSettlementWritten(this);
    // The message cannot be aborted any more. The settlement is kept for a while, and the listener would keep the request.
    this.abortListener = undefined;
  }

  onAcknowledged(): void {
    this.payload = EMPTY;
  }

  protected get watcher(): MoveEffects {
    return this.#receiver.watcher;
  }

  /** Tells the handler that its outcome is no longer wanted. Returns false if the handler was told before. */
  abort(reason: AbortReason): boolean {
    if (this.abortReason !== undefined) return false;
    this.abortReason = reason;
    this.abortListener?.onAbort(reason);
    return true;
  }
}
