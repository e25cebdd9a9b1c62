/** Opens connections: the dialer's side. */
import type { ConnectionOptions as TlsConnectOptions } from 'node:tls';
import { MAX_CONNECT_DATA } from '../protocol/index.js';
import { checkTarget } from './bind.js';
import { type Bytes, toBufferOrEmpty } from './bytes.js';
import { Connection } from './connection.js';
import { type Address, Dialer } from './dialer.js';
import { checkObject, closedError, optionError, shown } from './errors.js';
import { checkInteger, type EndpointOptions, resolveOptions } from './options.js';
import { type ReconnectOptions, type ReconnectSettings, Reconnector } from './reconnector.js';

/** Where to connect to, and how. */
export interface ConnectOptions extends EndpointOptions, Address {
  /** Several addresses of the same service, instead of one: they are tried in turn. */
  addresses?: readonly Address[];
  /** Encrypts: Node's `tls.connect` options, or `true` for its defaults. The certificate is verified. */
  tls?: TlsConnectOptions | true;
  /** Shown to the other side before it accepts the connection; at most 15 KiB. */
  data?: Bytes;
  /** Gives the attempt up; a connection that stands is not its concern any more. */
  signal?: AbortSignal;
  /** How to come back after the socket was lost; `false`: the connection ends with its socket. */
  reconnect?: ReconnectOptions | false;
}

/**
 * Connects, and resolves once the other side has accepted. From then on the connection outlives its sockets,
 * as `reconnect` says.
 * @throws IC_ERR_CONNECT where there is no socket to be had, IC_ERR_HANDSHAKE_TIMEOUT,
 * IC_ERR_CONNECTION_REJECTED with the other side's status, reason and data, IC_ERR_PROTOCOL where the
 * other side speaks something else, IC_ERR_CANCELLED by the signal, IC_ERR_OPTION.
 */
export async function connect(options: ConnectOptions): Promise<Connection> {
  const settings = resolveOptions(options);
  const reconnect = reconnectSettings(options.reconnect);
  const target = { addresses: addressesOf(options), tls: options.tls, data: dataOf(options) };
  if (options.tls !== undefined && options.tls !== true) checkObject('tls', options.tls);
  const dialer = new Dialer(target, settings, reconnect !== undefined);
  const connection = new Connection(
    'dialer',
    settings,
    '',
    (listener) => reconnect && new Reconnector(dialer, reconnect, settings.clock, listener),
  );
  await dialer.dial(connection.continuity, options.signal);
  // Lost within the same tick, and not to be had again.
  if (connection.status === 'closed') throw closedError();
  return connection;
}

function dataOf(options: ConnectOptions): Buffer {
  const data = toBufferOrEmpty(options.data, 'Connect data');
  if (data.length <= MAX_CONNECT_DATA) return data;
  throw optionError(
    `Connect data of ${data.length} bytes exceeds ${MAX_CONNECT_DATA}. Send it as a message instead.`,
  );
}

function addressesOf(options: ConnectOptions): readonly Address[] {
  const { addresses, host, port, path, network } = options;
  if (network !== undefined) return [{ path: network.address }];
  if (addresses === undefined) return [checkAddress(options)];
  if (host !== undefined || port !== undefined || path !== undefined) {
    throw optionError('addresses excludes host, port and path. Give one or the other.');
  }
  if (!Array.isArray(addresses) || addresses.length === 0) {
    throw optionError(
      `addresses must be a list of at least one { host, port } or { path }, and is ${shown(addresses)}.`,
    );
  }
  for (const address of addresses) {
    checkObject('An address', address);
    checkAddress(address);
  }
  return [...addresses];
}

function checkAddress(address: Address): Address {
  checkTarget(address);
  if (address.path === undefined) checkInteger('port', address.port, 1, 65_535);
  return address;
}

function reconnectSettings(
  options: ConnectOptions['reconnect'] = {},
): ReconnectSettings | undefined {
  if (options === false) return undefined;
  checkObject('reconnect', options);
  const { minDelay = 100, maxDelay = 10_000, attempts } = options;
  checkInteger('reconnect.minDelay', minDelay, 1, 2 ** 31 - 1);
  checkInteger('reconnect.maxDelay', maxDelay, minDelay, 2 ** 31 - 1);
  if (attempts === undefined) return { minDelay, maxDelay, attempts: Infinity };
  return {
    minDelay,
    maxDelay,
    attempts: checkInteger('reconnect.attempts', attempts, 1, 2 ** 31 - 1),
  };
}
