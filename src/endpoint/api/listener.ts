/** Accepts connections: the listener's side. */
import { randomBytes } from 'node:crypto';
import { EventEmitter } from 'node:events';
import type { Server } from 'node:net';
import type { TlsOptions } from 'node:tls';
import {
  type Failure,
  type Greeting,
  type ListenerEffects,
  ListenerHandshake,
} from '../../protocol/index.js';
import { Code, TOKEN_LENGTH, EMPTY } from '../../wire/index.js';
import { Connection, type DrainOptions } from './connection.js';
import { Driver, type DriverListener } from '../socket/driver.js';
import { Entrance, type Entrant } from '../socket/entrance.js';
import { InterconnectError, optionError } from '../common/errors.js';
import { Handshake } from './handshake.js';
import { bind, checkListenTarget, type ListenAddress } from '../socket/bind.js';
import { type EndpointOptions, resolveOptions, type Settings } from '../common/options.js';
import { type Peer, peerOf, type PeerSource } from '../common/peer.js';
import {
  type ExpectsProxyHeader,
  type ProxyProtocol,
  proxyTrustOf,
} from '../socket/proxy-trust.js';
import { report, warn } from './report.js';
import { identityOf, Resumables } from './resumables.js';
import { scopeOfNow } from '../common/scope.js';
import type { DroppedSocket, Stranger } from '../socket/stranger.js';
import { checkObject, checkInteger } from '../common/checks.js';
import { inspectShort } from '../common/words.js';

/** Where to listen, whom to let in, and what to allow. */
export interface ListenerOptions extends EndpointOptions {
  /** Name or address to bind. Default `localhost`; `::` for all, IPv4 and IPv6. */
  host?: string | undefined;
  /** Default 0: any free one; `listen` tells which. */
  port?: number | undefined;
  /** A Unix socket, instead of host and port. A stale one is replaced, a live one is an error. */
  path?: string | undefined;
  /** Encrypts: Node's `tls.createServer` options. With `requestCert`, dialers need a certificate. */
  tls?: TlsOptions | undefined;
  /** Connections that wait to be accepted by this process. Default 511. */
  backlog?: number | undefined;
  /**
   * The permissions of the file of a Unix socket (`path`), as `chmod` takes them: who may write to the file may connect.
   * Default 0o600: only the user that runs this process, and root.
   */
  mode?: number | undefined;
  /** Sockets at once; one more is dropped. As many connections may be without one. Default 4096. */
  maxConnections?: number | undefined;
  /**
   * For a listener behind balancers that begin each socket with a header of the PROXY protocol. `connection.peer` then
   * has the address and the port that the header names. Default: no socket begins with one.
   */
  proxyProtocol?: ProxyProtocol | undefined;
  /**
   * Milliseconds that a connection whose socket was lost waits for its dialer to come back; 0: it ends with
   * its socket. Default 120,000.
   */
  resumeTimeout?: number | undefined;
  /**
   * Judges a dialer before there is a connection: call `accept` or `reject`, now or later. A throw, or
   * a rejected promise, refuses it. Default: everyone is accepted.
   */
  authenticate?: ((handshake: Handshake) => unknown) | undefined;
}

/** What a listener emits. */
export interface ListenerEvents {
  /** A dialer was accepted. Attach the connection's listeners here, synchronously. */
  connection: [connection: Connection];
  /** It is bound, and accepts. */
  listening: [address: ListenAddress];
  /** A socket's TLS handshake failed, for one because its certificate is not accepted. The socket is destroyed. */
  tlsError: [error: Error, address: string | undefined];
  /**
   * A socket was destroyed because it does not speak Interconnect, or stopped amid its handshake. Who ends a socket
   * without a word, as health checks do, or says nothing until `handshakeTimeout`, is not told of.
   */
  stranger: [stranger: Stranger];
  /** A socket was closed as soon as it came, because `maxConnections` others are open. */
  drop: [dropped: DroppedSocket];
  /** It has closed, and every socket is gone. */
  close: [];
  /** `authenticate` threw, or the server failed after it was listening. Without a listener: a warning. */
  handlerError: [error: unknown];
}

/**
 * Listens on one address and emits a `Connection` for each dialer that it lets in.
 *
 * A listener that throws, or whose promise rejects, is reported by `handlerError`; nothing else comes of it.
 */
export class Listener extends EventEmitter<ListenerEvents> {
  readonly #options: ListenerOptions;
  readonly #settings: Settings;
  readonly #resumeTimeout: number;
  readonly #connections = new Set<Connection>();
  /** Sockets of all stages, the handshake included. */
  readonly #drivers = new Map<Driver, ListenerHandshake>();
  /** What dialers can come back to. */
  readonly #resumables = new Resumables();
  readonly #expectsHeader: ExpectsProxyHeader | undefined;
  #entrance: Entrance | undefined;
  #address: ListenAddress | undefined;
  #binding: Promise<ListenAddress> | undefined;
  #isDraining = false;
  #closing: Promise<void> | undefined;
  /** How often `close` was called: a `listen` that it overtook gives up. */
  #closes = 0;

