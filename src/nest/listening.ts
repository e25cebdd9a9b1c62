import { Listener } from '../endpoint/index.js';
import type { Bytes, Connection, Handshake, ListenAddress, Peer } from '../endpoint/index.js';
import type { ConnectionSource, SourceListener } from './connection-source.js';
import { toListenerOptions } from './interconnect.options.js';
import type { InterconnectServerOptions } from './interconnect.options.js';

/** Connections of those who connect to this server. */
export class Listening implements ConnectionSource {
  private readonly listener: Listener;
  /** What `authenticate` called each, until its connection stands. */
  private readonly principals = new WeakMap<Peer, string>();

  constructor(options: InterconnectServerOptions, told: SourceListener) {
    const { authenticate, ...listenerOptions } = toListenerOptions(options);
    this.listener = new Listener(
      authenticate === undefined
        ? listenerOptions
        : { ...listenerOptions, authenticate: this.noting(authenticate) },
    );
    this.listener.on('connection', (connection) =>
      told.onConnection(connection, this.identityOf(connection)),
    );
    this.listener.on('handlerError', (error) => told.onError(error));
    this.listener.on('tlsError', (error, address = 'an unknown address') =>
      told.onWarning(`The TLS handshake with ${address} failed: ${error.message}`),
    );
  }

  get underlying(): unknown {
    return this.listener.server;
  }

  open(): Promise<ListenAddress> {
    return this.listener.listen();
  }

  async close(timeout: number): Promise<void> {
    // One that has not bound yet has nothing to drain.
    if (timeout > 0 && this.listener.address !== undefined) await this.listener.drain({ timeout });
    await this.listener.close();
  }

  /** The core keeps the principal to itself. Its `peer` object is the handshake's and the connection's. */
  private noting(authenticate: (handshake: Handshake) => unknown) {
    return (handshake: Handshake): unknown => {
      const accept = handshake.accept.bind(handshake);
      handshake.accept = (data?: Bytes, principal?: string) => {
        this.principals.set(handshake.peer, principal ?? '');
        accept(data, principal);
      };
      return authenticate(handshake);
    };
  }

  private identityOf({ peer }: Connection): string {
    const principal = this.principals.get(peer) ?? '';
    if (principal !== '' || !peer.authorized) return principal;
    // A list, where the certificate has several.
    return [peer.certificate?.subject.CN ?? ''].flat()[0] ?? '';
  }
}
