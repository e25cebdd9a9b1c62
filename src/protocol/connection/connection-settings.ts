/** The settings of a new connection, and the token that resumes a connection on another socket. */
import type { ThreadBudget } from '../flow/account.js';
import type { Limits } from '../flow/limits.js';
import type { QueueLimits } from '../flow/send-queue-budget.js';

export interface ConnectionSettings {
  readonly role: 'dialer' | 'listener';
  /** The limits that this side tells the peer. */
  readonly limits: Limits;
  /** The limits that this side assumes for the peer until the handshake tells them. */
  readonly peer: Limits;
  readonly queue: QueueLimits;
  /** The memory that all connections of the thread may hold together. Default: no limit. */
  readonly budget?: ThreadBudget | undefined;
  /** The first message of a session gets the id after this one. Only tests of the wrap use another value than 0. */
  readonly lastId?: number;
}

/** The listener gives the token to the dialer. With the token, the dialer resumes the connection on another socket. */
export interface ResumeToken {
  readonly token: Buffer;
  /** For this number of milliseconds, the listener keeps a connection that has no socket. */
  readonly ttl: number;
}
