import type { Connection, InterconnectError } from '../../endpoint/index.js';

/**
 * What `server.status` and `client.status` emit: for a server whether it listens, for a client, or a server
 * that connects, whether it has a connection. `RECONNECTING`: it has one, and no socket to it at the moment; what
 * is sent waits. `OFFLINE`: it has had no socket for longer than `whenOffline`; calls fail at once. `DRAINING`: a server that shuts down takes nothing new, and lets what runs end. A plain object and not
 * an enum, so that it exists at run time.
 */
export const InterconnectStatus = {
  CONNECTED: 'connected',
  RECONNECTING: 'reconnecting',
  OFFLINE: 'offline',
  DRAINING: 'draining',
  DISCONNECTED: 'disconnected',
} as const;
/** One of its values. */
export type InterconnectStatus = (typeof InterconnectStatus)[keyof typeof InterconnectStatus];

/** For `client.on(…)`. Listeners may be added before `connect()` and stay through every reconnect. */
export type InterconnectClientEvents = {
  connect: (connection: Connection) => void;
  /** The socket was lost, or the server shuts down: the connection looks for another, and what is sent waits. */
  reconnecting: (connection: Connection) => void;
  /** It has one again. */
  reconnect: (connection: Connection) => void;
  /** The connection ended: `undefined` when in order, else why it was lost. */
  close: (error: InterconnectError | undefined) => void;
  /**
   * All addresses were tried in vain, to connect or to come back; the error has the reasons. The client tries again after a
   * pause. If waiting is of no use, the calls that wait fail with the same error, and the next call begins anew.
   */
  error: (error: unknown) => void;
  /** There has been no connection for longer than `whenOffline`: calls fail at once from now on, until there is one. */
  offline: (error: InterconnectError) => void;
};
