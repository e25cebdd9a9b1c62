import { AsyncResource } from 'node:async_hooks';
import type { Message } from '../../endpoint/index.js';

/**
 * Lets at most `limit` handlers of one pattern run at once. Further messages wait in their order. A message leaves the queue
 * and never runs if its caller gives up or its time is over. The queue is bounded, because a message that waits keeps its
 * place in its session.
 */
export class HandlerGate {
  private readonly limit: number;
  private running = 0;
  private readonly waiting = new Set<() => void>();
  private isOpening = false;

  constructor(limit: number) {
    this.limit = limit;
  }

  /** Calls either `start` or `giveUp`, now or later. After `start`, the caller must call `leave()` once. */
  enter(message: Message, start: () => void, giveUp: () => void): void {
    if (this.running < this.limit && this.waiting.size === 0) {
      this.running += 1;
      start();
      return;
    }
    // Bound here, because the handler that leaves has another message's traces and store.
    const startInScope = AsyncResource.bind(start);
    // A one-way message has no caller who can give up.
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
    // A handler that ends within its start calls leave() again. The loop below then goes on, so that the stack does not grow.
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
