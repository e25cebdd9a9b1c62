/** The settings of the machine of one socket, and the calls that this machine and its handshake make to the outside. */
import type { Failure } from '../common/failure.js';
import type { MoveEffects } from '../common/moves.js';
import type { TimeBudget } from '../common/time-budget.js';
import type { ConnectionMachine } from '../connection/connection.js';
import type { Greeting } from './greeting.js';
import type { Handshake } from './handshake.js';

export interface SocketSettings {
  /** The handshake of this side's role. */
  readonly handshake: Handshake;
  /** Milliseconds from the opening of the socket to the established connection. */
  readonly handshakeTimeout: number;
  /** The rest of that time, if a part of it passed before this machine was made; for example, during TLS. */
  readonly patience?: TimeBudget | undefined;
}

/**
 * The calls that a socket of either role makes to the outside. The machine makes them synchronously, from within one of
 * its own methods. An implementation must not call the machine back, unless the comment of the method allows that.
 */
export interface SocketEffects extends MoveEffects {
  /** Output waits: call `flush` before this tick ends. One tick may bring several calls. */
  wake(): void;
  /** Call `onTime` at the instant `at`, unless an earlier call is planned. */
  arm(at: number): void;
  /** The last frame is on its way: end the socket, and discard all that still arrives. */
  end(): void;
  /** Destroy the socket: this side has nothing to say. */
  abort(): void;
  /** The socket is over. Its connection goes on, unless its owner ends it. Called at most once, and never with `closed`. */
  lost(failure: Failure): void;
  /** The connection, or the attempt at one, is over. Without a failure, it was closed in order. Called at most once. */
  closed(failure: Failure | undefined): void;
}

/** The calls that the handshakes of both roles make to the outside. */
interface HandshakeEffects {
  /** The two sides begin a new connection: return a machine that has not begun. */
  begin(greeting: Greeting): ConnectionMachine;
  /** The new connection is established. */
  open(connection: ConnectionMachine, greeting: Greeting): void;
}

/** The calls that the dialer's handshake makes to the outside. */
export interface DialerEffects extends HandshakeEffects {
  /** The connection that this socket was to resume goes on. */
  resumed(greeting: Greeting): void;
  /** The connection that this socket was to resume is over: WELCOME has an impossible count. `closed` follows. */
  unresumable(failure: Failure): void;
}

/** The calls that the listener's handshake makes to the outside. */
export interface ListenerEffects extends HandshakeEffects {
  /** HELLO has arrived: call `accept`, `resume` or `refuse` of the handshake, now or later. */
  handshake(hello: Greeting): void;
}
