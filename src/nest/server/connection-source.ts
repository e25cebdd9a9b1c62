import type { Connection, DroppedSocket, ListenAddress, Stranger } from '../../endpoint/index.js';
import type { InterconnectStatus } from '../common/interconnect.events.js';

/** Where a server's connections come from: it listens for them, or opens one itself. */
export interface ConnectionSource {
  /** Resolves with the bound address, if there is one. */
  open(): Promise<ListenAddress | undefined>;
  /** Takes nothing new, gives what runs so many milliseconds, and closes every connection. */
  close(timeout: number): Promise<void>;
  /** What Node has underneath, while it is open. */
  readonly underlying: unknown;
}

/** What a server is told of them. */
export interface SourceListener {
  onConnection(connection: Connection, identity: string): void;
  onStatus(status: InterconnectStatus): void;
  /** Something nobody waits for. */
  onError(error: unknown): void;
  /** Something that others can bring about as often as they like. Lines of one kind are told sparingly. */
  onWarning(kind: string, message: string): void;
  /** A socket was destroyed for what it said. */
  onStranger(stranger: Stranger): void;
  /** A socket was dropped, as too many are open. */
  onDrop(dropped: DroppedSocket): void;
}
