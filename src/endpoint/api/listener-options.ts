/** The options of a listener: parsed once, with every fault named before a socket exists. */
import type { TlsOptions } from 'node:tls';
import { checkInteger, checkObject } from '../common/checks.js';
import { optionError } from '../common/errors.js';
import { type EndpointOptions, resolveOptions, type Settings } from '../common/options.js';
import { scopeOfNow } from '../common/scope.js';
import { inspectShort } from '../common/words.js';
import { type ListenTarget, listenTargetOf } from '../socket/bind.js';
import {
  type ExpectsProxyHeader,
  type ProxyProtocol,
  proxyTrustOf,
} from '../socket/proxy-trust.js';
import type { Handshake } from './handshake.js';

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

/** @internal Options of a listener with every default filled in. */
export interface ListenerSettings extends Settings {
  readonly target: ListenTarget;
  readonly tls: TlsOptions | undefined;
  readonly maxConnections: number;
  /** `undefined`: no socket begins with a PROXY header. */
  readonly expectsHeader: ExpectsProxyHeader | undefined;
  /** Milliseconds; 0: a connection ends with its socket. */
  readonly resumeTimeout: number;
  /** `undefined`: everyone is accepted. */
  readonly authenticate: ((handshake: Handshake) => unknown) | undefined;
}

/** @internal @throws IC_ERR_OPTION naming the option, its value and its range. */
export function resolveListenerOptions(options: ListenerOptions): ListenerSettings {
  const settings = resolveOptions(options, scopeOfNow());
  const { network, tls, authenticate, proxyProtocol, path } = options;
  if (tls !== undefined) checkObject('tls', tls);
  const target = listenTargetOf(
    network === undefined ? options : { ...options, path: network.address },
  );
  const expectsHeader = proxyTrustOf(proxyProtocol, path);
  const integer = (name: 'maxConnections' | 'resumeTimeout', fallback: number, from: number) =>
    checkInteger(name, options[name] ?? fallback, from, 2 ** 31 - 1);
  const maxConnections = integer('maxConnections', 4096, 1);
  const resumeTimeout = integer('resumeTimeout', 120_000, 0);
  if (authenticate !== undefined && typeof authenticate !== 'function') {
    throw optionError(`authenticate must be a function, and is ${inspectShort(authenticate)}.`);
  }
  return { ...settings, target, tls, maxConnections, expectsHeader, resumeTimeout, authenticate };
}
