/** A failure: why a message, session or connection ended without an outcome from the peer's application. */

import type { Speaker } from '../../wire/index.js';

/** Whether the peer's handler ran. */
export type Executed = 'no' | 'yes' | 'maybe';

export type FailureKind =
  | 'timeout'
  | 'session-timeout'
  | 'cancelled'
  | 'queue-full'
  | 'draining'
  | 'too-large'
  | 'unexpected-stream'
  | 'session-rejected'
  | 'session-closed'
  | 'connection-rejected'
  | 'connection-lost'
  | 'connection-closed'
  | 'handshake-timeout'
  | 'idle'
  | 'protocol'
  /** Only the endpoint uses the kinds from here on: it knows about sockets and options. */
  | 'offline'
  | 'no-socket'
  | 'bad-option';

export interface Failure {
  readonly kind: FailureKind;
  readonly executed: Executed;
  /** A sentence for people. It contains the values and limits that matter. */
  readonly message: string;
  /** If the peer gave a reason: its code, text and data on the wire. */
  readonly code?: number;
  readonly reason?: string;
  readonly data?: Buffer;
  /** The error that caused the failure, if the endpoint knows one. */
  readonly cause?: unknown;
  /** The program at the other end, as far as its octets show, if it does not speak this protocol. */
  readonly speaker?: Speaker;
  /** The event for which a handshake waited when its time was over. */
  readonly awaited?: 'first octet' | 'rest' | 'judgement';
}

export function withExecuted(failure: Failure, executed: Executed): Failure {
  return failure.executed === executed ? failure : { ...failure, executed };
}

export const DRAINING: Failure = {
  kind: 'draining',
  executed: 'no',
  message: 'The other side is shutting down and takes nothing new.',
};
