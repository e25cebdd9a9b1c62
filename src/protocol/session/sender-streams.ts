/**
 * The streams of this side's messages in one session: the items of their requests on the way out, those of
 * their answers on the way in.
 */
import { Flag, FrameType, type FrameView } from '../../wire/index.js';
import type { Failure } from '../common/failure.js';
import type { ItemLane } from '../stream/item-lane.js';
import { type CreditContext, ItemReceiver } from '../stream/item-receiver.js';
import { ItemSender } from '../stream/item-sender.js';
import type { OutgoingMessage } from '../message/outgoing-message.js';
import type { HalfContext } from './half-context.js';
import { violation } from '../common/violation.js';
import { isAtMost } from '../flow/windows.js';

/** What the sending half of a session does for them. */
export interface SenderStreamsContext {
  readonly lane: ItemLane;
  /** A message that is not settled. */
  find(id: number): OutgoingMessage | undefined;
  /** The id given last. */
  readonly lastId: number;
  /** Ends the wait for a message, on the wire too. */
  cancel(message: OutgoingMessage, failure: Failure): void;
  /** Tells the other side that nobody waits for a message, unless it was told before. */
  cancelOnWire(message: OutgoingMessage): void;
}

export class SenderStreams {
  readonly #host: HalfContext;
  readonly #sender: SenderStreamsContext;
  /** Counts the octets that items of answers hold: the receiving half of the session, which sets it. */
  holder: CreditContext | undefined;
  /** Answers of which an item is not whole. */
  readonly #unfinished = new Set<ItemReceiver>();

  constructor(host: HalfContext, sender: SenderStreamsContext) {
    this.#host = host;
    this.#sender = sender;
  }

  /** The message has its id. Its items are held back until all of it is on its way. */
  open(message: OutgoingMessage): void {
    const { sessionId, id } = message;
    message.requestItems = new ItemSender(this.#sender.lane, sessionId, id, 0);
  }

  /** Takes the next item of a request; only where its `requestItems` are ready. */
  send(message: OutgoingMessage, payload: Buffer, now: number): void {
    const { maxMessage } = this.#host.peerLimits;
    if (payload.length > maxMessage) {
      return this.#sender.cancel(message, {
        kind: 'too-large',
        executed: 'maybe',
        message:
          `An item of ${payload.length} bytes exceeds the ${maxMessage} bytes that the other side takes. ` +
          `Send smaller items, or raise maxMessageSize there.`,
      });
    }
    message.requestItems?.send(payload);
    message.touch(now);
  }

  /** ITEM with REPLY. */
  onItem(frame: FrameView, now: number): void {
    const { id } = frame;
    const message = this.#sender.find(id);
    // [IC-6.47]
    if (message?.started !== true || message.partialSettlement !== undefined) {
      throw violation(`An item answers message ${id}, which is settled or was never sent.`);
    }
    const items = (message.responseItems ??= this.#receive(message));
    message.touch(now);
    this.#onPart(message, items, items.onItem(frame));
  }

  /** FRAG with REPLY. False where it continues no item. */
  onFragment(frame: FrameView, now: number): boolean {
    const message = this.#sender.find(frame.id);
    const items = message?.responseItems;
    if (message === undefined || items?.isPartial !== true) return false;
    message.touch(now);
    this.#onPart(message, items, items.onFragment(frame));
    return true;
  }

  /** Answers of which an item is not whole, for whoever must make room. */
  unfinished(): Iterable<{ readonly stuck: number }> {
    return this.#unfinished;
  }

  /** CREDIT for the items of a request. False where it is of no use. */
  onCredit(id: number, limit: number, now: number): boolean {
    const message = this.#sender.find(id);
    if (message === undefined && !isAtMost(id, this.#sender.lastId)) {
      throw violation(`CREDIT for the items of message ${id}, which was never sent.`);
    }
    if (message?.requestItems?.onCredit(limit) !== true) return false;
    message.touch(now);
    return true;
  }

  /** The settlement of a message has begun with this frame. */
  onSettlement(message: OutgoingMessage, frame: FrameView): void {
    const { id, requestItems, responseItems } = message;
    // [IC-6.44]
    if (responseItems?.isPartial === true) {
      throw violation(`Message ${id} is settled before an item of its answer is complete.`);
    }
    message.isStreamed = frame.has(Flag.STREAM);
    // [IC-6.57]
    if (frame.type === FrameType.ACCEPT && responseItems !== undefined && !message.isStreamed) {
      throw violation(`Message ${id} was answered by items, and its ACCEPT has no STREAM.`);
    }
    requestItems?.stop(true);
    responseItems?.close();
  }

  /** Nobody wants the outcome of a message, or there is none. */
  drop({ requestItems, responseItems }: OutgoingMessage): void {
    // [IC-6.38]
    requestItems?.stop(true);
    responseItems?.drop();
    if (responseItems !== undefined) this.#unfinished.delete(responseItems);
  }

  #onPart(message: OutgoingMessage, items: ItemReceiver, fits: boolean): void {
    if (!fits) this.#refuse(message);
    else if (items.isPartial && message.isAwaited) this.#unfinished.add(items);
    else this.#unfinished.delete(items);
  }

  #receive(message: OutgoingMessage): ItemReceiver {
    if (this.holder === undefined) throw new Error('A session has no receiving half.');
    const items = new ItemReceiver(this.#host, this.holder, message.id, 0);
    message.responseItems = items;
    if (!message.isAwaited) {
      // The other side's clock has stopped, and it may not know that nobody waits. [IC-10.11]
      items.drop();
      this.#sender.cancelOnWire(message);
    } else if (message.takesItems) {
      items.sink = message;
    } else {
      this.#sender.cancel(message, UNEXPECTED);
    }
    return items;
  }

  #refuse(message: OutgoingMessage): void {
    // [IC-6.54]
    const limit = this.#host.limits.maxMessage;
    this.#sender.cancel(message, {
      kind: 'too-large',
      executed: 'yes',
      message: `An item of the other side's answer exceeds maxMessageSize ${limit}.`,
    });
  }
}

const UNEXPECTED: Failure = {
  kind: 'unexpected-stream',
  executed: 'yes',
  message:
    'The answer is a stream, and this send takes no items. Use session.stream(), or the option onItem.',
};
