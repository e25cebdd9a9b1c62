/** The callbacks with which a session tells the floor above what has happened. */
import type { Meta } from '../../wire/index.js';
import type { Failure } from '../common/failure.js';
import type { ReceiverEffects } from './session-receiver.js';

export interface SessionListener extends Pick<ReceiverEffects, 'onMessage' | 'onMessageTimeout'> {
  /** The other side accepted the session that this side opened. */
  onOpened(meta: Meta, data: Buffer): void;
  /** The session is CLOSED: in order (no failure), refused, aborted or lost. Called once. */
  onClosed(failure: Failure | undefined): void;
}

/** The listener of a session until the floor above sets its own. */
export const NO_LISTENER: SessionListener = {
  onOpened: () => undefined,
  onClosed: () => undefined,
  onMessage: () => undefined,
  onMessageTimeout: () => undefined,
};
