import type { Connection, ListenAddress } from '../../endpoint/index.js';
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
  /** Something that anybody who reaches the port can bring about. */
  onWarning(message: string): void;
}
