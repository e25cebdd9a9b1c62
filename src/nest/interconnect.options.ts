import type {
  Bytes,
  ConnectOptions,
  EndpointOptions,
  Listener,
  ListenerOptions,
} from '../endpoint/index.js';
import { DEFAULT_HOST, DEFAULT_PORT } from './interconnect.constants.js';

/**
 * Options of `InterconnectServer`: `host`, `port` and `tlsOptions` mean what they mean for Nest's TCP
 * transport; `path`, `authenticate`, `maxConnections`, the limits and the timeouts are the core's.
 */
export interface InterconnectServerOptions extends Omit<ListenerOptions, 'tls'> {
  /** Interface to bind. Default `'localhost'`: only this machine. `'::'` or `'0.0.0.0'`: everyone. */
  host?: string;
  /** Default 3000; 0 takes any free port, which `app.listen()` then resolves with. */
  port?: number;
  /** With it, every connection is TLS. `requestCert` and `ca` ask for client certificates. */
  tlsOptions?: NonNullable<ListenerOptions['tls']>;
  /**
   * Tells several Interconnect servers of one application apart: each serves the handlers whose
   * decorator names its id, or none. Default `INTERCONNECT_TRANSPORT`.
   */
  transportId?: symbol;
}

/**
 * Options of `InterconnectClient`: `host`, `port` and `tlsOptions` mean what they mean for Nest's TCP
 * transport; `path`, `data`, the limits and the timeouts are the core's.
 */
export interface InterconnectClientOptions extends EndpointOptions {
  /** Default `'localhost'`. */
  host?: string;
  /** Default 3000. */
  port?: number;
  /** Unix socket, instead of host and port. */
  path?: string;
  /** With it, the connection is TLS; `true` takes Node's defaults. */
  tlsOptions?: NonNullable<ConnectOptions['tls']>;
  /** Shown to the server's `authenticate` at every connect. At most 15 KiB. */
  data?: Bytes;
  /**
   * `emit()` does not wait for an acknowledgement: it completes when the event is written to the
   * socket. Default `false`. A record's `setOneWay()` overrules it.
   */
  oneWay?: boolean;
}

/** What the core's `Listener` is made of. Only defaults that differ from the core's are filled in here. */
export function toListenerOptions(options: InterconnectServerOptions): ListenerOptions {
  const { tlsOptions, transportId: _nestOnly, ...core } = options;

  return {
    ...core,
    ...defaultAddress(options),
    ...(tlsOptions !== undefined && { tls: tlsOptions }),
  };
}

/** What the core's `connect` is called with, but for the signal. */
export function toConnectOptions(options: InterconnectClientOptions): ConnectOptions {
  const { tlsOptions, oneWay: _nestOnly, ...core } = options;

  return {
    ...core,
    ...defaultAddress(options),
    ...(tlsOptions !== undefined && { tls: tlsOptions }),
  };
}

/** `port: undefined`, as it comes from a configuration service, means the default as well. */
function defaultAddress(options: { host?: string; port?: number; path?: string }) {
  if (options.path !== undefined) return {};
  return { host: options.host ?? DEFAULT_HOST, port: options.port ?? DEFAULT_PORT };
}

/** What `unwrap()` of a listening server gives by default: the `net.Server` or `tls.Server`. */
export type UnderlyingServer = NonNullable<Listener['server']>;
