/** The route of a message of this side: its session, and the services of the connection for sending it. */
import type { Failure, SessionMachine } from '../../protocol/index.js';
import type { FeedTurns } from '../common/feed-turns.js';
import type { WhenOffline } from '../link/outage.js';

/** @internal The route of a message: its session, on the connection that currently carries the session. */
export interface Route {
  /** The session on its current connection. A message that moves goes to this one. */
  readonly machine: SessionMachine;
  readonly context: SendContext;
}

/** @internal The services of a connection for sending a message. */
export interface SendContext {
  /** The instant of the current tick. */
  now(): number;
  /** Milliseconds: the timeout of a message without a timeout of its own. */
  readonly messageTimeout: number;
  /** Adds the reason why there is no socket, if the message waited for a socket. */
  explained(failure: Failure): Failure;
  /** Returns the failure of a call that must fail at once; see `WhenOffline`. @throws IC_ERR_OPTION */
  refusal(whenOffline: WhenOffline | undefined): Failure | undefined;
  /** Makes the source of a request give way to the event loop. */
  readonly turns: FeedTurns;
  /** Reports an error of the application that has no waiting caller. */
  reportHandlerError(error: unknown): void;
}
