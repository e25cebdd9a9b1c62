/**
 * This side's messages of one session of which nothing is written. A message first waits for credit, and for room in
 * the output, and then for its turn in the output. Until its first frame is written, it can be taken back as if it had never been sent.
 */
import { DEADLINE_LENGTH, Flag, EMPTY } from '../../wire/index.js';
import type { Failure } from '../common/failure.js';
import type { ItemLane } from '../stream/item-lane.js';
import type { OutgoingMessage } from '../message/outgoing-message.js';
import { RevocableQueue } from '../output/revocable-queue.js';
import type { HalfContext } from './half-context.js';

export class UnwrittenMessages {
  readonly #context: HalfContext;
  readonly #lane: ItemLane;
  /** Messages that wait for credit or for room in the output, in the order of sending. */
  readonly #queue = new RevocableQueue<OutgoingMessage>();
  /** Messages that came back from a former connection, and that wait as well, in the order of sending. */
  readonly #returned = new RevocableQueue<OutgoingMessage>();
  /** The `order` of the newest message that ever came back. */
  #newestReturned = 0;
  /** Messages that have credit, and wait in the output for their first frame. */
  readonly #ready = new RevocableQueue<OutgoingMessage>();
  /** Number of messages in `#ready` that are not one-way. */
  #expected = 0;
  /** The `order` of the newest message that ever waited for credit. */
  #newest = 0;

  constructor(context: HalfContext, lane: ItemLane) {
    this.#context = context;
    this.#lane = lane;
  }

  /** Number of messages that wait for credit or for room in the output. */
  get queued(): number {
    return this.#queue.size + this.#returned.size;
  }

  /** Number of messages that have credit. */
  get ready(): number {
    return this.#ready.size;
  }

  /** Number of messages that have credit and are not one-way. */
  get expected(): number {
    return this.#expected;
  }

  /** Takes a message into the queue. Returns a failure if the queue is full. */
  push(message: OutgoingMessage): Failure | undefined {
    const full = this.#context.chargeQueue(message);
    if (full !== undefined) return full;
    if (message.order >= this.#newest) {
      this.#newest = message.order;
      this.#queue.push(message);
    } else {
      this.#pushReturned(message);
    }
    return undefined;
  }

  /** Returns the message that gets credit next. */
  peek(): OutgoingMessage | undefined {
    return this.#next.peek();
  }

  /** The message that `peek` returned has credit now. */
  shift(): void {
    const message = this.#next.shift();
    if (message !== undefined) this.#context.releaseQueue(message);
  }

  /** The message has been charged, or is large, and is handed to the output. */
  onReady(message: OutgoingMessage): void {
    message.onCredit();
    this.#ready.push(message);
    if (!message.oneWay) this.#expected += 1;
    if (isStream(message)) this.#lane.onUpload();
  }

  /** The first frame of the oldest ready message is written next. */
  onStart(message: OutgoingMessage): void {
    this.#ready.shift();
    if (!message.oneWay) this.#expected -= 1;
  }

  /** Takes one message back, from the output if it has credit. The caller of this method tells the application. */
  revoke(message: OutgoingMessage): void {
    if (!message.hasCredit) {
      this.#context.releaseQueue(message);
      message.isRevoked = true;
      (message.hasReturned ? this.#returned : this.#queue).onRevoked();
    } else {
      this.#unready(message);
      message.isRevoked = true;
      this.#ready.onRevoked();
    }
  }

  /** Takes back all messages that have credit, in order. */
  takeReady(): OutgoingMessage[] {
    const messages = this.#ready.drain();
    for (const message of messages) this.#unready(message);
    return messages;
  }

  /** Takes back all messages that wait for credit, in order. */
  takeQueued(): OutgoingMessage[] {
    const messages = [...this.#waiting()];
    this.#queue.drain();
    this.#returned.drain();
    for (const message of messages) this.#context.releaseQueue(message);
    return messages;
  }

  /** The messages in the order in which they were sent. */
  *[Symbol.iterator](): IterableIterator<OutgoingMessage> {
    yield* this.#ready;
    yield* this.#waiting();
  }

  /** The queue of the message that gets credit next. */
  get #next(): RevocableQueue<OutgoingMessage> {
    if (this.#returned.size === 0) return this.#queue;
    const returned = this.#returned.peek()!;
    const other = this.#queue.peek();
    return other === undefined || returned.order < other.order ? this.#returned : this.#queue;
  }

  /**
   * A message that came back from a former connection keeps its place in the order of sending. Such messages come back
   * one after the other in that order, so that a queue of their own costs no search for the place.
   */
  #pushReturned(message: OutgoingMessage): void {
    message.hasReturned = true;
    this.#returned.push(message);
    if (message.order >= this.#newestReturned) this.#newestReturned = message.order;
    // Only messages of several former connections can come back out of order.
    else for (const each of this.#returned.drain().sort(byOrder)) this.#returned.push(each);
  }

  /** The messages that wait for credit, in the order of sending. */
  #waiting(): OutgoingMessage[] {
    if (this.#returned.size === 0) return [...this.#queue];
    return [...this.#queue, ...this.#returned].sort(byOrder);
  }

  /** Gives the credit of a message back. A large message has used none. */
  #unready(message: OutgoingMessage): void {
    if (!message.oneWay) this.#expected -= 1;
    if (isStream(message)) this.#lane.onUploadOver();
    const { output } = this.#context;
    if (output.isCleared) return;
    if (this.#lane.isLarge(message)) {
      output.remove(message);
      // Large messages of other sessions may have waited for its room.
      return this.#context.wake();
    }
    output.revoke(message);
    const size = message.payload.length + message.meta.length + fieldsOf(message);
    this.#lane.window.use(-size);
    this.#context.giveBack(size);
  }
}

/** Frees the memory of a message that was given up: the queues may keep the object for a while. */
export function release(message: OutgoingMessage): void {
  message.payload = message.meta = EMPTY;
}

export function isStream({ flags }: OutgoingMessage): boolean {
  return (flags & Flag.STREAM) !== 0;
}

/** Octets of the fields that the output adds to the frame of a small message. */
export function fieldsOf(message: OutgoingMessage): number {
  return message.hasDeadline ? DEADLINE_LENGTH : 0;
}

function byOrder(one: OutgoingMessage, other: OutgoingMessage): number {
  return one.order - other.order;
}
