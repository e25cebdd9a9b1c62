/**
 * A first-in first-out queue in a ring. If items come and go at the same pace, the queue allocates nothing.
 * `Array.prototype.shift` would be slower: from some tens of thousands of entries on, its time is linear in Node 20.
 */
export class Queue<T> {
  #ring: (T | undefined)[] = [];
  #head = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(item: T): void {
    if (this.#size === this.#ring.length) this.#grow();
    this.#ring[(this.#head + this.#size) & (this.#ring.length - 1)] = item;
    this.#size += 1;
  }

  peek(): T | undefined {
    return this.#size === 0 ? undefined : this.#ring[this.#head];
  }

  /** The item at `index`, counted from the front. */
  at(index: number): T | undefined {
    if (index >= this.#size) return undefined;
    return this.#ring[(this.#head + index) & (this.#ring.length - 1)];
  }

  shift(): T | undefined {
    if (this.#size === 0) return undefined;
    const item = this.#ring[this.#head];
    this.#ring[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#ring.length - 1);
    this.#size -= 1;
    if (this.#size === 0 && this.#ring.length > LARGEST_IDLE) this.#reset();
    return item;
  }

  /** Empties the queue, and returns its items in order. */
  drain(): T[] {
    const items = [...this];
    this.#reset();
    return items;
  }

  *[Symbol.iterator](): IterableIterator<T> {
    for (let index = 0; index < this.#size; index++) yield this.at(index)!;
  }

  #reset(): void {
    this.#ring = [];
    this.#head = this.#size = 0;
  }

  #grow(): void {
    const length = Math.max(SMALLEST, this.#ring.length * 2);
    const ring = new Array<T | undefined>(length).fill(undefined);
    for (let index = 0; index < this.#size; index++) ring[index] = this.at(index);
    this.#ring = ring;
    this.#head = 0;
  }
}

const SMALLEST = 16;
/** An empty queue keeps a ring of at most this length, so that it frees the memory of a burst. */
const LARGEST_IDLE = 1024;
