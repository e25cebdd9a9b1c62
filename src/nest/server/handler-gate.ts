import { AsyncResource } from 'node:async_hooks';
import type { Connection, Message } from '../../endpoint/index.js';

/** The messages of one connection that wait, in their order. */
type Waiting = Set<() => void>;

/**
 * Lets at most `limit` handlers of one pattern run at once. Further messages wait. The connections take turns, so that one
 * connection with many messages does not hold up the others. The messages of one connection keep their order.
 *
 * A message leaves the queue and never runs if its caller gives up or its time is over: the core then tells its sender that no
 * handler ran. The queue is bounded, because a message that waits keeps its place in its session.
 */
export class HandlerGate {
  private readonly limit: number;
  private running = 0;
  /** The connections with messages that wait. The next turn is that of the first. */
  private readonly waiting = new Map<Connection, Waiting>();
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
    const { connection } = message.session;
    // Bound here, because the handler that leaves has another message's traces and store.
    const startInScope = AsyncResource.bind(start);
    // A one-way message has no caller who can give up.
    if (message.oneWay) {
      this.wait(connection, startInScope);
      return;
    }
    const { signal } = message;
    if (signal.aborted) {
      giveUp();
      return;
    }
    message.waitsForTurn = true;
    const startInTurn = () => {
      signal.removeEventListener('abort', onAbort);
      message.waitsForTurn = false;
      startInScope();
    };
    const onAbort = () => {
      this.remove(connection, startInTurn);
      giveUp();
    };
    signal.addEventListener('abort', onAbort, { once: true });
    this.wait(connection, startInTurn);
  }

  /** A handler has ended. */
  leave(): void {
    this.running -= 1;
    // A handler that ends within its start calls leave() again. The loop below then goes on, so that the stack does not grow.
    if (this.isOpening) return;
    this.isOpening = true;
    // Connections that are appended meanwhile are visited too.
    for (const [connection, starts] of this.waiting) {
      if (this.running >= this.limit) break;
      this.waiting.delete(connection);
      const [start] = starts;
      if (start === undefined) continue;
      this.running += 1;
      starts.delete(start);
      // The connection goes to the end of the row.
      if (starts.size > 0) this.waiting.set(connection, starts);
      start();
    }
    this.isOpening = false;
  }

  private wait(connection: Connection, start: () => void): void {
    const starts = this.waiting.get(connection);
    if (starts === undefined) this.waiting.set(connection, new Set([start]));
    else starts.add(start);
  }

  private remove(connection: Connection, start: () => void): void {
    const starts = this.waiting.get(connection);
    starts?.delete(start);
    if (starts?.size === 0) this.waiting.delete(connection);
  }
}
