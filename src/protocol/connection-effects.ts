/**
 * What a connection asks of the outside. It calls these synchronously, from within the method that was
 * called on it; nothing here may call back into it but where it says so.
 */
import type { SessionMachine } from './session.js';

export interface ConnectionEffects {
  /** Output waits: call `flush` before this tick ends. May be told more than once. */
  wake(): void;
  /** Call `onTime` at `at`, if no earlier call stands. */
  arm(at: number): void;
  /** The other side opened a session. It must be given a listener, and may be accepted or rejected here. */
  session(session: SessionMachine): void;
}
