/** Where a message of this side goes, and what its sending needs of the connection. */
import type { Failure, SessionMachine } from '../../protocol/index.js';
import type { WhenOffline } from '../link/outage.js';

/** @internal The way of a message: its session, on whichever connection carries the session. */
export interface Route {
  /** The session on the connection that carries it now. A message that moves goes on this one. */
  readonly machine: SessionMachine;
  readonly context: SendContext;
}

/** @internal */
export interface SendContext {
  /** The instant of the current tick. */
  now(): number;
  /** Milliseconds: the limit of a message that has none of its own. */
  readonly messageTimeout: number;
  /** The failure, with the reason why there is no socket, if the message waited for one. */
  explained(failure: Failure): Failure;
  /** Why a call fails at once, if it does: see `WhenOffline`. @throws IC_ERR_OPTION */
  refusal(whenOffline: WhenOffline | undefined): Failure | undefined;
  /** Reports an error of the application that has no caller to be told to. */
  reportHandlerError(error: unknown): void;
}
