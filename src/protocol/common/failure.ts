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
  /** Only the endpoint uses this kind and the next ones, because only the endpoint knows sockets and options. */
  | 'offline'
  | 'no-socket'
  | 'bad-option';

export interface Failure {
  readonly kind: FailureKind;
  readonly executed: Executed;
  /** A sentence for people. It contains the values and limits that matter. */
  readonly message: string;
  /** If the peer gave a reason: the code, the text and the data that it sent. */
  readonly code?: number;
  readonly reason?: string;
  readonly data?: Buffer;
  /** The error that caused the failure, if the endpoint knows one. */
  readonly cause?: unknown;
  /** If the other side does not speak this protocol: the program that its octets suggest. */
  readonly speaker?: Speaker;
  /** The event for which a handshake waited when its time was over. */
  readonly awaited?: 'first octet' | 'rest' | 'judgement';
}

/** The failure with another value of `executed`. */
export function withExecuted(failure: Failure, executed: Executed): Failure {
  return failure.executed === executed ? failure : { ...failure, executed };
}

/** The peer drains: it has written GOAWAY. */
export const DRAINING: Failure = {
  kind: 'draining',
  executed: 'no',
  message: 'The other side is shutting down and takes nothing new.',
};
