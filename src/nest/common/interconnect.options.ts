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
import type { InterconnectEncoding } from './codec.js';
import { DEFAULT_HOST, DEFAULT_PORT } from './interconnect.constants.js';

/** How payloads come to be, the same on both sides of a connection. */
export interface InterconnectPayloadOptions {
  /**
   * `'binary'` (the default): bytes go out and come in as they are, and anything else is an error. `'json'`: any value
   * that JSON has a form for, as with Nest's TCP transport.
   */
  encoding?: InterconnectEncoding | undefined;
  /**
   * Gets `{ pattern, data }` for a message or `{ response }` for an answer, and `{ pattern }` beside it; gives
   * a packet with other contents, or the contents alone. Rejections do not go through it.
   */
  serializer?: Serializer | undefined;
  /** The other way: gets the packet with what arrived, and gives the packet with what the handler, or the caller, gets. */
  deserializer?: Deserializer | undefined;
}

/** What an `InterconnectClient` is, to a server that serves over its connection. */
export interface ConnectingClient {
  connect(): Promise<Connection>;
  close(): Promise<void>;
  on(event: 'connect', callback: (connection: Connection) => void): void;
}

/** A connection that the server opens itself; how messages are encoded on it is the server's own option. */
export interface InterconnectServerConnectOptions extends Omit<
  InterconnectClientOptions,
  | keyof InterconnectPayloadOptions
  | 'oneWay'
  | 'connectOnBootstrap'
  | 'metadata'
  | 'shutdownTimeout'
> {
  /**
   * `true` (the default): `listen()` waits for the connection, and fails if there is none to be had within `whenOffline`.
   * `false`: it resolves at once, and the server keeps trying. The default of `whenOffline` is then `'wait'`.
   */
  waitForConnection?: boolean | undefined;
}

/**
 * Options of `InterconnectServer`: `host`, `port` and `tlsOptions` mean what they mean for Nest's TCP
 * transport; `path`, `authenticate`, `maxConnections`, the limits and the timeouts are the core's. `maxQueuedBytes` also
 * bounds, for each connection and counted apart, the values of Observables that wait for their callers.
 */
export interface InterconnectServerOptions
  extends Omit<ListenerOptions, 'tls'>, InterconnectPayloadOptions {
  /** Interface to bind. Default `'localhost'`: only this machine. `'::'` or `'0.0.0.0'`: everyone. */
  host?: string | undefined;
  /** Default 3000; 0 takes any free port, which `app.listen()` then resolves with. */
  port?: number | undefined;
  /** With it, every connection is TLS. `requestCert` and `ca` ask for client certificates. */
  tlsOptions?: NonNullable<ListenerOptions['tls']> | undefined;
  /**
   * Tells several Interconnect servers of one application apart: each serves the handlers whose
   * decorator names its id, or none. Default `INTERCONNECT_TRANSPORT`.
   */
  transportId?: symbol | undefined;
  /**
   * Instead of listening: connects, and serves what the other side sends over that connection, as a device
   * does that nobody can reach. It keeps coming back, whatever ends the connection. Or an `InterconnectClient`, over
   * whose connection to serve; it is closed with the server.
   */
  connect?: InterconnectServerConnectOptions | ConnectingClient | undefined;
  /**
   * Milliseconds that `close()` gives to what runs: nothing new is taken meanwhile. Default 10,000; 0: what runs is
   * cut off. Nothing running: `close()` does not wait.
   */
  shutdownTimeout?: number | undefined;
}

