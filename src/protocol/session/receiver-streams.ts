/**
 * The streams of the other side's messages in one session: the items of their requests on the way in, those
 * of their answers on the way out.
 *
 * Items cross settlements: the sender of a request stops when it reads that it is settled, and the reader of
 * an answer has allowed more by then. So streams are known for a while after their message is settled, and
 * what is late is judged and ignored.
 */
import { Flag, type FrameView } from '../../wire/index.js';
import type { IncomingMessage } from '../message/incoming-message.js';
import type { ItemLane } from '../stream/item-lane.js';
import { type CreditContext, ItemReceiver } from '../stream/item-receiver.js';
import { ItemSender, type ItemSource } from '../stream/item-sender.js';
import type { HalfContext } from './half-context.js';
import { violation } from '../common/violation.js';
import { isAtMost } from '../flow/windows.js';

/** What the receiving half of a session does for them. */
export interface ReceiverStreamsContext extends CreditContext {
  /** A message whose settlement is not written. */
  find(id: number): IncomingMessage | undefined;
  /** The id that came last. */
  readonly lastId: number;
  /** The id of the SEND whose last FRAG is still to come, refused or not; 0 = there is none. */
  readonly unfinishedId: number;
  /** Settles a message of which an item is larger than this side takes. */
  refuseItem(message: IncomingMessage): void;
  /** Settles a message whose answer has an item that the other side does not take. */
  refuseReply(message: IncomingMessage): void;
}

/** What is left of a message that is settled. */
type Late = Pick<IncomingMessage, 'requestItems' | 'responseItems'>;

export class ReceiverStreams {
  readonly #host: HalfContext;
  readonly #receiver: ReceiverStreamsContext;
  readonly #lane: ItemLane;
  readonly #late = new Map<number, Late>();
  /** Messages of which an item is not whole. */
  readonly #unfinished = new Set<IncomingMessage>();

  constructor(host: HalfContext, receiver: ReceiverStreamsContext, lane: ItemLane) {
    this.#host = host;
    this.#receiver = receiver;
    this.#lane = lane;
  }

  /** SEND with STREAM: items follow. */
  open(message: IncomingMessage): void {
    message.requestItems = new ItemReceiver(this.#host, this.#receiver, message.id, Flag.REPLY);
  }

  /** Answers a message by a stream; `source` is told when the first item may be given. */
  reply(message: IncomingMessage, source: ItemSource): ItemSender {
    const items = (message.responseItems ??= this.#reply(message));
    message.isStreamed = true;
    items.start(source);
    return items;
  }

  /**
   * Takes the next item of an answer; only while its `responseItems` are ready. Returns false if the other side does not
   * take the item, or takes no items at all: the message is then settled.
   */
  send(message: IncomingMessage, payload: Buffer): boolean {
    const { responseItems } = message;
    // [IC-6.61]
    const isTaken = responseItems?.mayNeverSend !== true;
    const fits = payload.length <= this.#host.peerLimits.maxMessage && isTaken;
    if (fits) responseItems?.send(payload);
    else this.#receiver.refuseReply(message);
    return fits;
  }

  /** ITEM. False where it is late beyond measure. */
  onItem(frame: FrameView): boolean {
    const { id } = frame;
    // [IC-6.48]
    if (this.#receiver.unfinishedId === id)
      throw violation(`An item before message ${id} is complete.`);
    const message = this.#receiver.find(id);
    const items = (message ?? this.#late.get(id))?.requestItems;
    if (items === undefined) {
      // [IC-6.46]
      if (message !== undefined) throw violation(`An item for message ${id}, which is no stream.`);
      if (!isAtMost(id, this.#receiver.lastId))
        throw violation(`An item for message ${id}, never sent.`);
      this.#receiver.free(frame.size, frame.size);
      return false;
    }
    const fits = items.onItem(frame);
    // [IC-8.21]
    if (message !== undefined) this.#onPart(message, items, fits);
    return true;
  }

  /** FRAG. False where it continues no item. */
  onFragment(frame: FrameView): boolean {
    const { id } = frame;
    const message = this.#receiver.find(id);
    const items = (message ?? this.#late.get(id))?.requestItems;
    if (items?.isPartial !== true) return false;
    const fits = items.onFragment(frame);
    if (message !== undefined) this.#onPart(message, items, fits);
    return true;
  }

  /** CREDIT for the items of an answer, perhaps before there is one. False where it is of no use. */
  onCredit(id: number, limit: number): boolean {
    const message = this.#receiver.find(id);
    if (message !== undefined) {
      // [IC-6.42]
      if (message.oneWay) throw violation(`CREDIT for answers to message ${id}, which is one-way.`);
      message.responseItems ??= this.#reply(message);
      return message.responseItems.onCredit(limit);
    }
    if (!isAtMost(id, this.#receiver.lastId)) {
      throw violation(`CREDIT for the items of message ${id}, which never came.`);
    }
    // [IC-6.59]
    return this.#late.get(id)?.responseItems?.onCredit(limit) ?? false;
  }

  /** The message is settled, or nobody waits for that: neither half goes on. */
  stop(message: IncomingMessage): void {
    this.#drop(message);
    message.responseItems?.stop(false);
  }

  /** The session is over. */
  cut(message: IncomingMessage): void {
    this.#drop(message);
    message.responseItems?.stop(true);
  }

  unfinished(): IncomingMessage[] {
    return [...this.#unfinished];
  }

  /**
   * The settlement is written. What crosses it was written before it was read, when the message was one of
   * those that may be unsettled at once: no more than these have to be known.
   */
  retire({ id, requestItems, responseItems }: IncomingMessage): void {
    const isComplete = requestItems === undefined || requestItems.isComplete;
    // Nobody gives credit for items of which none was sent.
    const answer = responseItems?.hasBegun === true ? responseItems : undefined;
    if (isComplete && answer === undefined) return;
    this.#late.delete(id);
    this.#late.set(id, { requestItems, responseItems: answer });
    // [IC-8.22]
    if (this.#late.size <= this.#host.limits.messages) return;
    for (const [oldest] of this.#late) return void this.#late.delete(oldest);
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
