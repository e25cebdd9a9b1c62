/** The options of a listener. They are checked once, before a socket exists, and each error names the option. */
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
import type { AddressSettings } from '../socket/places.js';
import { type ListenerTlsOptions, listenerTlsOf } from '../socket/tls-options.js';
import type { Handshake } from './handshake.js';
import { checkIdentify, type Identify } from './identity.js';

/**
 * What one address may have and do. An IPv6 peer counts as its network of 64 bits. The peers behind a balancer that sends
 * a PROXY header have their own addresses. Peers on the loopback and at Unix sockets share one address, or have none: for
 * them `connections`, `handshakes` and `handshakesPerMinute` do not count, unless `groupOf` says so.
 */
export interface AddressLimits {
  /** Sockets at once, and connections without a socket. Default 256. */
  connections?: number | undefined;
  /** Unfinished handshakes at once. Default 64. */
  handshakes?: number | undefined;
  /** Sockets in a minute. All of them may come at once. Default 600. */
  handshakesPerMinute?: number | undefined;
  /**
   * Dialers that `authenticate` refuses, in a minute. All of them may be refused at once. Further dialers are refused with
   * `Code.OVERLOADED` before `authenticate` runs, unless they resume a connection. Default 30.
   */
  refusalsPerMinute?: number | undefined;
  /**
   * Returns the name of the group that an address is counted in. `undefined`: it is not counted. Default: the address
   * itself.
   */
  groupOf?: ((address: string) => string | undefined) | undefined;
}

/** The address to listen on, the dialers to accept, and the limits. */
export interface ListenerOptions extends EndpointOptions {
  /** Name or address to bind. Default `localhost`; `::` for all, IPv4 and IPv6. */
  host?: string | undefined;
  /** The TCP port. Default 0: any free port; `listen` returns the chosen one. */
  port?: number | undefined;
  /**
   * A Unix socket, instead of host and port. A stale file is replaced; if another server listens there, `listen` fails.
   */
  path?: string | undefined;
  /**
   * Encrypts the connections: Node's `tls.createServer` options, with other defaults. With `requestCert`, dialers need a
   * certificate.
   */
  tls?: ListenerTlsOptions | undefined;
  /** The most sockets that the kernel holds until this process accepts them. Default 511. */
  backlog?: number | undefined;
  /**
   * The permissions of the file of a Unix socket (`path`), as `chmod` takes them: a user who may write to the file may
   * connect. Default 0o600: only root and the user that runs this process.
   */
  mode?: number | undefined;
  /**
   * The number of sockets at once. A further one gets the place of a socket that has not finished its handshake or has
   * had no session so far. If there is none, the further one is dropped. The same number of connections may be without
   * a socket. Default 4096.
   */
  maxConnections?: number | undefined;
  /**
   * The limits of each address: they keep one address from using up all places and from guessing credentials.
   */
  perAddress?: AddressLimits | undefined;
  /** The number of calls of `authenticate` that run at once; the other dialers wait for their turn. Default 64. */
  maxAuthenticating?: number | undefined;
  /**
   * For a listener behind balancers that begin each socket with a header of the PROXY protocol. `connection.peer` then
   * has the address and the port that the header names. Default: no socket begins with a header.
   */
  proxyProtocol?: ProxyProtocol | undefined;
  /**
   * Milliseconds that a connection waits for its dialer after its socket was lost. With 0, the connection ends with its
   * socket. Default 120,000.
   */
  resumeTimeout?: number | undefined;
  /**
   * Judges a dialer before there is a connection: call `handshake.accept` or `handshake.reject`, now or later. If this
   * function throws, or its promise rejects, the dialer is refused. Default: every dialer is accepted.
   */
  authenticate?: ((handshake: Handshake) => unknown) | undefined;
  /**
   * Names the part of a dialer's verified certificate that becomes its principal: `connection.principal`, and
   * `handshake.identity` for `authenticate`. Needs `tls` with `requestCert`. If the certificate has no clear name of this
   * kind, the dialer is refused. Without `authenticate`, a dialer without a verified certificate is refused too. Default:
   * no name of a certificate counts.
   */
  identify?: Identify | undefined;
}

/** @internal Options of a listener with every default filled in. */
export interface ListenerSettings extends Settings {
  readonly target: ListenTarget;
  readonly tls: ListenerTlsOptions | undefined;
  readonly maxConnections: number;
  readonly perAddress: AddressSettings;
  readonly maxAuthenticating: number;
  /** `undefined`: no socket begins with a PROXY header. */
  readonly expectsHeader: ExpectsProxyHeader | undefined;
  /** Milliseconds; 0: a connection ends with its socket. */
  readonly resumeTimeout: number;
  /** `undefined`: every dialer is accepted. */
  readonly authenticate: ((handshake: Handshake) => unknown) | undefined;
  /** `undefined`: no name of a certificate counts. */
  readonly identify: Identify | undefined;
}

/** @internal @throws IC_ERR_OPTION naming the option, its value and its range. */
export function resolveListenerOptions(options: ListenerOptions): ListenerSettings {
  const settings = resolveOptions(options, scopeOfNow());
  const { network, tls, authenticate, identify, proxyProtocol, path } = options;
  if (tls !== undefined) listenerTlsOf(tls);
  const target = listenTargetOf(
    network === undefined ? options : { ...options, path: network.address },
  );
  const expectsHeader = proxyTrustOf(proxyProtocol, path);
  const integer = (
    name: 'maxConnections' | 'resumeTimeout' | 'maxAuthenticating',
    fallback: number,
    from: number,
  ) => checkInteger(name, options[name] ?? fallback, from, 2 ** 31 - 1);
  const maxConnections = integer('maxConnections', 4096, 1);
  const resumeTimeout = integer('resumeTimeout', 120_000, 0);
  if (authenticate !== undefined && typeof authenticate !== 'function') {
    throw optionError(`authenticate must be a function, and is ${inspectShort(authenticate)}.`);
  }
  if (identify !== undefined) checkIdentify(identify, tls?.requestCert === true);
  return {
    ...settings,
    target,
    tls,
    maxConnections,
    perAddress: addressSettingsOf(options.perAddress ?? {}),
    maxAuthenticating: integer('maxAuthenticating', 64, 1),
    expectsHeader,
    resumeTimeout,
    authenticate,
    identify,
  };
}

function addressSettingsOf(limits: AddressLimits): AddressSettings {
  checkObject('perAddress', limits);
  const { groupOf } = limits;
  if (groupOf !== undefined && typeof groupOf !== 'function') {
    throw optionError(`perAddress.groupOf must be a function, and is ${inspectShort(groupOf)}.`);
  }
  const integer = (name: Exclude<keyof AddressLimits, 'groupOf'>, fallback: number) =>
    checkInteger(`perAddress.${name}`, limits[name] ?? fallback, 1, 2 ** 31 - 1);
  return {
    connections: integer('connections', 256),
    handshakes: integer('handshakes', 64),
    handshakesPerMinute: integer('handshakesPerMinute', 600),
    refusalsPerMinute: integer('refusalsPerMinute', 30),
    groupOf,
  };
}
