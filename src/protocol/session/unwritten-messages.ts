/**
 * This side's messages of one session of which nothing is written. A message first waits for credit, then for its
 * turn in the output. Until its first frame is written, it can be taken back as if it had never been sent.
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
  /** Messages that wait for credit. */
  readonly #queue = new RevocableQueue<OutgoingMessage>();
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

  /** Number of messages that wait for credit. */
  get queued(): number {
    return this.#queue.size;
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
    this.#queue.push(message);
    if (message.order >= this.#newest) this.#newest = message.order;
    // A message that moved here from a former connection keeps its original position.
    else for (const each of this.#queue.drain().sort(byOrder)) this.#queue.push(each);
    return undefined;
  }

  /** Returns the message that gets credit next. */
  peek(): OutgoingMessage | undefined {
    return this.#queue.peek();
  }

  /** The message that `peek` returned has credit now. */
  shift(): void {
    const message = this.#queue.shift();
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
      this.#queue.onRevoked();
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
    const messages = this.#queue.drain();
    for (const message of messages) this.#context.releaseQueue(message);
    return messages;
  }

  /** The messages in the order in which they were sent. */
  *[Symbol.iterator](): IterableIterator<OutgoingMessage> {
    yield* this.#ready;
    yield* this.#queue;
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
