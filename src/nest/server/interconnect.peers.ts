import { AsyncResource } from 'node:async_hooks';
import { InterconnectError, messageOf } from '../../endpoint/index.js';
import type { Connection, Peer } from '../../endpoint/index.js';
import { lastValueFrom } from 'rxjs';
import { isInterconnectRecord } from '../common/interconnect.record.js';
import type { SparingLog } from '../common/sparing-log.js';
import { withOptions } from '../client/call-options.js';
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
  /** Not shown in an inspection: they are the options of the server. */
  readonly #options: PeerClientOptions;
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
    this.#options = options;
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
      InterconnectClient.over(this.connection, this.#options, this.log),
    ));
  }
}

/** The outcome of a broadcast at one peer. */
export interface BroadcastOutcome {
  readonly peer: InterconnectPeer;
  /** The reason of a failure; `undefined` if every handler of the event has run. */
  readonly error: unknown;
}

/** The options of a broadcast. */
export interface BroadcastOptions {
  /**
   * Milliseconds: a peer that has not accepted the event by then has failed. Default 5,000, or the timeout of a record; 0 = no
   * limit.
   */
  timeout?: number | undefined;
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
   * Emits an event to each peer at the same time, and waits for all of them, at most `timeout` milliseconds. Never rejects: a
   * peer that has no handler, or cannot be reached, must not hide the outcomes of the others. A peer that has no socket now
   * fails at once with `IC_ERR_OFFLINE` and does not get the event.
   */
  broadcast(
    pattern: unknown,
    data: unknown,
    to: Iterable<InterconnectPeer> = this,
    options: BroadcastOptions = {},
  ): Promise<BroadcastOutcome[]> {
    const event = withTimeout(data, options.timeout);
    return Promise.all(
      [...to].map(async (peer) => {
        try {
          if (peer.connection.status === 'detached') throw absent(peer);
          await lastValueFrom(peer.client.emit(pattern, event));
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

/** The time that each peer of a broadcast has, in milliseconds. */
const BROADCAST_TIMEOUT = 5000;

/** The data with the timeout of the broadcast. The call itself refuses data that is missing. */
function withTimeout(data: unknown, timeout: number | undefined): unknown {
  if (data === null || data === undefined) return data;
  const own = isInterconnectRecord(data) ? data.timeout : undefined;
  return withOptions(data, { timeout: timeout ?? own ?? BROADCAST_TIMEOUT });
}

function absent({ connection }: InterconnectPeer): InterconnectError {
  const cause = connection.outage?.error;
  const why = cause === undefined ? '.' : `: ${messageOf(cause)}`;
  return new InterconnectError(
    'IC_ERR_OFFLINE',
    `The peer has no socket now, so that the event was not sent to it${why}`,
    { executed: 'no', cause },
  );
}
