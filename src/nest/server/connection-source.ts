import type { Connection, DroppedSocket, ListenAddress, Stranger } from '../../endpoint/index.js';
import type { InterconnectStatus } from '../common/interconnect.events.js';

/** The source of a server's connections: the server listens for them, or opens one itself. */
export interface ConnectionSource {
  /** Resolves with the bound address, if there is one. */
  open(): Promise<ListenAddress | undefined>;
  /** Takes no new messages, gives running handlers `timeout` milliseconds, and closes every connection. */
  close(timeout: number): Promise<void>;
  /** Node's server or socket, while there is one. */
  readonly underlying: unknown;
}

/** The events that a source reports to its server. */
export interface SourceEffects {
  onConnection(connection: Connection, identity: string): void;
  onStatus(status: InterconnectStatus): void;
  /** An error that no caller gets. */
  onError(error: unknown): void;
  /** An event that others can cause at any rate. Lines of one kind are logged sparingly. */
  onWarning(kind: string, message: string): void;
  /** A socket was destroyed because of its first octets. */
  onStranger(stranger: Stranger): void;
  /** A socket was dropped, because too many are open. */
  onDrop(dropped: DroppedSocket): void;
}
