/**
 * A table of messages by id, fast if the ids are consecutive.
 *
 * The low bits of an id are its index in a ring. Usually a message is settled before another message needs its entry, and
 * a look-up takes two array accesses. A `Map` would cost thirty times as much. If another message needs the entry, the
 * older message moves to a map. So one slow message does not slow down the fast ones.
 */
export class MessageTable<T extends { readonly id: number }> {
  #ring: (T | undefined)[] = [];
  #overflow: Map<number, T> | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: number): T | undefined {
    const item = this.#ring[id & (this.#ring.length - 1)];
    if (item !== undefined && item.id === id) return item;
    return this.#overflow?.get(id);
  }

  /** Adds a message. Its id must not be in the table. */
  add(item: T): void {
    if (this.#ring.length === 0) this.#ring = emptyRing<T>(SMALLEST_RING);
    this.#size++;
    let slot = item.id & (this.#ring.length - 1);
    if (this.#ring[slot] !== undefined && this.#size > this.#ring.length / 2) {
      this.#grow();
      slot = item.id & (this.#ring.length - 1);
    }
    const older = this.#ring[slot];
    if (older !== undefined) (this.#overflow ??= new Map()).set(older.id, older);
    this.#ring[slot] = item;
  }

  delete(id: number): boolean {
    const slot = id & (this.#ring.length - 1);
    const item = this.#ring[slot];
    if (item !== undefined && item.id === id) {
      this.#ring[slot] = undefined;
    } else if (this.#overflow?.delete(id) !== true) {
      return false;
    }
    this.#size--;
    return true;
  }

  /** Returns a copy in no particular order: the caller may delete entries while it walks over the copy. */
  values(): T[] {
    const items: T[] = this.#overflow === undefined ? [] : [...this.#overflow.values()];
    for (const item of this.#ring) if (item !== undefined) items.push(item);
    return items;
  }

  clear(): void {
    this.#ring = [];
    this.#overflow = undefined;
    this.#size = 0;
  }

  #grow(): void {
    if (this.#ring.length >= LARGEST_RING) return;
    const items = this.#ring;
    this.#ring = emptyRing<T>(items.length * 2);
    for (const item of items) {
      if (item !== undefined) this.#ring[item.id & (this.#ring.length - 1)] = item;
    }
  }
}

function emptyRing<T>(length: number): (T | undefined)[] {
  return new Array<T | undefined>(length).fill(undefined);
}

const SMALLEST_RING = 16;
const LARGEST_RING = 4096;
