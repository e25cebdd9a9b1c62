import type {
  Connection,
  ConnectOptions,
  EndpointOptions,
  Listener,
  ListenerOptions,
  Metadata,
  WhenOffline,
} from '../../endpoint/index.js';
import type { Deserializer, Serializer } from '@nestjs/microservices';
import type { InterconnectAuthorize } from './access.js';
import type { InterconnectEncoding } from './codec.js';
import type { InterconnectJsonOptions } from './json.js';
import { DEFAULT_HOST, DEFAULT_PORT } from './interconnect.constants.js';

/** How payloads are made. Both sides of a connection need the same options. */
export interface InterconnectPayloadOptions extends InterconnectJsonOptions {
  /**
   * `'binary'` (the default): bytes are sent and received unchanged, and any other value is an error. `'json'`: any value that
   * has a form in JSON, as with Nest's TCP transport.
   */
  encoding?: InterconnectEncoding | undefined;
  /**
   * Gets `{ pattern, data }` for a message or `{ response }` for a response, and `{ pattern }` as options. Returns a packet with
   * other contents, or the contents alone. It does not see rejections.
   */
  serializer?: Serializer | undefined;
  /** The other direction: gets the packet as it arrived, and returns the packet for the handler or the caller. */
  deserializer?: Deserializer | undefined;
}

/** The parts of an `InterconnectClient` that a server needs to serve over its connection. */
export interface ConnectingClient {
  connect(): Promise<Connection>;
  close(): Promise<void>;
  on(event: 'connect', callback: (connection: Connection) => void): void;
}

/** The options of a connection that the server opens itself. The server's own options say how its messages are encoded. */
export interface InterconnectServerConnectOptions extends Omit<
  InterconnectClientOptions,
  | keyof InterconnectPayloadOptions
  | 'oneWay'
  | 'connectOnBootstrap'
  | 'metadata'
  | 'shutdownTimeout'
> {
  /**
   * `true` (the default): `listen()` waits for the connection, and fails if there is none within `whenOffline`.
   * `false`: `listen()` resolves at once, and the server keeps trying. The default of `whenOffline` is then `'wait'`.
   */
  waitForConnection?: boolean | undefined;
}

/**
 * Options of `InterconnectServer`. `host`, `port` and `tlsOptions` have the meaning that they have for Nest's TCP transport.
 * `path`, `authenticate`, `maxConnections`, the limits and the timeouts are the core's. `maxQueuedBytes` also bounds the values
 * of Observables that wait for their callers: for each connection, and counted apart.
 */
export interface InterconnectServerOptions
  extends Omit<ListenerOptions, 'tls'>, InterconnectPayloadOptions {
  /** Interface to bind. Default `'localhost'`: only this machine. `'::'` or `'0.0.0.0'`: everyone. */
  host?: string | undefined;
  /** Default 3000; 0 takes any free port, which `app.listen()` then resolves with. */
  port?: number | undefined;
  /** With this option, every connection uses TLS. `requestCert` and `ca` ask for client certificates. */
  tlsOptions?: NonNullable<ListenerOptions['tls']> | undefined;
  /**
   * Decides whether a peer may call a pattern, once for each session that the peer opens: before guards, and before a handler sees
   * a message. Messages wait meanwhile, within their own time and `sessionTimeout`. Default: every peer may call every pattern.
   */
  authorize?: InterconnectAuthorize | undefined;
  /**
   * Tells several Interconnect servers of one application apart: each serves the handlers whose
   * decorator names its id, or none. Default `INTERCONNECT_TRANSPORT`.
   */
  transportId?: symbol | undefined;
  /**
   * The server connects instead of listening, and serves the other side's messages over that connection: for example, on a
   * device that cannot be reached from outside. It connects again each time the connection has ended. The value may also be an
   * `InterconnectClient`, over whose connection the server then serves. The server closes that client too.
   */
  connect?: InterconnectServerConnectOptions | ConnectingClient | undefined;
  /**
   * The most milliseconds that `close()` waits for running handlers. The server takes no new messages meanwhile. Default 10,000;
   * 0: their messages fail at once. If no handler runs, `close()` does not wait.
   */
  shutdownTimeout?: number | undefined;
}

/**
 * Options of `InterconnectClient`. `host`, `port` and `tlsOptions` have the meaning that they have for Nest's TCP transport.
 * `path`, `data`, the limits and the timeouts are the core's.
 */
