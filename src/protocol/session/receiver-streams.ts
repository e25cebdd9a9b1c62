/**
 * The streams of the peer's messages in one session: the items of requests on the way in, and the items of
 * responses on the way out.
 *
 * Items and CREDIT can cross a settlement: the peer sends items of a request, and grants credit for items of the
 * response, until it has read the settlement. So this class remembers the streams of a settled message for a
 * while. It checks late frames against the rules, and then ignores them.
 */
import { Flag, type FrameView } from '../../wire/index.js';
import { STREAM_PRICE } from '../flow/account.js';
import type { IncomingMessage } from '../message/incoming-message.js';
import type { ItemLane } from '../stream/item-lane.js';
import { type CreditContext, ItemReceiver } from '../stream/item-receiver.js';
import { ItemSender, type ItemSource } from '../stream/item-sender.js';
import type { HalfContext } from './half-context.js';
import { violationOf } from '../common/violation.js';
import { isAtMost } from '../flow/windows.js';

/** The services of the receiving half of a session for its streams. */
export interface ReceiverStreamsContext extends CreditContext {
  /** Returns a message whose settlement is not written. */
  find(id: number): IncomingMessage | undefined;
  /** The id of the newest SEND. */
  readonly lastId: number;
  /** The id of the message whose last FRAG is still to come, even if it is settled; 0 = there is none. */
  readonly unfinishedId: number;
  /** Settles a message that has an item larger than this side takes. */
  refuseItem(message: IncomingMessage): void;
  /** Settles a message whose response has an item that the peer does not take. */
  refuseReply(message: IncomingMessage): void;
}

/** The streams of a settled message, remembered for late frames. */
type Late = Pick<IncomingMessage, 'requestItems' | 'responseItems'>;

export class ReceiverStreams {
  readonly #context: HalfContext;
  readonly #receiver: ReceiverStreamsContext;
  readonly #lane: ItemLane;
  readonly #late = new Map<number, Late>();
  /** Messages that have an incomplete item. */
  readonly #unfinished = new Set<IncomingMessage>();

  constructor(context: HalfContext, receiver: ReceiverStreamsContext, lane: ItemLane) {
    this.#context = context;
    this.#receiver = receiver;
    this.#lane = lane;
  }

  /** A SEND with STREAM has arrived: items follow. */
  open(message: IncomingMessage): void {
    message.requestItems = new ItemReceiver(this.#context, this.#receiver, message.id, Flag.REPLY);
  }

  /** Begins a stream as the response to a message. `source` is told when it may give the first item. */
  reply(message: IncomingMessage, source: ItemSource): ItemSender {
    const items = (message.responseItems ??= this.#reply(message));
    message.isStreamed = true;
    items.start(source);
    return items;
  }

  /**
   * Takes the next item of a response. Call it only if `responseItems` are ready. Returns false if the peer does not
   * take the item, or takes no items at all: the message is then settled.
   */
  send(message: IncomingMessage, payload: Buffer): boolean {
    const { responseItems } = message;
    // [IC-6.59]
    const isTaken = responseItems?.mayNeverSend !== true;
    const fits = payload.length <= this.#context.peerLimits.maxMessage && isTaken;
    if (fits) responseItems?.send(payload);
    else this.#receiver.refuseReply(message);
    return fits;
  }

  /** ITEM without REPLY. Returns false for an item of a message that this side no longer remembers. */
  onItem(frame: FrameView): boolean {
    const { id } = frame;
    // [IC-6.52]
    if (this.#receiver.unfinishedId === id)
      throw violationOf('An item before message', id, ' is complete.');
    const message = this.#receiver.find(id);
    const items = (message ?? this.#late.get(id))?.requestItems;
    if (items === undefined) {
      // [IC-6.50]
      if (message !== undefined)
        throw violationOf('An item for message', id, ', which is no stream.');
      if (!isAtMost(id, this.#receiver.lastId))
        throw violationOf('An item for message', id, ', never sent.');
      this.#receiver.free(frame.size, frame.size);
      return false;
    }
    const fits = items.onItem(frame);
    // [IC-8.21]
    if (message !== undefined) this.#onPart(message, items, fits);
    return true;
  }

  /** FRAG without REPLY. Returns false if it continues no item. */
  onFragment(frame: FrameView): boolean {
    const { id } = frame;
    const message = this.#receiver.find(id);
    const items = (message ?? this.#late.get(id))?.requestItems;
    if (items?.isPartial !== true) return false;
    const fits = items.onFragment(frame);
    if (message !== undefined) this.#onPart(message, items, fits);
    return true;
  }

  /** CREDIT for the items of a response, perhaps before the response begins. Returns false if it changes nothing. */
  onCredit(id: number, limit: number): boolean {
    const message = this.#receiver.find(id);
    if (message !== undefined) {
      // [IC-6.14]
      if (message.oneWay)
        throw violationOf('CREDIT for responses to message', id, ', which is one-way.');
      message.responseItems ??= this.#reply(message);
      return message.responseItems.onCredit(limit);
    }
    if (!isAtMost(id, this.#receiver.lastId)) {
      throw violationOf('CREDIT for the items of message', id, ', which never came.');
    }
    // [IC-6.15]
    return this.#late.get(id)?.responseItems?.onCredit(limit) ?? false;
  }

  /** The message is settled, or its sender has given it up: both of its streams stop. */
  stop(message: IncomingMessage): void {
    this.#drop(message);
    message.responseItems?.stop(false);
  }

  /** The session is over: both streams of the message stop, even within an item. */
  cut(message: IncomingMessage): void {
    this.#drop(message);
    message.responseItems?.stop(true);
  }

  /** Messages that have an incomplete item. */
  unfinished(): IncomingMessage[] {
    return [...this.#unfinished];
  }

  /**
   * The settlement is written. Frames can cross it only until the peer has read it, and the peer still counts the
   * message as unsettled then. So this class remembers no more messages than may be unsettled at once.
   */
  retire({ id, requestItems, responseItems }: IncomingMessage): void {
    const isComplete = requestItems === undefined || requestItems.isComplete;
    // If no item was sent, no CREDIT for items of the response can arrive late.
    const response = responseItems?.hasBegun === true ? responseItems : undefined;
    if (isComplete && response === undefined) return;
    if (!this.#late.delete(id)) this.#context.account.take(STREAM_PRICE);
    this.#late.set(id, { requestItems, responseItems: response });
    // [IC-8.22]
    if (this.#late.size <= this.#context.limits.messages) return;
    this.#context.account.give(STREAM_PRICE);
    for (const [oldest] of this.#late) return void this.#late.delete(oldest);
  }

  /** The session is over: no late frame is looked at any more. */
  close(): void {
    this.#context.account.give(this.#late.size * STREAM_PRICE);
    this.#late.clear();
  }

  #onPart(message: IncomingMessage, items: ItemReceiver, fits: boolean): void {
    if (!fits) this.#receiver.refuseItem(message);
    else if (items.isPartial) this.#unfinished.add(message);
    else this.#unfinished.delete(message);
  }

  #drop(message: IncomingMessage): void {
    if (message.requestItems === undefined) return;
    message.requestItems.drop();
    this.#unfinished.delete(message);
  }

  #reply({ sessionId, id }: IncomingMessage): ItemSender {
    return new ItemSender(this.#lane, sessionId, id, Flag.REPLY);
  }
}
