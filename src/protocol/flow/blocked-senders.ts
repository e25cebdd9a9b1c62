/**
 * The blocked senders: the sending halves that wait for byte credit of their connection, each with the credit it needs.
 *
 * A peer can raise its limit octet by octet. So a CREDIT must not look at each sender that waits: the senders are in a
 * binary heap, and only those that can go on are touched.
 */
import type { SendWindow } from './windows.js';

export interface BlockedSender {
  /** Sends everything that has credit. */
  pump(): void;
  /** The entry of the sender in the heap. Only this file uses it. */
  waits: Wait | undefined;
}

interface Wait {
  /** Undefined if the sender no longer waits. Such an entry is dropped when its turn comes. */
  sender: BlockedSender | undefined;
  readonly room: number;
  /** The entries are numbered as they come. Among entries with the same `room`, the oldest goes first. */
  readonly number: number;
}

export class BlockedSenders {
  #heap: Wait[] = [];
  #count = 0;
  #hasRoom = false;

  /** Calls `sender.pump` later, when the connection's window has this `room`. */
  add(sender: BlockedSender, room: number): void {
    if (sender.waits !== undefined) {
      if (sender.waits.room <= room) return;
      this.delete(sender);
    }
    sender.waits = { sender, room, number: (this.#count += 1) };
    this.#push(sender.waits);
  }

  delete(sender: BlockedSender): void {
    if (sender.waits === undefined) return;
    sender.waits.sender = undefined;
    sender.waits = undefined;
  }

  /** There is more credit: the next `pump` looks at the waiting senders. */
  onRoom(): void {
    this.#hasRoom = true;
  }

  /** Calls `pump` of each sender that has enough credit. */
  pump(window: SendWindow): void {
    if (!this.#hasRoom) return;
    this.#hasRoom = false;
    for (let first = this.#heap[0]; first !== undefined; first = this.#heap[0]) {
      const { sender } = first;
      if (sender !== undefined && first.room > window.room) return;
      this.#pop();
      if (sender === undefined) continue;
      sender.waits = undefined;
      sender.pump();
    }
  }

  clear(): void {
    for (const { sender } of this.#heap) if (sender !== undefined) sender.waits = undefined;
    this.#heap = [];
  }

  #push(wait: Wait): void {
    const heap = this.#heap;
    let at = heap.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(wait, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = wait;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    const size = heap.length;
    if (last === undefined || size === 0) return;
    let at = 0;
    for (let child = 1; child < size; child = 2 * at + 1) {
      if (child + 1 < size && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(one: Wait, other: Wait): boolean {
  return one.room === other.room ? one.number < other.number : one.room < other.room;
}
