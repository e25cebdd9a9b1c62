/** What the machine of one socket is given, and what it and its handshake ask of the outside. */
import type { Failure } from '../common/failure.js';
import type { MoveEffects } from '../common/moves.js';
import type { TimeBudget } from '../common/time-budget.js';
import type { ConnectionMachine } from '../connection/connection.js';
import type { Greeting } from './greeting.js';
import type { Handshake } from './handshake.js';

export interface SocketSettings {
  /** That of this side's role. */
  readonly handshake: Handshake;
  /** Milliseconds from the socket to the established connection. */
  readonly handshakeTimeout: number;
  /** The part of that time that is left, if the handshake began before there was a socket. */
  readonly patience?: TimeBudget | undefined;
}

/**
 * What a socket of either role asks of the outside. The machine calls these synchronously, from within the method that
 * was called on it. None of them may call back into the machine, unless its own comment allows that.
 */
export interface SocketEffects extends MoveEffects {
  /** Output waits: call `flush` before this tick ends. May be told more than once. */
  wake(): void;
  /** Call `onTime` at `at`, if no earlier call is due. */
  arm(at: number): void;
  /** The last frame is on its way: end the socket, and discard all that still arrives. */
  end(): void;
  /** Destroy the socket: this side has nothing to say. */
  abort(): void;
  /** The socket is over. Its connection goes on, unless its owner ends it. Told at most once, and never with `closed`. */
  lost(failure: Failure): void;
  /** The connection, or the attempt at one, is over. No failure: it was closed in order. Told at most once. */
  closed(failure: Failure | undefined): void;
}

/** What the handshakes of both roles ask of the outside. */
interface HandshakeEffects {
  /** The other side begins a new connection: give a machine that has not begun. */
  begin(greeting: Greeting): ConnectionMachine;
  /** The new connection is established. */
  open(connection: ConnectionMachine, greeting: Greeting): void;
}

/** What the dialer's handshake asks of the outside. */
export interface DialerEffects extends HandshakeEffects {
  /** The connection that this socket was to resume goes on. */
  resumed(greeting: Greeting): void;
  /** The connection that this socket was to resume is over: WELCOME gave a count that cannot be. `closed` follows. */
  unresumable(failure: Failure): void;
}

/** What the listener's handshake asks of the outside. */
export interface ListenerEffects extends HandshakeEffects {
  /** A dialer introduced itself: call `accept`, `resume` or `refuse`, now or later. */
  handshake(hello: Greeting): void;
}
