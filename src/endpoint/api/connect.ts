/** The dialer's side of the API: `connect` and `createConnection` open connections. */
import { EMPTY } from '../../wire/index.js';
import { MAX_CONNECT_DATA } from '../../protocol/index.js';
import { delaysOf } from '../common/backoff.js';
import { checkTarget } from '../socket/bind.js';
import { type Bytes, toBufferOrEmpty } from '../common/bytes.js';
import { Connection } from './connection.js';
import { type Address, cancelledError } from '../socket/dial-errors.js';
import { Dialer, type DialTarget, type Provided } from '../socket/dialer.js';
import {
  closedError,
  errorOf,
  failureOf,
  type InterconnectError,
  optionError,
} from '../common/errors.js';
import { type EndpointOptions, resolveOptions, type Settings } from '../common/options.js';
import { type DialerTlsOptions, dialerTlsOf } from '../socket/tls-options.js';
import { patienceOf, type WhenOffline } from '../link/outage.js';
import { type ReconnectOptions, type ReconnectSettings, Reconnector } from '../link/reconnector.js';
import { microtask } from '../common/runtime.js';
import { checkObject, checkInteger } from '../common/checks.js';
import { inspectShort } from '../common/words.js';

/** The addresses to connect to, and the settings of the connection. */
export interface ConnectOptions extends EndpointOptions, Address {
  /** Several addresses of the same service, instead of one. The dialer tries them in turn. */
  addresses?: readonly Address[] | undefined;
  /**
   * Encrypts the connection: Node's `tls.connect` options with other defaults, or `true` for the defaults. The
   * certificate is verified. A function is called for each attempt and may return a promise. So a certificate can be
   * replaced while the connection lives. The function's time counts within `handshakeTimeout`. If the function throws,
   * that attempt has failed.
   */
  tls?: DialerTlsOptions | true | (() => TlsSetup | PromiseLike<TlsSetup>) | undefined;
  /**
   * Bytes for the other side's application, which sees them before it accepts the connection; at most 15 KiB. A
   * function is called for each attempt, like the function of `tls`: use one for a token that expires.
   */
  data?: Bytes | (() => Bytes | undefined | PromiseLike<Bytes | undefined>) | undefined;
  /** Gives up the attempt to connect. Once the connection has been open, the signal has no effect. */
  signal?: AbortSignal | undefined;
  /** The pauses and the number of attempts after the socket was lost. With `false`, the connection ends with its socket. */
  reconnect?: ReconnectOptions | false | undefined;
  /**
   * Milliseconds that each address of a host name has to answer before the next one is tried. Node has an option of the
   * same name. The last address has the rest of `handshakeTimeout`. Default: a quarter of `handshakeTimeout`, which is
   * 2,500.
   */
  autoSelectFamilyAttemptTimeout?: number | undefined;
  /**
   * How long calls wait while there is no socket, also before the first socket. A call may have a `whenOffline` of its
   * own. Default `'wait'`.
   */
  whenOffline?: WhenOffline | undefined;
  /** @internal Milliseconds before the first attempt. */
  startDelay?: number | undefined;
}

/** The value that a function given as `tls` returns. */
export type TlsSetup = DialerTlsOptions | true;

/**
 * Connects, and resolves when the other side has accepted the connection. Each address is tried once. From then on the
 * connection outlives its sockets, as `reconnect` says. Its events and handlers do not run in the async scope of the
 * caller. They run in the scope in which this package was loaded.
 * @throws IC_ERR_CONNECT if no address can be reached, IC_ERR_HANDSHAKE_TIMEOUT, IC_ERR_CONNECTION_REJECTED with the
 * other side's status, reason and data, IC_ERR_PROTOCOL if the other side speaks another protocol, IC_ERR_CANCELLED by
 * the signal, IC_ERR_OPTION. If several addresses were tried, the message has the reason of each, and `cause.errors`
 * has the errors.
 */
export async function connect(options: ConnectOptions): Promise<Connection> {
  const connection = dialing(options, 1);
  try {
    await whenOpen(connection);
  } catch (error) {
    void connection.close();
    throw error;
  }
  // The socket was lost within the same tick, and the connection could not be resumed.
  if (connection.status === 'closed') throw closedError();
  return connection;
}

/**
 * Returns at once a connection whose status is `'connecting'`. The application can open sessions and send messages: these
 * wait, each within its own timeout, until the other side has accepted the connection (`'open'`). If a
 * round of attempts fails, `'connectError'` reports the failure, and another round follows, as after a lost socket.
 * With `reconnect: false`, no other round follows. Some failures would recur at each round: a failure of TLS, a refusal
 * by the other side, another protocol, a bad option. Such a failure ends the connection at the first round. `'close'`
 * then has the error, and each waiting call fails with that error as `cause`. While there is no socket, `whenOffline`
 * says how long calls wait.
 * @throws IC_ERR_OPTION.
 */
export function createConnection(options: ConnectOptions): Connection {
  return dialing(options, undefined);
}

/**
 * @internal Resolves when the other side has accepted the connection.
 * @throws The error with which the connection ended; IC_ERR_OFFLINE if its `whenOffline` is over.
 */
