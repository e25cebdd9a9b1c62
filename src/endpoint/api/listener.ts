/** The listener's side of the API: a `Listener` accepts connections. */
import { EventEmitter } from 'node:events';
import type { Server } from 'node:net';
import type { Failure } from '../../protocol/index.js';
import { InterconnectError } from '../common/errors.js';
import type { Peer } from '../common/peer.js';
import { bind, type ListenAddress } from '../socket/bind.js';
import type { CertificateExpiry } from '../socket/certificate-watch.js';
import { checkContext, Entrance, type Entrant } from '../socket/entrance.js';
import type { AddressGroup } from '../socket/places.js';
import { type DroppedSocket, droppedSocket, type Stranger } from '../socket/stranger.js';
import { trustOf } from '../socket/tls-options.js';
import {
  Admission,
  type AdmissionContext,
  type AdmissionEffects,
  SHUTTING_DOWN,
} from './admission.js';
import type { Connection, DrainOptions } from './connection.js';
import type { Handshake } from './handshake.js';
import { type Identity, identityOfPeer } from './identity.js';
import {
  type ListenerOptions,
  type ListenerSettings,
  resolveListenerOptions,
} from './listener-options.js';
import { Judgements } from './judgements.js';
import { report, warn, warnOfExpiry } from './report.js';
import { Resumables } from './resumables.js';
import {
  changedTls,
  keepsUntrusted,
  type SecureContextChanges,
  type SecureContextOptions,
  untrustedOf,
} from './secure-context.js';

/** The events of a listener. */
export interface ListenerEvents {
  /** A dialer was accepted. Attach the connection's listeners here, synchronously. */
  connection: [connection: Connection];
  /** The listener is bound, and accepts sockets. */
  listening: [address: ListenAddress];
  /**
   * A socket's TLS handshake failed, for example because of its certificate, or the certificate has no clear name
   * (`identify`). The socket is destroyed, or the dialer refused.
   */
  tlsError: [error: Error, address: string | undefined];
  /**
   * A socket was destroyed because its peer does not speak Interconnect, or stopped during the handshake. Not emitted
   * if the peer ends the socket without a word, as health checks do, or is silent until `handshakeTimeout`.
   */
  stranger: [stranger: Stranger];
  /** A socket was closed because of a limit on places or rates: `maxConnections` or one of `perAddress`. */
  drop: [dropped: DroppedSocket];
  /**
   * A certificate of the listener expires within 30 days, or has expired. Emitted when the listener begins to listen,
   * and then once a day. Without a listener for this event, the process emits a warning.
   */
  certificateExpiry: [expiry: CertificateExpiry];
  /** The listener has closed, and every socket is gone. */
  close: [];
  /**
   * `authenticate` threw an error, or the server failed after it had begun to listen. Without a listener for this
   * event, the process emits a warning.
   */
  handlerError: [error: unknown];
}

/** Counts of what a listener has turned away. */
export interface TurnedAway {
  /** Sockets that were closed because of `maxConnections` or a limit of `perAddress`. */
  readonly dropped: number;
  /** Dialers that were refused without a judgement, because `authenticate` had refused their address too often. */
  readonly refused: number;
}

/**
 * Listens on one address and emits a `Connection` for each dialer that is accepted.
 *
 * If an event listener throws, or its promise rejects, `handlerError` reports the error. The error has no other effect.
 */
