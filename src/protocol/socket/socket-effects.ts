/** What the machine of one socket is given, and what it asks for. */
import type { MoveEffects } from '../common/moves.js';
import type { ConnectionMachine } from '../connection/connection.js';
import type { Failure } from '../common/failure.js';
import type { Greeting } from './greeting.js';
import type { TimeBudget } from '../common/time-budget.js';

export interface SocketSettings {
  readonly role: 'dialer' | 'listener';
  /** What this side tells the other: HELLO at the dialer; the listener's data comes with `accept`. */
  readonly greeting: Greeting;
  /** Milliseconds from the socket to the established connection. */
  readonly handshakeTimeout: number;
  /** The part of that time that is left, if the handshake began before there was a socket. */
  readonly patience?: TimeBudget | undefined;
  /** The dialer's: the connection that this socket is to continue. */
  readonly resume?: ConnectionMachine | undefined;
}

/**
 * What the machine of one socket asks of the outside. It calls these synchronously, from within the method
 * that was called on it; nothing here may call back into it but where it says so.
 */
export interface SocketEffects extends MoveEffects {
  /** Output waits: call `flush` before this tick ends. May be told more than once. */
  wake(): void;
  /** Call `onTime` at `at`, if no earlier call stands. */
  arm(at: number): void;
  /** A dialer introduced itself: call `accept`, `resume` or `refuse`, now or later. */
  handshake(hello: Greeting): void;
  /** The other side begins a new connection: give one that has not begun. */
  begin(greeting: Greeting): ConnectionMachine;
  /** It stands. */
  open(connection: ConnectionMachine, greeting: Greeting): void;
  /** The connection that this socket was to resume goes on. */
  resumed(greeting: Greeting): void;
  /** The connection that this socket was to resume is over: WELCOME gave a count that cannot be. `closed` follows. */
  unresumable(failure: Failure): void;
  /** The last frame is on its way: end the socket, and discard what still comes. */
  end(): void;
  /** Destroy the socket; there is nothing to say. */
  abort(): void;
  /** The socket is over; its connection is not, unless its owner says so. Told at most once, and never with `closed`. */
  lost(failure: Failure): void;
  /** The connection, or the attempt at one, is over. No failure: it was closed in order. Told at most once. */
  closed(failure: Failure | undefined): void;
}
