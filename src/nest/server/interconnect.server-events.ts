import type {
  Connection,
  DroppedSocket,
  InterconnectError,
  ListenAddress,
  Stranger,
} from '../../endpoint/index.js';
import type { InterconnectPeer } from './interconnect.peers.js';

/** The events of `server.on(…)`. Listeners may be added before `listen()`, and `close()` does not remove them. */
export type InterconnectServerEvents = {
  listening: (address: ListenAddress) => void;
  /** A dialer was accepted, or this server's own connection is open. The server already serves its sessions. */
  connection: (connection: Connection) => void;
  /** The same event, with the peer, which can be called. `server.peers` already has the peer. */
  peer: (peer: InterconnectPeer) => void;
  /** The peer has gone. `error` is the reason if its connection was lost. `server.peers` no longer has the peer. */
  peerGone: (peer: InterconnectPeer, error: InterconnectError | undefined) => void;
  /** A socket was destroyed because of its first octets: for example, it does not speak Interconnect. Logged too, sparingly. */
  stranger: (stranger: Stranger) => void;
  /** A socket was closed because of a limit on places or rates. Logged too, sparingly. */
  drop: (dropped: DroppedSocket) => void;
  /** An error that no caller gets: `authenticate` threw, or the bound socket failed. Logged too. */
  error: (error: unknown) => void;
  close: () => void;
};