export interface InterconnectClientOptions extends EndpointOptions, InterconnectPayloadOptions {
  /** Default `'localhost'`. */
  host?: string | undefined;
  /** Default 3000. */
  port?: number | undefined;
  /** Unix socket, instead of host and port. */
  path?: string | undefined;
  /** Several addresses of the same service, instead of one: they are tried in turn. */
  addresses?: NonNullable<ConnectOptions['addresses']> | undefined;
  /**
   * With this option, the connection uses TLS; `true` takes Node's defaults. A function, also `async`, gives new options for
   * each attempt to connect: use it for certificates that are renewed.
   */
  tlsOptions?: NonNullable<ConnectOptions['tls']> | undefined;
  /**
   * Bytes for the server's `authenticate`, at most 15 KiB. A function, also `async`, gives new bytes for each attempt to
   * connect: use it for tokens that expire. If it throws, that attempt has failed.
   */
  data?: NonNullable<ConnectOptions['data']> | undefined;
  /** As the core's: milliseconds for each address of a name but the last. Default: a quarter of `handshakeTimeout`. */
  autoSelectFamilyAttemptTimeout?: ConnectOptions['autoSelectFamilyAttemptTimeout'] | undefined;
  /**
   * Sent with every call, for the handler's `ctx.getMetadata()`. An entry of the same name from a dispatch hook, a record or a
   * request replaces the client's, because it is more specific.
   */
  metadata?: Metadata | undefined;
  /** How to reconnect after the socket was lost; `false`: the connection ends with its socket. */
  reconnect?: NonNullable<ConnectOptions['reconnect']> | undefined;
  /**
   * `emit()` does not wait for an acknowledgement: it completes when the event is written to the
   * socket. Default `false`. A record's `setOneWay()` overrides it.
   */
  oneWay?: boolean | undefined;
  /**
   * How calls behave while there is no connection, also before the first one. A number is an age of the outage, in
   * milliseconds: calls wait while the outage is younger. When it is older, the calls that wait fail, and every further call
   * fails at once, with `IC_ERR_OFFLINE` and `executed: 'no'`, until there is a connection. `'fail'` is the same as 0;
   * `'wait'`: calls wait until their own timeout. Default 5,000. A record's `setWhenOffline()` and the option of `request()`
   * override it. If waiting cannot help (wrong TLS options, a refusal), calls fail at once in any case.
   */
  whenOffline?: WhenOffline | undefined;
  /**
   * Whether a client that is a provider connects when the application starts. The start then fails if there is no connection
   * within `whenOffline`. Default `false`: the client connects at the first call.
   */
  connectOnBootstrap?: boolean | undefined;
  /**
   * The most milliseconds that `close()`, and so the shutdown of the application, waits for pending calls. Calls that wait are
   * still sent, and calls that were sent can still get their outcome. The calls that are left then fail. Default 10,000; 0: all
   * pending calls fail at once. Without pending calls, `close()` does not wait.
   */
  shutdownTimeout?: number | undefined;
}

/** The options of the core's `Listener`, with the defaults that differ from the core's. */
export function toListenerOptions(options: InterconnectServerOptions): ListenerOptions {
  const { tlsOptions, encoding: _, serializer: _1, deserializer: _2, ...rest } = options;
  const { maxJsonDepth: _3, maxJsonValues: _4, ...others } = rest;
  const { transportId: _5, connect: _6, shutdownTimeout: _7, authorize: _8, ...core } = others;

  return {
    ...core,
    ...defaultAddress(options),
    ...(tlsOptions !== undefined && { tls: tlsOptions }),
  };
}

/** Milliseconds: longer than most restarts of a server take, and shorter than what users wait for. */
const WHEN_OFFLINE = 5000;

/** The options of the core's `createConnection`. */
export function toConnectOptions(options: InterconnectClientOptions): ConnectOptions {
  const { tlsOptions, encoding: _, serializer: _1, deserializer: _2, ...rest } = options;
  const { maxJsonDepth: _3, maxJsonValues: _4, ...others } = rest;
  const { oneWay: _5, connectOnBootstrap: _6, metadata: _7, shutdownTimeout: _8, ...core } = others;

  return {
    ...core,
    // Each call has a timeout of its own, so the session of its pattern needs none.
    sessionTimeout: options.sessionTimeout ?? 0,
    whenOffline: options.whenOffline ?? WHEN_OFFLINE,
    ...(options.addresses === undefined && defaultAddress(options)),
    ...(tlsOptions !== undefined && { tls: tlsOptions }),
  };
}

/** The address. `port: undefined`, from a configuration service for example, means the default as well. */
function defaultAddress(options: InterconnectServerOptions | InterconnectClientOptions) {
  if (options.path !== undefined || options.network !== undefined) return {};
  return { host: options.host ?? DEFAULT_HOST, port: options.port ?? DEFAULT_PORT };
}

/** The default result type of `unwrap()` of a listening server: the `net.Server` or `tls.Server`. */
export type UnderlyingServer = NonNullable<Listener['server']>;
