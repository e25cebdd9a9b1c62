import { AsyncResource } from 'node:async_hooks';
import type { Message } from '../../endpoint/index.js';

/**
 * Lets at most so many handlers of one pattern run at once. The others wait in the order in which they
 * came; one whose caller gave up, or whose time is over, leaves the queue and never runs. What waits is
 * bounded: a message that waits holds its place in its session.
 */
export class HandlerGate {
  private readonly limit: number;
  private running = 0;
  private readonly waiting = new Set<() => void>();
  private isOpening = false;

  constructor(limit: number) {
    this.limit = limit;
  }

  /** Calls one of the two, now or later. After `start` there must be one `leave()`. */
  enter(message: Message, start: () => void, giveUp: () => void): void {
    if (this.running < this.limit && this.waiting.size === 0) {
      this.running += 1;
      start();
      return;
    }
    // Not in the scope of who leaves: its traces and its store are another message's.
    const startInScope = AsyncResource.bind(start);
    // Nobody waits for a one-way message, so that there is no one who could give up.
    if (message.oneWay) {
      this.waiting.add(startInScope);
      return;
    }
    const { signal } = message;
    const startInTurn = () => {
      signal.removeEventListener('abort', onAbort);
      startInScope();
    };
    const onAbort = () => {
      this.waiting.delete(startInTurn);
      giveUp();
    };
    if (signal.aborted) {
      giveUp();
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });
    this.waiting.add(startInTurn);
  }

  /** A handler has ended. */
  leave(): void {
    this.running -= 1;
    // One that ends within its start leaves here again: it must not pile up the stack.
    if (this.isOpening) return;
    this.isOpening = true;
    for (const start of this.waiting) {
      if (this.running >= this.limit) break;
      this.waiting.delete(start);
      this.running += 1;
      start();
    }
    this.isOpening = false;
  }
}