  /** @throws IC_ERR_OPTION */
  constructor(options: ListenerOptions = {}) {
    super({ captureRejections: true });
    this.#settings = resolveOptions(options, scopeOfNow());
    if (options.tls !== undefined) checkObject('tls', options.tls);
    const { network } = options;
    this.#options = { ...options, ...(network && { path: network.address }) };
    checkListenTarget(this.#options);
    this.#expectsHeader = proxyTrustOf(options.proxyProtocol, options.path);
    checkInteger('backlog', options.backlog ?? 511, 1, 2 ** 31 - 1);
    checkInteger('maxConnections', options.maxConnections ?? MAX_CONNECTIONS, 1, 2 ** 31 - 1);
    this.#resumeTimeout = checkInteger(
      'resumeTimeout',
      options.resumeTimeout ?? RESUME_TIMEOUT,
      0,
      2 ** 31 - 1,
    );
    if (options.authenticate !== undefined && typeof options.authenticate !== 'function') {
      throw optionError(
        `authenticate must be a function, and is ${inspectShort(options.authenticate)}.`,
      );
    }
  }

  /** Where it listens, while it does. */
  get address(): ListenAddress | undefined {
    return this.#address;
  }

  /** The connections that stand, in the order in which they came. A live view. */
  get connections(): ReadonlySet<Connection> {
    return this.#connections;
  }

  /** The `net.Server`, `tls.Server` or server of the network underneath, while it listens. */
  get server(): Server | undefined {
    return this.#entrance?.server;
  }

