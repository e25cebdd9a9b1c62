/**
 * The limit on waiting messages: how many messages of one connection, over all its sessions, may wait for credit or for
 * room in the output. The limit also holds if a peer grants much credit and reads nothing.
 */
import type { Failure } from '../common/failure.js';

export interface QueueLimits {
  readonly messages: number;
  readonly bytes: number;
}

export const DEFAULT_QUEUE_LIMITS: QueueLimits = { messages: 16_384, bytes: 64 * 1024 * 1024 };

export class SendQueueBudget {
  readonly #limits: QueueLimits;
  #messages = 0;
  #bytes = 0;

  constructor(limits: QueueLimits) {
    this.#limits = limits;
  }

  /** Counts one waiting message. Returns a failure if there is no room for it. */
  take(bytes: number): Failure | undefined {
    // A single message may wait alone, whatever its size.
    const fits = this.#messages === 0 || this.#bytes + bytes <= this.#limits.bytes;
    if (this.#messages >= this.#limits.messages || !fits) return this.#full();
    this.#messages += 1;
    this.#bytes += bytes;
    return undefined;
  }

  /** A message no longer waits. */
  give(bytes: number): void {
    this.#messages -= 1;
    this.#bytes -= bytes;
  }

  #full(): Failure {
    return {
      kind: 'queue-full',
      executed: 'no',
      message:
        `${this.#messages} messages (${this.#bytes} bytes) already wait for the other side to give credit or to read; ` +
        `maxQueuedMessages is ${this.#limits.messages} and maxQueuedBytes ${this.#limits.bytes}. ` +
        `Wait for outcomes before sending more, or raise the limits.`,
    };
  }
}
