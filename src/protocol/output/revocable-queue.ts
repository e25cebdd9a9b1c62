/**
 * A first-in first-out queue whose items can be revoked before their turn comes.
 *
 * A revoked item keeps its place until the queue reaches it, or until more than half of the queue is revoked. So the
 * cost of a revocation does not depend on the length of the queue. Apart from a few, the queue never holds more
 * revoked items than others.
 */
import { Queue } from '../common/queue.js';

/** An item that knows whether it was revoked. */
export interface Revocable {
  readonly isRevoked: boolean;
}

export class RevocableQueue<T extends Revocable> {
  readonly #items = new Queue<T>();
  /** Items that are revoked and still have a place in the queue. */
  #revoked = 0;

  /** Items that are not revoked. */
  get size(): number {
    return this.#items.size - this.#revoked;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  peek(): T | undefined {
    if (this.#revoked > 0) this.#skip();
    return this.#items.peek();
  }

  shift(): T | undefined {
    if (this.#revoked > 0) this.#skip();
    return this.#items.shift();
  }

  /** An item of this queue was revoked: `shift` will pass it over. */
  onRevoked(): void {
    this.#revoked += 1;
    if (this.#revoked > MOST_REVOKED && this.#revoked > this.size) this.discardRevoked();
  }

  /** Takes the revoked items out. After this, they may be put into a queue again. */
  discardRevoked(): void {
    if (this.#revoked === 0) return;
    for (const item of this.drain()) this.#items.push(item);
  }

  /** Empties the queue, and returns the items that are not revoked, in order. */
  drain(): T[] {
    this.#revoked = 0;
    return this.#items.drain().filter(({ isRevoked }) => !isRevoked);
  }

  *[Symbol.iterator](): IterableIterator<T> {
    for (const item of this.#items) if (!item.isRevoked) yield item;
  }

  #skip(): void {
    while (this.#items.peek()?.isRevoked === true) {
      this.#items.shift();
      this.#revoked -= 1;
    }
  }
}

/** This many revoked items may stay, even if the queue holds fewer others. */
const MOST_REVOKED = 32;
