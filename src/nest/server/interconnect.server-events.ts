import type {
  Connection,
  DroppedSocket,
  InterconnectError,
  ListenAddress,
  Stranger,
} from '../../endpoint/index.js';
import type { InterconnectPeer } from './interconnect.peers.js';

/** For `server.on(…)`. Listeners may be added before `listen()` and stay through `close()` and the next `listen()`. */
export type InterconnectServerEvents = {
  listening: (address: ListenAddress) => void;
  /** A dialer was let in, or this server's own connection stands. Its sessions are already served when this runs. */
  connection: (connection: Connection) => void;
  /** The same, with what is needed to call it. `server.peers` has it already. */
  peer: (peer: InterconnectPeer) => void;
  /** It has gone: `undefined` when in order, else why its connection was lost. `server.peers` has it no more. */
  peerGone: (peer: InterconnectPeer, error: InterconnectError | undefined) => void;
  /** A socket was destroyed for what it said: it does not speak Interconnect, for one. Logged too, sparingly. */
  stranger: (stranger: Stranger) => void;
  /** A socket was closed as soon as it came, because `maxConnections` others are open. Logged too, sparingly. */
  drop: (dropped: DroppedSocket) => void;
  /** Something nobody waits for: `authenticate` threw, or the socket failed after it was bound. Logged too. */
  error: (error: unknown) => void;
  close: () => void;
};
