/** Opens connections: the dialer's side. */
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions as TlsConnectOptions } from 'node:tls';
import { type Failure, MAX_CONNECT_DATA } from '../protocol/index.js';
import { checkTarget } from './bind.js';
import { type Bytes, toBufferOrEmpty } from './bytes.js';
import { Connection } from './connection.js';
import { Driver } from './driver.js';
import {
  checkObject,
  errorOf,
  InterconnectError,
  messageOf,
  optionError,
  tlsError,
} from './errors.js';
import { checkInteger, type EndpointOptions, resolveOptions, type Settings } from './options.js';
import { peerOf, serverName } from './peer.js';

/** Where to connect to, and how. */
export interface ConnectOptions extends EndpointOptions {
  /** Name or address. Default `localhost`. */
  host?: string;
  /** 1 … 65,535; required without `path`. */
  port?: number;
  /** A Unix socket, instead of host and port. */
  path?: string;
  /** Encrypts: Node's `tls.connect` options, or `true` for its defaults. The certificate is verified. */
  tls?: TlsConnectOptions | true;
  /** Shown to the other side before it accepts the connection; at most 15 KiB. */
  data?: Bytes;
  /** Gives the attempt up. */
  signal?: AbortSignal;
}

/**
 * Connects, and resolves once the other side has accepted.
 * @throws IC_ERR_CONNECT where there is no socket to be had, IC_ERR_HANDSHAKE_TIMEOUT,
 * IC_ERR_CONNECTION_REJECTED with the other side's status, reason and data, IC_ERR_PROTOCOL where the
 * other side speaks something else, IC_ERR_CANCELLED by the signal, IC_ERR_OPTION.
 */
export async function connect(options: ConnectOptions): Promise<Connection> {
  const settings = resolveOptions(options);
  const data = toBufferOrEmpty(options.data, 'Connect data');
  if (data.length > MAX_CONNECT_DATA) {
    throw optionError(
      `Connect data of ${data.length} bytes exceeds ${MAX_CONNECT_DATA}. Send it as a message instead.`,
    );
  }
  checkConnectTarget(options);
  if (options.tls !== undefined && options.tls !== true) checkObject('tls', options.tls);
  const { signal } = options;
  if (signal?.aborted === true) throw cancelledError();
  const socket = dial(options);
  // Whatever happens between those who listen for it: an unheard 'error' ends the process.
  socket.on('error', () => undefined);
  const cancel = (): void => void socket.destroy(cancelledError());
  signal?.addEventListener('abort', cancel, { once: true });
  const started = settings.clock.now();
  try {
    await established(socket, options, settings);
    if (socket.destroyed) throw connectError(options, socket.errored ?? socketClosed());
    const spent = settings.clock.now() - started;
    const left = Math.ceil(Math.max(1, settings.handshakeTimeout - spent));
    const rest = { ...settings, handshakeTimeout: left };
    return await introduce(socket, data, options, rest);
  } finally {
    signal?.removeEventListener('abort', cancel);
  }
}

function dial(options: ConnectOptions): Socket {
  const { host = 'localhost', port = 0, path, tls } = options;
  const target = path === undefined ? { host, port } : { path };
  const common = { ...target, allowHalfOpen: true, noDelay: true };
  if (tls === undefined) return connectTcp(common);
  const servername = serverName(host);
  try {
    return connectTls({
      ALPNProtocols: ['intc/1'],
      ...(servername === undefined || path !== undefined ? {} : { servername }),
      ...(tls === true ? {} : tls),
      ...common,
    });
  } catch (cause) {
    throw tlsError(cause);
  }
}

/** Waits for the socket, encrypted where it shall be. */
function established(socket: Socket, options: ConnectOptions, settings: Settings): Promise<void> {
  return new Promise((resolve, reject) => {
    const readyEvent = options.tls === undefined ? 'connect' : 'secureConnect';
    const stopTimer = settings.clock.setTimer(settings.handshakeTimeout, () => {
      socket.destroy(
        new InterconnectError(
          'IC_ERR_HANDSHAKE_TIMEOUT',
          `No connection to ${targetOf(options)} within ${settings.handshakeTimeout} ms.`,
        ),
      );
    });
    const settle = (): void => {
      stopTimer();
      socket.off(readyEvent, onReady);
      socket.off('error', onError);
      socket.off('close', onClose);
    };
    const onReady = (): void => {
      settle();
      resolve();
    };
    const onError = (error: Error): void => {
      settle();
      reject(connectError(options, error));
    };
    const onClose = (): void => onError(socketClosed());
    socket.once(readyEvent, onReady);
    socket.once('error', onError);
    socket.once('close', onClose);
  });
}

/** The handshake: HELLO out, WELCOME or a refusal in. */
function introduce(
  socket: Socket,
  data: Buffer,
  options: ConnectOptions,
  settings: Settings,
): Promise<Connection> {
  return new Promise((resolve, reject) => {
    let connection: Connection | undefined;
    const { limits, agent, queue, handshakeTimeout, clock } = settings;
    const greeting = { limits, agent, data };
    const driver = new Driver(
      socket,
      { role: 'dialer', greeting, queue, handshakeTimeout },
      clock,
      {
        onHandshake: () => undefined,
        onOpen: (machine, welcome) => {
          const peer = peerOf(socket, welcome.agent, options.path);
          connection = new Connection(driver, machine, welcome, peer, settings);
          driver.hold();
          resolve(connection);
        },
        onSession: (session) => connection?.onSession(session),
        onClosed: (failure) => {
          if (connection !== undefined) return connection.onClosed(failure);
          // Lost before there was a connection: to the caller, there never was a socket.
          const lost = failure === undefined || failure.kind === 'connection-lost';
          const cause =
            driver.error ?? socket.errored ?? new Error('it ended before the handshake');
          reject(lost ? connectError(options, cause) : errorOf(named(failure, options)));
        },
        onSocketClosed: () => connection?.onSocketClosed(),
      },
    );
  });
}

function checkConnectTarget(options: ConnectOptions): void {
  checkTarget(options);
  if (options.path === undefined) checkInteger('port', options.port, 1, 65_535);
}

/** What the other side said, or did not say in time, with its address. */
function named(failure: Failure, options: ConnectOptions): Failure {
  if (failure.kind === 'connection-rejected') return failure;
  return { ...failure, message: `${targetOf(options)}: ${failure.message}` };
}

function targetOf({ host = 'localhost', port, path }: ConnectOptions): string {
  return path ?? `${host}:${port}`;
}

function connectError(options: ConnectOptions, cause: Error): InterconnectError {
  // The signal, or the clock.
  if (cause instanceof InterconnectError) return cause;
  // Several addresses were tried: the reasons are inside.
  const causes: unknown[] =
    'errors' in cause && Array.isArray(cause.errors) ? cause.errors : [cause];
  const reasons = causes.map(messageOf).join('; ').trim().replace(/\.$/u, '');
  const remedy = cause.message.includes('alert') ? ' Does it want a client certificate?' : '';
  const message = `No connection to ${targetOf(options)}: ${reasons}.${remedy}`;
  return new InterconnectError('IC_ERR_CONNECT', message, { cause });
}

function cancelledError(): InterconnectError {
  return new InterconnectError(
    'IC_ERR_CANCELLED',
    'The attempt to connect was aborted by its signal.',
  );
}

function socketClosed(): Error {
  return new Error('the socket was closed');
}
