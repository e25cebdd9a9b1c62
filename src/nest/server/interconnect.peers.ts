import { AsyncResource } from 'node:async_hooks';
import type { Connection, Peer } from '../../endpoint/index.js';
import { lastValueFrom } from 'rxjs';
import { InterconnectClient } from '../client/interconnect.client.js';
import type { InterconnectClientOptions } from '../common/interconnect.options.js';

/** How a server calls back: the options that concern the messages themselves. */
export type PeerClientOptions = Pick<
  InterconnectClientOptions,
  'encoding' | 'serializer' | 'deserializer'
>;

/** Who is connected to a server at the moment, and how to call it. */
export class InterconnectPeer {
  /** The connection to it. */
  readonly connection: Connection;
  /**
   * Who it is, as far as that is known: the `principal` that `authenticate` gave to `handshake.accept`, else
   * the common name of a certificate that was verified, else empty.
   */
  readonly identity: string;
  private readonly options: PeerClientOptions;
  /** A request may be the first to ask for the client, and is not the last to use it. */
  private readonly scope = new AsyncResource('InterconnectPeer');
  private ownClient: InterconnectClient | undefined;

  constructor(connection: Connection, identity: string, options: PeerClientOptions = {}) {
    this.connection = connection;
    this.identity = identity;
    this.options = options;
  }

  /** The connection's, unique in this process. It stays the same while sockets come and go. */
  get id(): string {
    return this.connection.id;
  }

  /** Its address, and under TLS its certificate. */
  get peer(): Peer {
    return this.connection.peer;
  }

  /**
   * Calls its handlers over this connection: `peer.client.send('progress', bytes)`. Always the same one. Closing
   * it does nothing; `peer.connection.close()` ends the connection.
   */
  get client(): InterconnectClient {
    return (this.ownClient ??= this.scope.runInAsyncScope(() =>
      InterconnectClient.over(this.connection, this.options),
    ));
  }
}

/** What one peer made of a broadcast. */
export interface BroadcastOutcome {
  readonly peer: InterconnectPeer;
  /** Why it failed there; `undefined`: every handler of the event has run. */
  readonly error: unknown;
}

/** Everyone who is connected to a server, in the order in which they came: `for (const peer of server.peers)`. */
export class InterconnectPeers implements Iterable<InterconnectPeer> {
  private readonly byId = new Map<string, InterconnectPeer>();

  /** How many there are. */
  get size(): number {
    return this.byId.size;
  }

  /** The peer of that id, while it is connected. */
  get(id: string): InterconnectPeer | undefined {
    return this.byId.get(id);
  }

  /** The latest to connect of that identity; there may be several, see `all`. */
  find(identity: string): InterconnectPeer | undefined {
    return this.all(identity).at(-1);
  }

  /** All, or all of one identity. */
  all(identity?: string): InterconnectPeer[] {
    const peers = [...this.byId.values()];
    return identity === undefined ? peers : peers.filter((peer) => peer.identity === identity);
  }

  /**
   * Emits an event to each, at the same time, and waits for all of them. Never rejects: one that has no
   * handler, or cannot be reached, must not hide what became of the others.
   */
  broadcast(
    pattern: unknown,
    data: unknown,
    to: Iterable<InterconnectPeer> = this,
  ): Promise<BroadcastOutcome[]> {
    return Promise.all(
      [...to].map(async (peer) => {
        try {
          await lastValueFrom(peer.client.emit(pattern, data));
          return { peer, error: undefined };
        } catch (error) {
          return { peer, error };
        }
      }),
    );
  }

  [Symbol.iterator](): IterableIterator<InterconnectPeer> {
    return this.byId.values();
  }

  /** @internal Until it is over. */
  add(peer: InterconnectPeer): void {
    this.byId.set(peer.id, peer);
  }

  /** @internal */
  delete(peer: InterconnectPeer): void {
    this.byId.delete(peer.id);
  }
}