export class Listener extends EventEmitter<ListenerEvents> {
  readonly #settings: ListenerSettings;
  readonly #connections = new Set<Connection>();
  /** Every socket, with or without a connection. */
  readonly #admissions = new Set<Admission>();
  /** The connections that dialers can resume. */
  readonly #resumables: Resumables;
  readonly #judgements: Judgements;
  #dropped = 0;
  #refused = 0;
  #entrance: Entrance | undefined;
  /** The TLS options that `setSecureContext` has changed since. */
  #tlsChanges: SecureContextChanges = {};
  #address: ListenAddress | undefined;
  #binding: Promise<ListenAddress> | undefined;
  #isDraining = false;
  #closing: Promise<void> | undefined;
  /** The number of calls of `close`. A `listen` that began before a call of `close` gives up. */
  #closes = 0;
  readonly #admissionContext: AdmissionContext;
  readonly #admissionEffects: AdmissionEffects = {
    onConnection: (connection, identity, group) => this.#onConnection(connection, identity, group),
    onResuming: (connection) => this.#resumables.onAttached(connection),
    onDrop: (dropped) => this.#onDrop(dropped),
    onStranger: (stranger) => this.#onStranger(stranger),
    onSocketClosed: (admission) => this.#onSocketClosed(admission),
  };

  /** @throws IC_ERR_OPTION */
  constructor(options: ListenerOptions = {}) {
    super({ captureRejections: true });
    this.#settings = resolveListenerOptions(options);
    const { maxConnections, perAddress } = this.#settings;
    this.#resumables = new Resumables({ all: maxConnections, perAddress: perAddress.connections });
    this.#judgements = new Judgements(this.#settings, {
      judge: (handshake) => this.#judge(handshake),
      onThrottled: (handshake) => this.#onThrottled(handshake),
    });
    this.#admissionContext = {
      settings: this.#settings,
      resumables: this.#resumables,
      isDraining: () => this.#isDraining,
      identityOf: (peer) => this.#identityOf(peer),
      judge: (handshake, group) => {
        if (this.#settings.authenticate === undefined) handshake.accept();
        else this.#judgements.add(handshake, group);
      },
    };
  }

  /** The bound address; undefined while the listener does not listen. */
  get address(): ListenAddress | undefined {
    return this.#address;
  }

  /** The open connections, oldest first. A live view. */
  get connections(): ReadonlySet<Connection> {
    return this.#connections;
  }

  /** What this listener has turned away since it was made. */
  get turnedAway(): TurnedAway {
    return { dropped: this.#dropped, refused: this.#refused };
  }

  /** The `net.Server`, the `tls.Server` or the server of the network; undefined while the listener does not listen. */
  get server(): Server | undefined {
    return this.#entrance?.server;
  }

  /**
   * Binds, and resolves with the bound address. May be called again after `close`.
   * @throws IC_ERR_LISTEN for every failure to bind; IC_ERR_OPTION if the listener already listens.
   */
  async listen(): Promise<ListenAddress> {
    const closes = this.#closes;
    if (this.#closing !== undefined) await this.#closing;
    if (this.#closes !== closes) throw closedMeanwhile();
    if (this.#entrance !== undefined) {
      throw new InterconnectError('IC_ERR_OPTION', 'The listener listens already. Close it first.');
    }
    const { scope, target } = this.#settings;
    const entrance = scope.runInAsyncScope(() => this.#createEntrance());
    const { server } = entrance;
    this.#entrance = entrance;
    this.#binding = scope.runInAsyncScope(() => bind(server, target));
    try {
      const address = await this.#binding;
      if (this.#closes !== closes) throw closedMeanwhile();
      this.#address = address;
      server.on('error', (error) => this.#report(error));
      this.#guard(() => this.emit('listening', address));
      return address;
    } catch (error) {
      if (this.#closes === closes) this.#entrance = undefined;
      throw error;
    }
  }

  /**
   * Takes other certificates, keys or authorities, without a stop. What `changes` does not name stays as it is. Each TLS
   * handshake from now on uses the new ones, and `options` says what happens to the connections that exist. Resolves
   * when the connections that are no longer trusted have closed.
   * @throws IC_ERR_OPTION for options that cannot change or that Node refuses. Nothing has changed then.
   */
  async setSecureContext(
    changes: SecureContextChanges,
    options: SecureContextOptions = {},
  ): Promise<void> {
    await this.#reload(changes, options);
  }

  /**
   * Stops listening, and takes nothing new on any connection. Each connection closes when all that runs has been
   * settled, or the time is over. Meanwhile dialers send the messages that have not begun to other listeners. Resolves
   * when all sockets are gone.
   */
  async drain(options: DrainOptions = {}): Promise<void> {
    this.#isDraining = true;
    try {
      // A server that has not bound yet cannot be closed: it would bind afterwards.
      await this.#binding?.catch(() => undefined);
      this.#entrance?.server.close();
      for (const admission of this.#admissions) admission.refuse(SHUTTING_DOWN);
      await Promise.all([...this.#connections].map((connection) => drained(connection, options)));
      await this.close();
    } finally {
      this.#isDraining = false;
    }
  }

  /** Stops listening and closes every connection in order. Idempotent; resolves when all sockets are gone. */
  close(): Promise<void> {
    this.#closes++;
    return (this.#closing ??= this.#close().finally(() => (this.#closing = undefined)));
  }

  async #close(): Promise<void> {
    const entrance = this.#entrance;
    if (entrance === undefined) return;
    // A server that has not bound yet cannot be closed: it would bind afterwards.
    await this.#binding?.catch(() => undefined);
    const stopped = new Promise((resolve) => entrance.server.close(resolve));
    entrance.clear();
    for (const admission of this.#admissions) admission.close('The listener is closing.');
    // The server has stopped before the last of its sockets says that it is gone.
    await Promise.all([stopped, ...[...this.#connections].map((each) => each.close())]);
    this.#entrance = undefined;
    this.#address = undefined;
    this.#guard(() => this.emit('close'));
  }

  /** A listener of an event returned a promise, and the promise rejected. */
  override [EventEmitter.captureRejectionSymbol](
    error: Error,
    event: unknown,
    ..._subjects: unknown[]
  ): void {
    if (event === 'handlerError') warn(error);
    else this.#report(error);
  }

  /** @throws IC_ERR_OPTION, before the promise exists. */
  #reload(changes: SecureContextChanges, options: SecureContextOptions): Promise<unknown> {
    const { tls: given } = this.#settings;
    const former = given && { ...given, ...this.#tlsChanges };
    const keeps = keepsUntrusted(options);
    const tls = changedTls(former, changes);
    checkContext(tls);
    this.#entrance?.setSecureContext(tls);
    this.#tlsChanges = { ...this.#tlsChanges, ...changes };
    const isSame = former !== undefined && trustOf(former) === trustOf(tls);
    if (keeps || isSame || tls.requestCert !== true) return Promise.resolve();
    // The former authorities may have passed these sockets.
    this.#entrance?.clear();
    for (const admission of this.#admissions) admission.distrust(OTHER_AUTHORITIES);
    const untrusted = untrustedOf(this.#connections, tls);
    return Promise.all(untrusted.map((connection) => drained(connection, options)));
  }

  #createEntrance(): Entrance {
    const { tls } = this.#settings;
    const settings = { ...this.#settings, tls: tls && { ...tls, ...this.#tlsChanges } };
    return new Entrance(settings, {
      onSocket: (entrant) => this.#onSocket(entrant),
      onStranger: (stranger) => this.#onStranger(stranger),
      onDrop: (dropped) => this.#onDrop(dropped),
      onTlsError: (error, address) => this.#guard(() => this.emit('tlsError', error, address)),
      onCertificateExpiry: (expiry) => this.#onCertificateExpiry(expiry),
      onSecureContext: (changes) => void this.#reload(changes, {}),
    });
  }

  #onSocket(entrant: Entrant): void {
    // The listener closed before the TLS handshake of the socket ended.
    if (this.#closing !== undefined) return void entrant.socket.destroy();
    this.#admissions.add(new Admission(entrant, this.#admissionContext, this.#admissionEffects));
  }

  #onCertificateExpiry(expiry: CertificateExpiry): void {
    this.#guard(() => {
      if (!this.emit('certificateExpiry', expiry)) warnOfExpiry(expiry);
    });
  }

  #onStranger(stranger: Stranger): void {
    this.#guard(() => this.emit('stranger', stranger));
  }

  #onDrop(dropped: DroppedSocket): void {
    this.#dropped += 1;
    this.#guard(() => this.emit('drop', dropped));
  }

  #onThrottled(handshake: Handshake): void {
    const { address, port } = handshake.peer;
    handshake.throttle();
    this.#refused += 1;
    this.#guard(() => this.emit('drop', droppedSocket({ address, port }, 'refusals')));
  }

  #onSocketClosed(admission: Admission): void {
    this.#admissions.delete(admission);
    const { connection } = admission;
    if (connection?.status !== 'detached') return;
    // At most `maxConnections` connections have a socket, and the same number may wait for one.
    for (const each of this.#resumables.onDetached(connection)) each.continuity.end(CROWDED_OUT);
  }

  #onConnection(connection: Connection, identity: string, group: AddressGroup): void {
    const { token } = connection.machine;
    const now = this.#settings.clock.now();
    this.#connections.add(connection);
    if (token !== undefined) this.#resumables.add(connection, token.token, identity, group, now);
    void connection.gone.then(() => {
      this.#connections.delete(connection);
      this.#resumables.delete(connection);
    });
    this.#guard(() => this.emit('connection', connection));
  }

  #identityOf(peer: Peer): Identity {
    const { identify, authenticate } = this.#settings;
    const isJudged = authenticate !== undefined && !peer.authorized;
    if (identify === undefined || isJudged) return { name: '' };
    try {
      const identity = identityOfPeer(peer, identify);
      if (identity.fault !== undefined) {
        const error = new Error(`the certificate ${identity.fault}`);
        this.#guard(() => this.emit('tlsError', error, peer.address));
      }
      return identity;
    } catch (error) {
      this.#report(error);
      return { fault: 'could not be judged' };
    }
  }

  /** Runs the application's function. Never rejects. */
  async #judge(handshake: Handshake): Promise<void> {
    try {
      await this.#settings.authenticate?.(handshake);
    } catch (error) {
      handshake.fail();
      this.#report(error);
    }
  }

  #guard(listeners: () => void): void {
    try {
      this.#settings.scope.runInAsyncScope(listeners);
    } catch (error) {
      this.#report(error);
    }
  }

  #report(error: unknown): void {
    const tell = (): boolean => this.emit('handlerError', error);
    this.#settings.scope.runInAsyncScope(() => report(error, tell));
  }
}

/**
 * Drains a connection. A connection without a socket is closed at once: its dialer cannot resume it, because the
 * listener takes no sockets.
 */
async function drained(connection: Connection, options: DrainOptions): Promise<void> {
  if (connection.continuity.driver === undefined) return connection.close();
  connection.on('detach', () => void connection.close());
  await connection.drain(options);
}

const CROWDED_OUT: Failure = {
  kind: 'connection-lost',
  executed: 'maybe',
  message: 'The connection was lost, and too many others waited for their dialers after it.',
};

const OTHER_AUTHORITIES = 'The listener trusts other authorities now. Connect again.';

function closedMeanwhile(): InterconnectError {
  return new InterconnectError('IC_ERR_CLOSED', 'The listener was closed before it listened.');
}
