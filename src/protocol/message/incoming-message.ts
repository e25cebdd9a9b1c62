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

/** Why a dispatched message is no longer wanted; `too-large`: an item of its, for this side to take. */
export type AbortReason = 'timeout' | 'cancelled' | 'lost' | 'too-large';

/** The half of the session that it came in by. */
export interface IncomingContext {
  /** The byte credit that its settlement uses. */
  readonly settlementWindow: SendWindow;
  settle(message: IncomingMessage, type: number, meta: Buffer, payload: Buffer): boolean;
  onSettlementWritten(message: IncomingMessage): void;
  /** The hook for moves. */
  readonly watcher: MoveEffects;
  readonly streams: {
    reply(message: IncomingMessage, source: ItemSource): ItemSender;
    send(message: IncomingMessage, payload: Buffer): boolean;
  };
}

export class IncomingMessage extends IncomingState {
  readonly oneWay: boolean;
  /** Metadata entries of the request. */
  readonly metadata: Meta['metadata'];
  /** The request's payload, once it is whole. */
  data: Buffer = EMPTY;
  /** The payload while it arrives in fragments. */
  body: GrowingBuffer | undefined;
  /** Octets that TOTAL announced, or -1. */
  readonly total: number;
  /** Octets of the connection's credit that it holds until it is settled and its handler has ended. */
  held = 0;
  /** Octets of chunks that its payload, a view, pins beside its own. */
  pinned = 0;
  /** Octets of the session's credit that it holds; fragments give theirs back as they arrive. */
  heldInSession = 0;
  /** The items of the request, where it is a stream. */
  requestItems: ItemReceiver | undefined;
  /** The items of the answer. CREDIT may make it before anybody knows whether the answer is a stream. */
  responseItems: ItemSender | undefined;
  /** Whether the handler answers by a stream, which may have no items. */
  isStreamed = false;
  /** Set once the message is no longer wanted; its handler may still run. */
  abortReason: AbortReason | undefined;
  /** Told once, if the message is aborted after it was dispatched and before it was settled. */
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
    this.body = undefined;
    this.requestItems = undefined;
    this.responseItems = undefined;
    this.abortReason = undefined;
    this.abortListener = undefined;
  }

  /** The instant at which it times out; `Infinity` = never, or no more: its answer has begun. [IC-10.8] */
  get deadline(): number {
    return this.responseItems?.hasBegun === true ? Infinity : this.#deadline;
  }

  /**
   * The handler has ended, and settles it with ACCEPT or REJECT. False, and nothing goes out, where it is
   * settled already: after its deadline, or because the session is gone.
   */
  settle(type: number, meta: Buffer, payload: Buffer): boolean {
    return this.#receiver.settle(this, type, meta, payload);
  }

  /** Answers it by a stream; `source` is told when the first item may be given. */
  reply(source: ItemSource): ItemSender {
    return this.#receiver.streams.reply(this, source);
  }

  /**
   * Gives the next item of the answer; only where its `responseItems` are ready. False where it is larger than the
   * other side takes: the message is then settled.
   */
  giveItem(payload: Buffer): boolean {
    return this.#receiver.streams.send(this, payload);
  }

  /** Octets that wait for more of the message, or of an item, and for nothing else. */
  get stuck(): number {
    if (this.body !== undefined) return this.held;
    const { stuck = 0 } = this.requestItems ?? {};
    return stuck > 0 ? stuck + this.held : 0;
  }

  onWritten(): void {
    this.#receiver.onSettlementWritten(this);
    // Nothing is left to abort; and it would keep the request for as long as the settlement is kept.
    this.abortListener = undefined;
  }

  onAcknowledged(): void {
    this.payload = EMPTY;
  }

  protected get watcher(): MoveEffects {
    return this.#receiver.watcher;
  }

  /** Tells a handler that nobody waits for it. False where it was told before. */
  abort(reason: AbortReason): boolean {
    if (this.abortReason !== undefined) return false;
    this.abortReason = reason;
    this.abortListener?.onAbort(reason);
    return true;
  }
}
