/** What a connection is made of, and what it is given to be continued on another socket. */
import type { Limits } from '../flow/limits.js';
import type { QueueLimits } from '../flow/send-queue-budget.js';

export interface ConnectionSettings {
  readonly role: 'dialer' | 'listener';
  /** What this side allows the other. */
  readonly limits: Limits;
  /** What the other side is believed to allow until it says so itself. */
  readonly peer: Limits;
  readonly queue: QueueLimits;
  /** The id before that of a session's first message: 0 but in tests of the wrap. */
  readonly lastId?: number;
}

/** What the listener gave the dialer, to continue the connection on another socket. */
export interface ResumeToken {
  readonly token: Buffer;
  /** Milliseconds that the listener waits for that, without a socket. */
  readonly ttl: number;
}
