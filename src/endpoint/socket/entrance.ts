/**
 * The way into a listener: Node's server, and every socket until it can carry Interconnect. Then the listener takes the
 * socket over.
 */
import { createServer as createTcpServer, type Server, type Socket } from 'node:net';
import {
  createSecureContext,
  createServer as createTlsServer,
  Server as TlsServer,
  type SecureContextOptions,
  type TLSSocket,
} from 'node:tls';
import type { TimeBudget } from '../../protocol/index.js';
import { Arrival, type ArrivalEffects } from './arrival.js';
import { CertificateWatch, type CertificateExpiry } from './certificate-watch.js';
import { tlsError } from '../common/errors.js';
import { conceal } from '../common/inspection.js';
import type { Settings } from '../common/options.js';
import type { PeerSource } from '../common/peer.js';
import type { ExpectsProxyHeader } from './proxy-trust.js';
import { type AddressSettings, type Place, Places } from './places.js';
import { type DroppedSocket, droppedSocket, type DropReason, type Stranger } from './stranger.js';
import {
  type ListenerTlsOptions,
  listenerTlsOf,
  tlsFaultOf,
  type TlsPolicy,
} from './tls-options.js';
import { tame } from '../common/words.js';

/** The settings of an entrance. */
export interface EntranceSettings extends Settings {
  readonly tls: ListenerTlsOptions | undefined;
  /** `undefined`: no socket begins with a PROXY header. */
  readonly expectsHeader: ExpectsProxyHeader | undefined;
  readonly maxConnections: number;
  readonly perAddress: AddressSettings;
}

/** A socket that can carry Interconnect. */
export interface Entrant {
  readonly socket: Socket;
  /** The peer's address, or the one that a PROXY header named. Read at once: a closed socket has no address. */
  readonly source: PeerSource;
  /** The rest of the time in which the connection must be established. `undefined`: all of it. */
  readonly patience: TimeBudget | undefined;
  /** The place that the socket has taken. */
  readonly place: Place;
}

/** The events that an entrance reports. */
export interface EntranceEffects {
  onSocket(entrant: Entrant): void;
  onStranger(stranger: Stranger): void;
  onDrop(dropped: DroppedSocket): void;
  /** A TLS handshake failed, or its result is not acceptable. */
  onTlsError(error: Error, address: string | undefined): void;
  /** A certificate of the listener expires soon. */
  onCertificateExpiry(expiry: CertificateExpiry): void;
  /** The application has called `setSecureContext` of the server itself. */
  onSecureContext(changes: SecureContextOptions): void;
}

export class Entrance implements ArrivalEffects {
  /** The `net.Server`, `tls.Server` or server of the network. */
  readonly server: Server;
  readonly #settings: EntranceSettings;
  readonly #effects: EntranceEffects;
  /** The sockets that cannot carry Interconnect yet. */
  readonly #arrivals = new Map<Socket, Arrival>();
  readonly #places: Places;
  /** Makes a TLS socket of a socket: the listener that `tls.Server` has for its own 'connection'. */
  #encrypt: ((socket: Socket) => void) | undefined;
  #watch: CertificateWatch | undefined;

  /** @throws IC_ERR_OPTION for TLS options that Node refuses. */
  constructor(settings: EntranceSettings, effects: EntranceEffects) {
    this.#settings = settings;
    this.#effects = effects;
    this.server = this.#createServer();
    this.#places = new Places(settings.maxConnections, settings.perAddress);
  }

  /** Takes other certificates from now on. @throws IC_ERR_OPTION for TLS options that Node refuses. */
  setSecureContext(tls: ListenerTlsOptions): void {
    checkContext(tls);
    TlsServer.prototype.setSecureContext.call(this.server, listenerTlsOf(tls).options);
    this.#watch?.replace(tls);
  }

