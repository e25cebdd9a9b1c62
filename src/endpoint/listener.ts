/** Accepts connections: the listener's side. */
import { EventEmitter } from 'node:events';
import { createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { EMPTY } from '../protocol/index.js';
import { Code } from '../wire/index.js';
import { Connection } from './connection.js';
import { Driver, LINGER } from './driver.js';
import { checkObject, InterconnectError, optionError, shown, tlsError } from './errors.js';
import { Handshake } from './handshake.js';
import { bind, checkListenTarget, type ListenAddress } from './bind.js';
import { checkInteger, type EndpointOptions, resolveOptions, type Settings } from './options.js';
import { type Peer, peerOf } from './peer.js';
import { report, warn } from './report.js';

/** Where to listen, whom to let in, and what to allow. */
export interface ListenerOptions extends EndpointOptions {
  /** Name or address to bind. Default `localhost`; `::` for all, IPv4 and IPv6. */
  host?: string;
  /** Default 0: any free one; `listen` tells which. */
  port?: number;
  /** A Unix socket, instead of host and port. A stale one is replaced, a live one is an error. */
  path?: string;
  /** Encrypts: Node's `tls.createServer` options. With `requestCert`, dialers need a certificate. */
  tls?: TlsOptions;
  /** Connections that wait to be accepted by this process. Default 511. */
  backlog?: number;
  /** Sockets at once; one more is dropped. Default 4096. */
  maxConnections?: number;
  /**
   * Judges a dialer before there is a connection: call `accept` or `reject`, now or later. A throw, or
   * a rejected promise, refuses it. Default: everyone is accepted.
   */
  authenticate?: (handshake: Handshake) => unknown;
}

/** What a listener emits. */
export interface ListenerEvents {
  /** A dialer was accepted. Attach the connection's listeners here, synchronously. */
  connection: [connection: Connection];
  /** It is bound, and accepts. */
  listening: [address: ListenAddress];
  /** A socket's TLS handshake failed, for one because its certificate is not accepted. */
  tlsError: [error: Error, address: string | undefined];
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
  readonly #connections = new Set<Connection>();
  /** Sockets of all stages, the handshake included. */
  readonly #drivers = new Set<Driver>();
  /** The sockets below TLS, of which nobody knows yet whether they will ever speak it. */
  readonly #strangers = new Set<Socket>();
  #server: Server | undefined;
  #address: ListenAddress | undefined;
  #binding: Promise<ListenAddress> | undefined;
  #closing: Promise<void> | undefined;
  /** How often `close` was called: a `listen` that it overtook gives up. */
  #closes = 0;

  /** @throws IC_ERR_OPTION */
  constructor(options: ListenerOptions = {}) {
    super({ captureRejections: true });
    this.#settings = resolveOptions(options);
    if (options.tls !== undefined) checkObject('tls', options.tls);
    checkListenTarget(options);
    checkInteger('backlog', options.backlog ?? 511, 1, 2 ** 31 - 1);
    checkInteger('maxConnections', options.maxConnections ?? 4096, 1, 2 ** 31 - 1);
    if (options.authenticate !== undefined && typeof options.authenticate !== 'function') {
      throw optionError(`authenticate must be a function, and is ${shown(options.authenticate)}.`);
    }
    this.#options = { ...options };
  }

  /** Where it listens, while it does. */
  get address(): ListenAddress | undefined {
    return this.#address;
  }

  /** The connections that stand, in the order in which they came. A live view. */
  get connections(): ReadonlySet<Connection> {
    return this.#connections;
  }

  /** The `net.Server` or `tls.Server` underneath, while it listens. */
  get server(): Server | undefined {
    return this.#server;
  }

  /**
   * Binds, and resolves with the bound address. May be called again after `close`.
   * @throws IC_ERR_LISTEN for every failure to bind; IC_ERR_OPTION where it listens already.
   */
  async listen(): Promise<ListenAddress> {
    const closes = this.#closes;
    if (this.#closing !== undefined) await this.#closing;
    if (this.#closes !== closes) throw closedMeanwhile();
    if (this.#server !== undefined) {
      throw new InterconnectError('IC_ERR_OPTION', 'The listener listens already. Close it first.');
    }
    const server = this.#createServer();
    this.#server = server;
    this.#binding = bind(server, this.#options);
    try {
      const address = await this.#binding;
      if (this.#closes !== closes) throw closedMeanwhile();
      this.#address = address;
      server.on('error', (error) => this.#report(error));
      this.#guard(() => this.emit('listening', address));
      return address;
    } catch (error) {
      if (this.#closes === closes) this.#server = undefined;
      throw error;
    }
  }

  /** Stops listening and closes every connection in order. Idempotent; resolves when all sockets are gone. */
  close(): Promise<void> {
    this.#closes++;
    return (this.#closing ??= this.#close().finally(() => (this.#closing = undefined)));
  }

  async #close(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    // A server that has not bound yet cannot be closed: it would bind afterwards.
    await this.#binding?.catch(() => undefined);
    const stopped = new Promise((resolve) => server.close(resolve));
    const stopLinger = this.#settings.clock.setTimer(LINGER, () => {
      for (const socket of this.#strangers) socket.destroy();
    });
    for (const driver of this.#drivers) {
      driver.machine.refuse(Code.DRAINING, 'The listener is closing.', EMPTY);
      driver.machine.close(Code.OK, '', EMPTY, this.#settings.clock.now());
    }
    // The server has stopped before the last of its sockets says that it is gone.
    await Promise.all([stopped, ...[...this.#connections].map((each) => each.close())]);
    stopLinger();
    this.#server = undefined;
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

  #createServer(): Server {
    const { tls, maxConnections = 4096 } = this.#options;
    const onSocket = (socket: Socket): void => this.#onSocket(socket);
    const server =
      tls === undefined
        ? createTcpServer({ allowHalfOpen: true, noDelay: true }, onSocket)
        : this.#createTlsServer(tls, onSocket);
    server.maxConnections = maxConnections;
    return server;
  }

  #createTlsServer(tls: TlsOptions, onSocket: (socket: Socket) => void): Server {
    const { handshakeTimeout } = this.#settings;
    // Half open, a socket whose dialer gives up amid the TLS handshake would stay until the timeout.
    const fixed = { allowHalfOpen: false, noDelay: true };
    try {
      const server = createTlsServer(
        { ALPNProtocols: ['intc/1'], handshakeTimeout, ...tls, ...fixed },
        onSocket,
      );
      server.on('tlsClientError', (error, { remoteAddress }) => {
        this.#guard(() => this.emit('tlsError', error, remoteAddress));
      });
      // Below TLS, also those who never come to speak it.
      return server.on('connection', (socket) => this.#onStranger(socket));
    } catch (cause) {
      throw tlsError(cause);
    }
  }

  #onStranger(socket: Socket): void {
    this.#strangers.add(socket);
    socket.once('close', () => this.#strangers.delete(socket));
  }

  #onSocket(socket: Socket): void {
    // Its TLS handshake ended after the listener did.
    if (this.#closing !== undefined) return void socket.destroy();
    let connection: Connection | undefined;
    let peer: Peer | undefined;
    const settings = this.#settings;
    const { limits, agent, queue, handshakeTimeout, clock } = settings;
    const greeting = { limits, agent, data: EMPTY };
    const driver = new Driver(
      socket,
      { role: 'listener', greeting, queue, handshakeTimeout },
      clock,
      {
        onHandshake: ({ data, agent: name }) => {
          peer = peerOf(socket, name, this.#options.path);
          this.#judge(new Handshake(data, peer, driver.machine, clock));
        },
        onOpen: (machine, hello) => {
          // Not asked anew: by now the socket may be gone.
          peer ??= peerOf(socket, hello.agent, this.#options.path);
          const accepted = new Connection(driver, machine, hello, peer, settings);
          connection = accepted;
          this.#connections.add(accepted);
          this.#guard(() => this.emit('connection', accepted));
        },
        onSession: (session) => connection?.onSession(session),
        onClosed: (failure) => connection?.onClosed(failure),
        onSocketClosed: () => {
          this.#drivers.delete(driver);
          if (connection === undefined) return;
          this.#connections.delete(connection);
          connection.onSocketClosed();
        },
      },
    );
    this.#drivers.add(driver);
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
      listeners();
    } catch (error) {
      this.#report(error);
    }
  }

  #report(error: unknown): void {
    report(error, () => this.emit('handlerError', error));
  }
}

function closedMeanwhile(): InterconnectError {
  return new InterconnectError('IC_ERR_CLOSED', 'The listener was closed before it listened.');
}
