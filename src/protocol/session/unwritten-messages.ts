/**
 * This side's messages of one session of which nothing is written: first they wait for credit, then in the
 * output for their turn. Until their first frame is written they can be taken back as if they had never been sent.
 */
import { DEADLINE_LENGTH, Flag, EMPTY } from '../../wire/index.js';
import type { Failure } from '../common/failure.js';
import type { ItemLane } from '../stream/item-lane.js';
import type { OutgoingMessage } from '../message/outgoing-message.js';
import { RevocableQueue } from '../output/revocable-queue.js';
import type { HalfContext } from './half-context.js';

export class UnwrittenMessages {
  readonly #host: HalfContext;
  readonly #lane: ItemLane;
  /** Messages that wait for credit. */
  readonly #queue = new RevocableQueue<OutgoingMessage>();
  /** Messages that have credit, and wait in the output for their first frame. */
  readonly #ready = new RevocableQueue<OutgoingMessage>();
  /** Messages of `#ready` that a settlement will answer. */
  #expected = 0;
  /** The order of the newest message that ever waited for credit. */
  #newest = 0;

  constructor(host: HalfContext, lane: ItemLane) {
    this.#host = host;
    this.#lane = lane;
  }

  /** Messages that wait for credit. */
  get queued(): number {
    return this.#queue.size;
  }

  /** Messages that have credit. */
  get ready(): number {
    return this.#ready.size;
  }

  /** Messages that have credit, and that a settlement will answer. */
  get expected(): number {
    return this.#expected;
  }

  /** Takes a message into the queue; the reason if the queue is full. */
  enqueue(message: OutgoingMessage): Failure | undefined {
    const full = this.#host.chargeQueue(message);
    if (full !== undefined) return full;
    this.#queue.push(message);
    if (message.order >= this.#newest) this.#newest = message.order;
    // One that comes back from another connection goes in front of those that were sent after it.
    else for (const each of this.#queue.drain().sort(byOrder)) this.#queue.push(each);
    return undefined;
  }

  /** The message that is the next to get credit. */
  peek(): OutgoingMessage | undefined {
    return this.#queue.peek();
  }

  /** That message has credit now. */
  dequeue(): void {
    const message = this.#queue.shift();
    if (message !== undefined) this.#host.releaseQueue(message);
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

  /** Takes one message back; `message.hasCredit` tells where it is. Its caller is still to be told. */
  revoke(message: OutgoingMessage): void {
    if (!message.hasCredit) {
      this.#host.releaseQueue(message);
      message.isRevoked = true;
      this.#queue.onRevoked();
    } else {
      this.#unready(message);
      message.isRevoked = true;
      this.#ready.onRevoked();
    }
  }

  /** Takes all messages back that have credit, in order. */
  takeReady(): OutgoingMessage[] {
    const messages = this.#ready.drain();
    for (const message of messages) this.#unready(message);
    return messages;
  }

  /** Takes all messages back that wait for credit, in order. */
  takeQueued(): OutgoingMessage[] {
    const messages = this.#queue.drain();
    for (const message of messages) this.#host.releaseQueue(message);
    return messages;
  }

  /** In the order in which they were sent. */
  *[Symbol.iterator](): IterableIterator<OutgoingMessage> {
    yield* this.#ready;
    yield* this.#queue;
  }

  /** Gives the credit of a message back. A large message has used none. */
  #unready(message: OutgoingMessage): void {
    if (!message.oneWay) this.#expected -= 1;
    if (isStream(message)) this.#lane.onUploadOver();
    const { output } = this.#host;
    if (output.isCleared) return;
    if (this.#lane.isLarge(message)) {
      output.remove(message);
      // Large messages of other sessions may have waited for its room.
      return this.#host.wake();
    }
    output.revoke(message);
    const size = message.payload.length + message.meta.length + fieldsOf(message);
    this.#lane.window.use(-size);
    this.#host.giveBack(size);
  }
}

/** The queues may keep a message for a while that was taken back for good. */
export function release(message: OutgoingMessage): void {
  message.payload = message.meta = EMPTY;
}

export function isStream({ flags }: OutgoingMessage): boolean {
  return (flags & Flag.STREAM) !== 0;
}

/** Octets of the fields that are written with the first frame of a message that fits into it. */
export function fieldsOf(message: OutgoingMessage): number {
  return message.hasDeadline ? DEADLINE_LENGTH : 0;
}

function byOrder(one: OutgoingMessage, other: OutgoingMessage): number {
  return one.order - other.order;
}
