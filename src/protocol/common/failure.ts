/** Why something ended without an outcome from the other side's application. */

import type { Speaker } from '../../wire/index.js';

/** Did the other side's handler run? */
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
  /** Of the endpoint, which alone knows about sockets: none was to be had, for too long, or ever. */
  | 'offline'
  | 'no-socket'
  | 'bad-option';

export interface Failure {
  readonly kind: FailureKind;
  readonly executed: Executed;
  /** A sentence for people, with the numbers in it. */
  readonly message: string;
  /** What the other side gave, where it gave something: its wire code, words and bytes. */
  readonly code?: number;
  readonly reason?: string;
  readonly data?: Buffer;
  /** The error underneath, where the endpoint knows one. */
  readonly cause?: unknown;
  /** Who speaks, if the other side does not speak this protocol. */
  readonly speaker?: Speaker;
  /** What a handshake that took too long was waiting for. */
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
