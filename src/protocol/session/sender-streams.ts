/**
 * The streams of this side's messages in one session: the items of requests on the way out, and the items of
 * responses on the way in.
 */
import { Flag, FrameType, type FrameView } from '../../wire/index.js';
import type { Failure } from '../common/failure.js';
import type { ItemLane } from '../stream/item-lane.js';
import { type CreditContext, ItemReceiver } from '../stream/item-receiver.js';
import { ItemSender } from '../stream/item-sender.js';
import type { OutgoingMessage } from '../message/outgoing-message.js';
import type { HalfContext } from './half-context.js';
import { violationOf } from '../common/violation.js';
import { isAtMost } from '../flow/windows.js';

/** The services of the sending half of a session for its streams. */
export interface SenderStreamsContext {
  readonly lane: ItemLane;
  /** Returns a message that has an id and is not settled. */
  find(id: number): OutgoingMessage | undefined;
  /** The newest id that a message of this side has. */
  readonly lastId: number;
  /** Gives a message up, and writes CANCEL if the peer has begun to receive it. */
  cancel(message: OutgoingMessage, failure: Failure): void;
  /** Writes CANCEL for a message, unless this side has already written one. */
  cancelOnWire(message: OutgoingMessage): void;
}

export class SenderStreams {
  readonly #context: HalfContext;
  readonly #sender: SenderStreamsContext;
  /** Counts the octets that items of responses hold. The receiving half of the session assigns itself here. */
  holder: CreditContext | undefined;
  /** Responses that have an incomplete item. */
  readonly #unfinished = new Set<ItemReceiver>();

  constructor(context: HalfContext, sender: SenderStreamsContext) {
    this.#context = context;
    this.#sender = sender;
  }

  /** The message has its id. Its items wait until its last frame is written. */
  open(message: OutgoingMessage): void {
    const { sessionId, id } = message;
    message.requestItems = new ItemSender(this.#sender.lane, sessionId, id, 0);
  }

  /** Takes the next item of a request. Call it only if `requestItems` are ready. */
  send(message: OutgoingMessage, payload: Buffer, now: number): void {
    const { maxMessage } = this.#context.peerLimits;
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

  /** ITEM with REPLY: an item of a response. */
  onItem(frame: FrameView, now: number): void {
    const { id } = frame;
    const message = this.#sender.find(id);
    // [IC-6.51]
    if (message?.started !== true || message.partialSettlement !== undefined) {
      throw violationOf('An item responds to message', id, ', which is settled or was never sent.');
    }
    const items = (message.responseItems ??= this.#receive(message));
    message.touch(now);
    this.#onPart(message, items, items.onItem(frame));
  }

  /** FRAG with REPLY. Returns false if it continues no item. */
  onFragment(frame: FrameView, now: number): boolean {
    const message = this.#sender.find(frame.id);
    const items = message?.responseItems;
    if (message === undefined || items?.isPartial !== true) return false;
    message.touch(now);
    this.#onPart(message, items, items.onFragment(frame));
    return true;
  }

  /** Responses that have an incomplete item: `makeRoom` counts them. */
  unfinished(): Iterable<{ readonly stuck: number }> {
    return this.#unfinished;
  }

  /** CREDIT for the items of a request. Returns false if it changes nothing. */
  onCredit(id: number, limit: number, now: number): boolean {
    const message = this.#sender.find(id);
    if (message === undefined && !isAtMost(id, this.#sender.lastId)) {
      throw violationOf('CREDIT for the items of message', id, ', which was never sent.');
    }
    if (message?.requestItems?.onCredit(limit) !== true) return false;
    message.touch(now);
    return true;
  }

  /** The settlement of a message begins with this frame. */
  onSettlement(message: OutgoingMessage, frame: FrameView): void {
    const { id, requestItems, responseItems } = message;
    // [IC-6.43]
    if (responseItems?.isPartial === true) {
      throw violationOf('Message', id, ' is settled before an item of its response is complete.');
    }
    message.isStreamed = frame.has(Flag.STREAM);
    // [IC-6.45]
    if (frame.type === FrameType.ACCEPT && responseItems !== undefined && !message.isStreamed) {
      throw violationOf('Message', id, ' was answered by items, and its ACCEPT has no STREAM.');
    }
    requestItems?.stop(true);
    responseItems?.close();
  }

  /** The caller of a message has given up, or the message has failed: its streams stop. */
  drop({ requestItems, responseItems }: OutgoingMessage): void {
    // [IC-6.47]
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
    const items = new ItemReceiver(this.#context, this.holder, message.id, 0);
    message.responseItems = items;
    if (!message.isAwaited) {
      // The item has stopped the peer's clock: only CANCEL tells the peer that the caller has given up. [IC-10.13]
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
    // [IC-6.58]
    const limit = this.#context.limits.maxMessage;
    this.#sender.cancel(message, {
      kind: 'too-large',
      executed: 'yes',
      message: `An item of the other side's response exceeds maxMessageSize ${limit}.`,
    });
  }
}

const UNEXPECTED: Failure = {
  kind: 'unexpected-stream',
  executed: 'yes',
  message:
    'The response is a stream, and this send takes no items. Use session.stream(), or the option onItem.',
};
