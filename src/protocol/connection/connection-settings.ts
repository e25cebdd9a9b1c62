/** The settings of a new connection, and the token that resumes a connection on another socket. */
import type { Limits } from '../flow/limits.js';
import type { QueueLimits } from '../flow/send-queue-budget.js';

export interface ConnectionSettings {
  readonly role: 'dialer' | 'listener';
  /** The limits that this side tells the peer. */
  readonly limits: Limits;
  /** The limits that this side assumes for the peer until the handshake tells them. */
  readonly peer: Limits;
  readonly queue: QueueLimits;
  /** The id before that of a session's first message. Only tests of the wrap use another value than 0. */
  readonly lastId?: number;
}

/** The listener gives this to the dialer, which resumes the connection by it on another socket. */
export interface ResumeToken {
  readonly token: Buffer;
  /** Milliseconds that the listener keeps the connection without a socket. */
  readonly ttl: number;
}