  /**
   * Binds, and resolves with the bound address. May be called again after `close`.
   * @throws IC_ERR_LISTEN for every failure to bind; IC_ERR_OPTION where it listens already.
   */
  async listen(): Promise<ListenAddress> {
    const closes = this.#closes;
    if (this.#closing !== undefined) await this.#closing;
    if (this.#closes !== closes) throw closedMeanwhile();
    if (this.#entrance !== undefined) {
      throw new InterconnectError('IC_ERR_OPTION', 'The listener listens already. Close it first.');
    }
    const { scope } = this.#settings;
    const entrance = scope.runInAsyncScope(() => this.#createEntrance());
    const { server } = entrance;
    this.#entrance = entrance;
    this.#binding = scope.runInAsyncScope(() => bind(server, this.#options));
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
   * Stops listening, takes nothing new on any connection, and closes each when all that runs has been settled,
   * or the time is over. Dialers go elsewhere meanwhile, with what was not begun. Resolves when all sockets
   * are gone.
   */
  async drain(options: DrainOptions = {}): Promise<void> {
    this.#isDraining = true;
    try {
      // A server that has not bound yet cannot be closed: it would bind afterwards.
      await this.#binding?.catch(() => undefined);
      this.#entrance?.server.close();
      for (const handshake of this.#drivers.values()) {
        handshake.refuse(Code.DRAINING, 'The listener is shutting down.', EMPTY);
      }
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
    for (const [driver, handshake] of this.#drivers) {
      handshake.refuse(Code.DRAINING, 'The listener is closing.', EMPTY);
      driver.machine.close(Code.OK, '', EMPTY, this.#settings.clock.now());
    }
    // The server has stopped before the last of its sockets says that it is gone.
    await Promise.all([stopped, ...[...this.#connections].map((each) => each.close())]);
    this.#entrance = undefined;
    this.#address = undefined;
    this.#guard(() => this.emit('close'));
  }

  /** A listener that returned a promise, and it rejected. */
  override [EventEmitter.captureRejectionSymbol](
    error: Error,
    event: unknown,
    ..._subjects: unknown[]
  ): void {
    if (event === 'handlerError') warn(error);
    else this.#report(error);
  }

  #createEntrance(): Entrance {
    const { tls, maxConnections = MAX_CONNECTIONS } = this.#options;
    const options = { tls, maxConnections, expectsHeader: this.#expectsHeader };
    return new Entrance(options, this.#settings, {
      onSocket: (entrant) => this.#onSocket(entrant),
      onStranger: (stranger) => this.#guard(() => this.emit('stranger', stranger)),
      onDrop: (dropped) => this.#guard(() => this.emit('drop', dropped)),
      onTlsError: (error, address) => this.#guard(() => this.emit('tlsError', error, address)),
    });
  }

  #onSocket({ socket, source, patience }: Entrant): void {
    // Its TLS handshake ended after the listener did.
    if (this.#closing !== undefined) return void socket.destroy();
    let connection: Connection | undefined;
    let principal = '';
    let peer: Peer | undefined;
    const { limits, agent, handshakeTimeout, clock, scope } = this.#settings;
    const greeting = { limits, agent, data: EMPTY, canResume: this.#resumeTimeout > 0 };
    const effects: ListenerEffects = {
      handshake: (hello) => {
        const caller = (peer = peerOf(socket, hello.agent, this.#options.path, source));
        const admit = (data: Buffer, found: string): void => {
          principal = found;
          this.#admit({ driver, handshake, hello, peer: caller }, data, found);
        };
        // [IC-17.15]
        this.#judge(new Handshake(hello.data, caller, handshake, admit));
      },
      begin: () => {
        connection = new Connection(this.#settings, principal);
        return connection.machine;
      },
      open: (_machine, hello) => {
        if (connection === undefined || peer === undefined) return;
        connection.continuity.onOpen(driver, hello, peer);
        this.#onConnection(connection, identityOf(peer, principal));
      },
    };
    const handshake = new ListenerHandshake(effects, greeting);
    const owner: DriverListener = {
      onFailed: (failure) => {
        const stranger = failure && strangerOf(failure, source);
        if (stranger !== undefined) this.#guard(() => this.emit('stranger', stranger));
      },
    };
    const settings = { handshake, handshakeTimeout, patience };
    const driver: Driver = new Driver(socket, settings, clock, owner, scope);
    this.#drivers.set(driver, handshake);
    socket.on('close', () => void this.#drivers.delete(driver));
  }

  /** The dialer may go on with the connection that it names, or begins a new one. */
  #admit({ driver, handshake, hello, peer }: Candidate, data: Buffer, principal: string): void {
    const now = this.#settings.clock.now();
    // The dialer gave up while it was judged.
    if (!handshake.isJudging) return;
    // Only where both offer it. [IC-17.21]
    const resume = hello.canResume && this.#resumeTimeout > 0 ? hello.resume : undefined;
    // [IC-17.16]
    const former = resume && this.#resumables.find(resume.token, identityOf(peer, principal));
    if (resume !== undefined && former?.machine.canResume(resume.received) === true) {
      former.continuity.takeOver(driver);
      handshake.resume(former.machine, data, now);
      return former.continuity.onResumed(driver, hello, peer);
    }
    if (this.#isDraining) {
      return handshake.refuse(Code.DRAINING, 'The listener is shutting down.', EMPTY);
    }
    // The former is left as it is: a late HELLO must not end what works. [IC-17.27] [IC-17.29]
    const code = resume && (former === undefined ? Code.RESUME_UNKNOWN : Code.RESUME_GAP);
    const ttl = this.#resumeTimeout;
    // [IC-17.2]
    const token = ttl > 0 ? { token: randomBytes(TOKEN_LENGTH), ttl } : undefined;
    handshake.accept(data, token, code, now);
  }

  #onConnection(connection: Connection, identity: string): void {
    const { token } = connection.machine;
    const { maxConnections = MAX_CONNECTIONS } = this.#options;
    this.#connections.add(connection);
    if (token !== undefined) this.#resumables.add(connection, token.token, identity);
    // Each has a socket, or is one of as many that wait for one.
    if (this.#resumables.size > 2 * maxConnections) {
      this.#resumables.oldestDetached()?.continuity.end(CROWDED_OUT);
    }
    void connection.gone.then(() => {
      this.#connections.delete(connection);
      if (token !== undefined) this.#resumables.delete(token.token);
    });
    this.#guard(() => this.emit('connection', connection));
  }

  #judge(handshake: Handshake): void {
    const { authenticate } = this.#options;
    if (authenticate === undefined) return handshake.accept();
    const failed = (error: unknown): void => {
      handshake.fail();
      this.#report(error);
    };
    try {
      Promise.resolve(authenticate(handshake)).catch(failed);
    } catch (error) {
      failed(error);
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

/** A dialer that is judged. */
interface Candidate {
  readonly driver: Driver;
  readonly handshake: ListenerHandshake;
  readonly hello: Greeting;
  readonly peer: Peer;
}

/** Whether the operator is to know of the socket that no connection came of. */
function strangerOf(
  { message, speaker, awaited }: Failure,
  source: PeerSource,
): Stranger | undefined {
  if (speaker !== undefined) return { ...source, kind: speaker.kind, message };
  // Whoever says nothing is nobody's concern, and the judgement is the application's own.
  return awaited === 'rest' ? { ...source, kind: 'unfinished', message } : undefined;
}

/** Without a socket there is nothing to wait for: nobody can come back to a listener that takes no sockets. */
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

/** Milliseconds. */
const RESUME_TIMEOUT = 120_000;
const MAX_CONNECTIONS = 4096;

function closedMeanwhile(): InterconnectError {
  return new InterconnectError('IC_ERR_CLOSED', 'The listener was closed before it listened.');
}
