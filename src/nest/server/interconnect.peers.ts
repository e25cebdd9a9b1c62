import { AsyncResource } from 'node:async_hooks';
import type { Connection, Peer } from '../../endpoint/index.js';
import { lastValueFrom } from 'rxjs';
import type { SparingLog } from '../common/sparing-log.js';
import { InterconnectClient } from '../client/interconnect.client.js';
import type {
  InterconnectClientOptions,
  InterconnectPayloadOptions,
} from '../common/interconnect.options.js';

/** The options of the clients by which a server calls back: those that concern the messages themselves. */
export type PeerClientOptions = Pick<InterconnectClientOptions, keyof InterconnectPayloadOptions>;

/** A peer that is connected to a server, with a client to call it. */
export class InterconnectPeer {
  /** The connection to it. */
  readonly connection: Connection;
  /**
   * The identity of the peer: the `principal` that `authenticate` gave to `handshake.accept`, or the common name of a
   * verified certificate, or empty.
   */
  readonly identity: string;
  private readonly options: PeerClientOptions;
  /** The client belongs to the peer, and not to the first request that uses it. */
  private readonly scope = new AsyncResource('InterconnectPeer');
  private ownClient: InterconnectClient | undefined;

  /** The log of the server, which all of its peers share. */
  private readonly log: SparingLog | undefined;

  constructor(connection: Connection, identity: string, options?: PeerClientOptions);
  /** @internal */
  constructor(
    connection: Connection,
    identity: string,
    options: PeerClientOptions | undefined,
    log: SparingLog,
  );
  constructor(
    connection: Connection,
    identity: string,
    options: PeerClientOptions = {},
    log?: SparingLog,
  ) {
    this.connection = connection;
    this.identity = identity;
    this.options = options;
    this.log = log;
  }

  /** The id of the connection, unique in this process. A new socket does not change it. */
  get id(): string {
    return this.connection.id;
  }

  /** The address, and under TLS the certificate. */
  get peer(): Peer {
    return this.connection.peer;
  }

  /**
   * A client that calls the peer's handlers over this connection: `peer.client.send('progress', bytes)`. It is always the same
   * client. Closing it does nothing; `peer.connection.close()` ends the connection.
   */
  get client(): InterconnectClient {
    return (this.ownClient ??= this.scope.runInAsyncScope(() =>
      InterconnectClient.over(this.connection, this.options, this.log),
    ));
  }
}

/** The outcome of a broadcast at one peer. */
export interface BroadcastOutcome {
  readonly peer: InterconnectPeer;
  /** The reason of a failure; `undefined` if every handler of the event has run. */
  readonly error: unknown;
}

/** All peers of a server, in the order in which they connected: `for (const peer of server.peers)`. */
export class InterconnectPeers implements Iterable<InterconnectPeer> {
  private readonly byId = new Map<string, InterconnectPeer>();

  /** The number of peers. */
  get size(): number {
    return this.byId.size;
  }

  /** The peer of that id, while it is connected. */
  get(id: string): InterconnectPeer | undefined {
    return this.byId.get(id);
  }

  /** The newest peer of that identity. There may be several: see `all`. */
  find(identity: string): InterconnectPeer | undefined {
    return this.all(identity).at(-1);
  }

  /** All peers, or all of one identity. */
  all(identity?: string): InterconnectPeer[] {
    const peers = [...this.byId.values()];
    return identity === undefined ? peers : peers.filter((peer) => peer.identity === identity);
  }

  /**
   * Emits an event to each peer at the same time, and waits for all of them. Never rejects: a peer that has no handler, or
   * cannot be reached, must not hide the outcomes of the others.
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

  /** @internal The server deletes the peer when its connection has ended. */
  add(peer: InterconnectPeer): void {
    this.byId.set(peer.id, peer);
  }

  /** @internal */
  delete(peer: InterconnectPeer): void {
    this.byId.delete(peer.id);
  }
}
