/** What the machine of one socket asks of the outside, beyond what its connection does; same rules. */
import type { ConnectionEffects } from './connection-effects.js';
import type { ConnectionMachine } from './connection.js';
import type { Failure } from './failure.js';
import type { Greeting } from './handshake.js';

export interface SocketEffects extends ConnectionEffects {
  /** A dialer introduced itself: call `accept` or `refuse`, now or later. */
  handshake(hello: Greeting): void;
  /** The connection stands. */
  open(connection: ConnectionMachine, greeting: Greeting): void;
  /** The last frame is on its way: end the socket, and discard what still comes. */
  end(): void;
  /** Destroy the socket; there is nothing to say. */
  abort(): void;
  /** The connection, or the attempt at one, is over. No failure: it was closed in order. Told once. */
  closed(failure: Failure | undefined): void;
}
