import type { Connection, InterconnectError, ListenAddress } from '../endpoint/index.js';

/**
 * What `server.status` and `client.status` emit: for a server whether it listens, for a client
 * whether it has a connection. A plain object and not an enum, so that it exists at run time.
 */
export const InterconnectStatus = {
  CONNECTED: 'connected',
  DISCONNECTED: 'disconnected',
} as const;
/** One of its values. */
export type InterconnectStatus = (typeof InterconnectStatus)[keyof typeof InterconnectStatus];

/** For `server.on(…)`. Listeners may be added before `listen()` and stay through `close()` and the next `listen()`. */
export type InterconnectServerEvents = {
  listening: (address: ListenAddress) => void;
  /** A dialer was let in. Its sessions are already served when this runs. */
  connection: (connection: Connection) => void;
  /** Something nobody waits for: `authenticate` threw, or the socket failed after it was bound. Logged too. */
  error: (error: unknown) => void;
  close: () => void;
};

/** For `client.on(…)`. Listeners may be added before `connect()` and stay through every reconnect. */
export type InterconnectClientEvents = {
  connect: (connection: Connection) => void;
  /** The connection ended: `undefined` when in order, else why it was lost. */
  close: (error: InterconnectError | undefined) => void;
  /** An attempt to connect failed. The calls that waited for it failed with the same error. */
  error: (error: unknown) => void;
};
