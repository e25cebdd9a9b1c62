/**
 * What a connection asks of the outside. It calls these synchronously, from within the method that was
 * called on it; nothing here may call back into it but where it says so.
 */
import type { MoveEffects } from '../common/moves.js';
import type { SessionMachine } from '../session/session.js';

export interface ConnectionEffects extends MoveEffects {
  /** Output waits: have the socket's machine flushed before this tick ends. May be told more than once. */
  wake(): void;
  /** Call `onTime` at `at`, if no earlier call stands. */
  arm(at: number): void;
  /** The other side opened a session. It must be given a listener, and may be accepted or rejected here. */
  session(session: SessionMachine): void;
  /** The other side takes nothing new any more: what did not begin has failed, and was not executed. */
  draining(): void;
  /** This side drains, and nothing is left to be settled, written or acknowledged. */
  drained(): void;
}

/** Before anybody keeps the connection. */
export const NO_OWNER: ConnectionEffects = {
  wake: () => undefined,
  arm: () => undefined,
  session: () => undefined,
  draining: () => undefined,
  drained: () => undefined,
};