export function whenOpen(connection: Connection): Promise<void> {
  return new Promise((resolve, reject) => {
    if (connection.isOver) return reject(closedError());
    if (connection.continuity.wasAttached) return resolve();
    const refusal = connection.refusal(undefined);
    if (refusal !== undefined) return reject(errorOf(refusal));
    const settle = (): void => {
      connection.off('open', onOpen);
      connection.off('offline', onFailure);
      connection.off('close', onFailure);
    };
    const onOpen = (): void => {
      settle();
      resolve();
    };
    const onFailure = (error: InterconnectError | undefined): void => {
      settle();
      reject(error ?? closedError());
    };
    connection.once('open', onOpen);
    connection.once('offline', onFailure);
    connection.once('close', onFailure);
  });
}

/** `rounds`: the number of rounds without success after which the first connection is given up. */
function dialing(options: ConnectOptions, rounds: number | undefined): Connection {
  const settings = resolveOptions(options);
  // The caller's scope may belong to a request, so the connection does not run in that scope.
  return settings.scope.runInAsyncScope(begun, undefined, options, settings, rounds);
}

function begun(
  options: ConnectOptions,
  settings: Settings,
  rounds: number | undefined,
): Connection {
  const reconnect = reconnectSettings(options, rounds);
  const dialer = new Dialer(targetOf(options, settings), settings, reconnect.comesBack);
  const { signal, whenOffline } = options;
  const connection = new Connection(settings, '', {
    addresses: dialer.addresses,
    patience: whenOffline === undefined ? Infinity : patienceOf(whenOffline),
    reconnector: (effects) => new Reconnector(dialer, reconnect, settings.clock, effects),
  });
  if (signal !== undefined) giveUpUpon(signal, connection);
  connection.continuity.begin();
  return connection;
}

function giveUpUpon(signal: AbortSignal, connection: Connection): void {
  const onAbort = (): void => {
    if (connection.status === 'connecting') connection.continuity.end(failureOf(cancelledError()));
  };
  // The caller attaches its 'close' listener before the connection ends.
  if (signal.aborted) return microtask(onAbort);
  signal.addEventListener('abort', onAbort, { once: true });
  const unlisten = (): void => signal.removeEventListener('abort', onAbort);
  connection.once('open', unlisten);
  connection.once('close', unlisten);
}

function targetOf(options: ConnectOptions, settings: Settings): DialTarget {
  const { tls, data } = options;
  return {
    addresses: addressesOf(options),
    encrypts: tls !== undefined,
    provide: provider(tls, data),
    attemptTimeout: attemptTimeoutOf(options, settings),
  };
}

/** @internal */
export function attemptTimeoutOf(
  {
    autoSelectFamilyAttemptTimeout: chosen,
  }: Pick<ConnectOptions, 'autoSelectFamilyAttemptTimeout'>,
  { handshakeTimeout }: Pick<Settings, 'handshakeTimeout'>,
): number {
  const timeout = chosen ?? Math.max(LEAST_ATTEMPT, Math.ceil(handshakeTimeout / 4));
  return checkInteger('autoSelectFamilyAttemptTimeout', timeout, LEAST_ATTEMPT, 2 ** 31 - 1);
}

/** Checks the fixed options here. The results of functions are checked when they arrive. */
function provider(
  tls: ConnectOptions['tls'],
  data: ConnectOptions['data'],
): () => Provided | Promise<Provided> {
  // The options are read again for each attempt: an application may replace a certificate in them.
  const fixedTls = typeof tls === 'function' || tls === undefined ? undefined : tls;
  if (fixedTls !== undefined) dialerTlsOf(fixedTls);
  const fixedData = typeof data === 'function' ? undefined : dataOf(data);
  if (typeof tls !== 'function' && fixedData !== undefined) {
    return () => ({ tls: fixedTls && dialerTlsOf(fixedTls), data: fixedData });
  }
  return async () => {
    const [setup, bytes] = await Promise.all([
      typeof tls === 'function'
        ? (async () => dialerTlsOf(await tls()))()
        : fixedTls && dialerTlsOf(fixedTls),
      typeof data === 'function' ? (async () => dataOf(await data()))() : fixedData,
    ]);
    return { tls: setup, data: bytes ?? EMPTY };
  };
}

function dataOf(bytes: Bytes | undefined): Buffer {
  const data = toBufferOrEmpty(bytes, 'Connect data');
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
      `addresses must be a list of at least one { host, port } or { path }, and is ${inspectShort(addresses)}.`,
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
  { reconnect = {}, startDelay = 0 }: ConnectOptions,
  rounds: number | undefined,
): ReconnectSettings {
  const comesBack = reconnect !== false;
  if (comesBack) checkObject('reconnect', reconnect);
  const { minDelay, maxDelay } = delaysOf(reconnect);
  const { attempts } = reconnect || {};
  checkInteger('reconnect.minDelay', minDelay, 1, 2 ** 31 - 1);
  checkInteger('reconnect.maxDelay', maxDelay, minDelay, 2 ** 31 - 1);
  if (attempts !== undefined) checkInteger('reconnect.attempts', attempts, 1, 2 ** 31 - 1);
  const most = attempts ?? Infinity;
  const firstAttempts = rounds ?? (comesBack ? most : 1);
  return { minDelay, maxDelay, attempts: most, firstAttempts, comesBack, startDelay };
}

/** Milliseconds: the least value that Node accepts. */
const LEAST_ATTEMPT = 10;
