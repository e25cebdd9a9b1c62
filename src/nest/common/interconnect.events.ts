import type { Connection, InterconnectError } from '../../endpoint/index.js';

/**
 * The values of `server.status` and `client.status`. `CONNECTED` and `DISCONNECTED`: whether a server listens, or whether a
 * client, or a server that connects, has a connection. `RECONNECTING`: the connection has no socket now, and messages wait.
 * `OFFLINE`: there has been no socket for longer than `whenOffline`, and calls fail at once. `DRAINING`: the server shuts down;
 * it takes no new messages, and running handlers may end. A plain object and not an enum, so that it exists at run time.
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

/** The events of `client.on(…)`. Listeners may be added before `connect()`, and a new connection does not remove them. */
export type InterconnectClientEvents = {
  connect: (connection: Connection) => void;
  /** The socket was lost, or the server shuts down. The connection looks for another socket, and messages wait. */
  reconnecting: (connection: Connection) => void;
  /** The connection has a socket again. */
  reconnect: (connection: Connection) => void;
  /** The connection has ended. `error` is the reason if it was lost. */
  close: (error: InterconnectError | undefined) => void;
  /**
   * All addresses were tried without success, to connect or to reconnect; the error has the reasons. The client tries again
   * after a pause. If waiting cannot help, the calls that wait fail with the same error, and the next call makes a new
   * connection.
   */
  error: (error: unknown) => void;
  /** There has been no connection for longer than `whenOffline`. Calls fail at once until there is one. */
  offline: (error: InterconnectError) => void;
};
