/**
 * The calls of a connection to its owner. The connection makes them synchronously, from within one of its own methods.
 * An implementation must not call the connection back, except if the comment of the method allows it.
 */
import type { MoveEffects } from '../common/moves.js';
import type { ProtocolError } from '../../wire/index.js';
import type { SessionMachine } from '../session/session.js';

export interface ConnectionEffects extends MoveEffects {
  /** A frame waits to be written: flush the socket machine before this tick ends. One tick may bring several calls. */
  wake(): void;
  /** Call `onTime` at `at`, unless an earlier call is planned. */
  arm(at: number): void;
  /** The peer opened a session. Give it a listener here. The session may be accepted or rejected here. */
  session(session: SessionMachine): void;
  /** The peer drains. After this call, each session and message of which nothing is written fails as not executed. */
  draining(): void;
  /** The drain of this side is done: all messages are settled, and all frames are written and acknowledged. */
  drained(): void;
  /**
   * The connection holds more memory than any other, and the thread is out of memory: end the connection. Not called
   * from within a method of the connection.
   */
  overload(error: ProtocolError): void;
}

/** The effects of a connection that has no owner yet. */
export const NO_OWNER: ConnectionEffects = {
  wake: () => undefined,
  arm: () => undefined,
  session: () => undefined,
  draining: () => undefined,
  drained: () => undefined,
  overload: () => undefined,
};