/**
 * Options of `InterconnectClient`: `host`, `port` and `tlsOptions` mean what they mean for Nest's TCP
 * transport; `path`, `data`, the limits and the timeouts are the core's.
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
   * With it, the connection is TLS; `true` takes Node's defaults. A function, also `async`, gives the options anew for each
   * attempt to connect: for certificates that are renewed.
   */
  tlsOptions?: NonNullable<ConnectOptions['tls']> | undefined;
  /**
   * Shown to the server's `authenticate` at every connect. At most 15 KiB. A function, also `async`, gives the bytes anew for
   * each attempt to connect: for tokens that expire. If it throws, that attempt has failed.
   */
  data?: NonNullable<ConnectOptions['data']> | undefined;
  /** As the core's: milliseconds for each address of a name but the last. Default: a quarter of `handshakeTimeout`. */
  autoSelectFamilyAttemptTimeout?: ConnectOptions['autoSelectFamilyAttemptTimeout'] | undefined;
  /**
   * Sent with every call, for the handler's `ctx.getMetadata()`. An entry of the same name that a dispatch hook, a
   * record or a request gives is more specific, and wins.
   */
  metadata?: Metadata | undefined;
  /** How to come back after the socket was lost; `false`: the connection ends with its socket. */
  reconnect?: NonNullable<ConnectOptions['reconnect']> | undefined;
  /**
   * `emit()` does not wait for an acknowledgement: it completes when the event is written to the
   * socket. Default `false`. A record's `setOneWay()` overrules it.
   */
  oneWay?: boolean | undefined;
  /**
   * What becomes of a call while there is no connection, the first connection included. A number is an age of the outage, in
   * milliseconds: calls wait while the outage is younger. When it is older, all that wait fail, and every further call
   * fails at once, with `IC_ERR_OFFLINE` and `executed: 'no'`, until there is a connection. `'fail'` is the same as 0;
   * `'wait'`: calls wait for their own timeout. Default 5,000. A record's `setWhenOffline()` and the option of
   * `request()` overrule it. What waiting does not mend (TLS, a refusal) fails calls at once in any case.
   */
  whenOffline?: WhenOffline | undefined;
  /**
   * A client that is a provider connects when the application starts, which fails if there is no connection to be
   * had within `whenOffline`. Default `false`: it connects at the first call.
   */
  connectOnBootstrap?: boolean | undefined;
  /**
   * Milliseconds that `close()`, and so the shutdown of the application, gives to calls that have been made: what waits is
   * sent, and what was sent is answered. What is left then fails. Default 10,000; 0: all of it fails at once. If nothing is
   * left, `close()` does not wait.
   */
  shutdownTimeout?: number | undefined;
}

/** What the core's `Listener` is made of. Only defaults that differ from the core's are filled in here. */
export function toListenerOptions(options: InterconnectServerOptions): ListenerOptions {
  const { tlsOptions, encoding: _, serializer: _1, deserializer: _2, ...rest } = options;
  const { transportId: _3, connect: _4, shutdownTimeout: _5, ...core } = rest;

  return {
    ...core,
    ...defaultAddress(options),
    ...(tlsOptions !== undefined && { tls: tlsOptions }),
  };
}

/** Milliseconds: longer than most restarts of a server take, and shorter than what users wait for. */
const WHEN_OFFLINE = 5000;

/** What the core's `createConnection` is called with. */
export function toConnectOptions(options: InterconnectClientOptions): ConnectOptions {
  const { tlsOptions, encoding: _, serializer: _1, deserializer: _2, ...rest } = options;
  const { oneWay: _3, connectOnBootstrap: _4, metadata: _5, shutdownTimeout: _6, ...core } = rest;

  return {
    ...core,
    // Each call has a time of its own; nobody waits for the session of its pattern.
    sessionTimeout: options.sessionTimeout ?? 0,
    whenOffline: options.whenOffline ?? WHEN_OFFLINE,
    ...(options.addresses === undefined && defaultAddress(options)),
    ...(tlsOptions !== undefined && { tls: tlsOptions }),
  };
}

/** `port: undefined`, as it comes from a configuration service, means the default as well. */
function defaultAddress(options: InterconnectServerOptions | InterconnectClientOptions) {
  if (options.path !== undefined || options.network !== undefined) return {};
  return { host: options.host ?? DEFAULT_HOST, port: options.port ?? DEFAULT_PORT };
}

/** What `unwrap()` of a listening server gives by default: the `net.Server` or `tls.Server`. */
export type UnderlyingServer = NonNullable<Listener['server']>;