  /** Destroys every socket that cannot carry Interconnect yet. */
  clear(): void {
    for (const arrival of this.#arrivals.values()) arrival.destroy();
  }

  onLocated({ place, source }: Arrival): DropReason | undefined {
    return place.locate(source.address, this.#settings.clock.now());
  }

  onEncrypted({ socket }: Arrival): void {
    this.#encrypt?.(socket);
  }

  onThrough({ socket, source, patience, place }: Arrival): void {
    this.#effects.onSocket({ socket, source, patience, place });
  }

  onDrop(dropped: DroppedSocket): void {
    this.#effects.onDrop(dropped);
  }

  onStranger(stranger: Stranger): void {
    this.#effects.onStranger(stranger);
  }

  onOver({ socket }: Arrival): void {
    this.#arrivals.delete(socket);
  }

  #createServer(): Server {
    const { tls, network } = this.#settings;
    const onSocket = (socket: Socket): void => this.#onSocket(socket);
    if (network !== undefined) return network.createServer(onSocket);
    if (tls !== undefined) return this.#createTlsServer(tls);
    return createTcpServer({ allowHalfOpen: true, noDelay: true }, onSocket);
  }

  #createTlsServer(tls: ListenerTlsOptions): Server {
    const { options, policy } = listenerTlsOf(tls);
    // The arrival keeps the time: Node's own timer would fire before the input of the same moment is read.
    const unlimited = { handshakeTimeout: 2 ** 31 - 1 };
    // If sockets were half open, a socket whose dialer gives up during the TLS handshake would stay until the timeout.
    const fixed = { allowHalfOpen: false, noDelay: true };
    try {
      const server = createTlsServer({ ...unlimited, ...options, ...fixed }, (socket) =>
        this.#onSecured(socket, policy),
      );
      server.on('tlsClientError', (error, socket) => this.#onTlsError(error, socket));
      // The arrival inspects the first octets before TLS gets them.
      const encrypting = server.listeners('connection');
      this.#encrypt = (socket) => {
        for (const each of encrypting) Reflect.apply(each, server, [socket]);
      };
      server.removeAllListeners('connection');
      // Node's own method would take its defaults for all that it is not given: other versions, and other authorities.
      server.setSecureContext = (changes) => this.#effects.onSecureContext(changes);
      conceal(server, '[tls.Server of a Listener]');
      this.#watch = new CertificateWatch(tls, this.#settings.clock, (expiry) =>
        this.#effects.onCertificateExpiry(expiry),
      );
      server.on('listening', () => this.#watch?.begin());
      server.on('close', () => this.#watch?.end());
      return server.on('connection', (socket: Socket) => this.#onSocket(socket));
    } catch (cause) {
      throw tlsError(cause);
    }
  }

  #onSocket(socket: Socket): void {
    const { remoteAddress: address, remotePort: port } = socket;
    const isProxied = this.#settings.expectsHeader?.(address) ?? false;
    const isEncrypted = this.#encrypt !== undefined;
    const { handshakeTimeout, clock } = this.#settings;
    const place = this.#places.take(isProxied ? undefined : address, clock.now());
    if (typeof place === 'string') {
      socket.destroy();
      return this.#effects.onDrop(droppedSocket({ address, port }, place));
    }
    socket.on('close', () => place.leave());
    if (!isProxied && !isEncrypted) {
      const source = { address, port };
      return this.#effects.onSocket({ socket, source, patience: undefined, place });
    }
    const settings = { isProxied, isEncrypted, handshakeTimeout, clock };
    this.#arrivals.set(socket, new Arrival(socket, place, settings, this));
  }

  #onSecured(socket: TLSSocket, policy: TlsPolicy): void {
    const arrival = this.#arrivalOf(socket);
    // The arrival ended and destroyed the socket.
    if (arrival === undefined) return void socket.destroy();
    const { source, patience, place } = arrival;
    const fault = tlsFaultOf(socket, policy);
    if (fault !== undefined) {
      const error = new Error(`the socket ${fault}`);
      return this.#onTlsError(error, socket);
    }
    // Another TLS handshake on the same socket (TLS 1.2) would change what was judged, and costs work. Node reports an
    // error, and would still answer.
    socket.disableRenegotiation();
    conceal(socket, '[TLSSocket of a Listener]');
    const { socket: underneath } = arrival;
    socket.once('error', () => underneath.destroy());
    arrival.secured();
    this.#effects.onSocket({ socket, source, patience, place });
  }

  /** Node reports a handshake that took too long, and leaves the socket open. */
  #onTlsError(error: Error, socket: TLSSocket): void {
    const arrival = this.#arrivalOf(socket);
    socket.destroy();
    // The arrival was over before, and this error is a consequence.
    if (arrival === undefined) return;
    const { address } = arrival.source;
    arrival.destroy();
    tame(error);
    this.#effects.onTlsError(error, address);
  }

  /** Node has no public way from a TLS socket to the one underneath. */
  #arrivalOf(socket: TLSSocket & { readonly _parent?: Socket }): Arrival | undefined {
    return socket._parent && this.#arrivals.get(socket._parent);
  }
}

/** @internal @throws IC_ERR_OPTION for TLS options that Node refuses. */
export function checkContext(tls: ListenerTlsOptions): void {
  try {
    createSecureContext(listenerTlsOf(tls).options);
  } catch (cause) {
    throw tlsError(cause);
  }
}
