/** Binds a server to its address. If that fails, the error says why. */
import cluster from 'node:cluster';
import type { Server } from 'node:net';
import { InterconnectError, optionError } from '../common/errors.js';
import { bindFile, isFile, MAX_PATH, replacingStale } from './unix-socket.js';
import { messageOf, inspectShort, systemCodeOf } from '../common/words.js';
import { checkInteger } from '../common/checks.js';

/** A bound TCP address. */
export interface TcpAddress {
  /** The bound address, also if the options have a name. */
  readonly host: string;
  /** The bound port, also if the options have 0. */
  readonly port: number;
  /** The version of IP. */
  readonly family: 'IPv4' | 'IPv6';
}

/** A bound Unix socket, or the given network. */
export interface PathAddress {
  /** The path as given; for a network, its `address`. */
  readonly path: string;
}

/** The address of a listener. */
export type ListenAddress = TcpAddress | PathAddress;

/** An address, as an application gives it. */
interface TargetOptions {
  host?: string | undefined;
  port?: number | undefined;
  path?: string | undefined;
}

/** An address to listen on, as an application gives it. */
interface ListenOptions extends TargetOptions {
  backlog?: number | undefined;
  mode?: number | undefined;
  /** If there is a network, the path is an address of that network, and not a file. */
  network?: unknown;
}

/** An address to listen on, with every default filled in. */
export interface ListenTarget {
  readonly host: string;
  readonly port: number;
  /** If there is a path, host and port mean nothing. */
  readonly path: string | undefined;
  readonly backlog: number;
  /** The permissions of the file at the path. */
  readonly mode: number;
  /** Whether the path is the name of a file, rather than the address of a network. */
  readonly isFile: boolean;
}

/** @throws IC_ERR_OPTION naming the option, its value and its range. */
export function listenTargetOf(options: ListenOptions): ListenTarget {
  checkTarget(options);
  const { host = 'localhost', port = 0, path, backlog = 511, mode = 0o600, network } = options;
  if (path === undefined) checkInteger('port', port, 0, 65_535);
  checkInteger('mode', mode, 0, 0o777);
  if (options.mode !== undefined && path === undefined) {
    throw optionError(
      'mode is for the file of a Unix socket, and there is no path. Leave mode out.',
    );
  }
  checkInteger('backlog', backlog, 1, 2 ** 31 - 1);
  const names = path !== undefined && network === undefined && isFile(path);
  return { host, port, path, backlog, mode, isFile: names };
}

/** @internal Checks an address of a dialer or a listener. */
export function checkTarget({ host, port, path }: TargetOptions): void {
  if (path === undefined) {
    // Node takes an empty name for "all addresses".
    if (host === undefined || (typeof host === 'string' && host !== '')) return;
    throw optionError(`host must be a name or an address, and is ${inspectShort(host)}.`);
  }
  if (host !== undefined || port !== undefined) {
    throw optionError(
      'path stands for a Unix socket and excludes host and port. Give one or the other.',
    );
  }
  const size = typeof path === 'string' ? Buffer.byteLength(path) : 0;
  if (size === 0 || size > MAX_PATH) {
    throw optionError(
      `The path of a Unix socket must be a string of 1 to ${MAX_PATH} bytes, and has ${size}.`,
    );
  }
}

/** @throws IC_ERR_LISTEN with the system's error as its cause. */
export async function bind(server: Server, target: ListenTarget): Promise<ListenAddress> {
  const { path, mode } = target;
  try {
    if (path === undefined || !target.isFile) await listen(server, target);
    // The primary process of a cluster owns the file, and shares the socket with all workers.
    else if (cluster.isWorker) await replacingStale(path, () => listen(server, target));
    else await bindFile(server, path, mode, (name) => listen(server, { ...target, path: name }));
  } catch (error) {
    throw listenError(target, error);
  }
  const address = server.address();
  if (address === null || typeof address === 'string') return { path: path ?? address ?? '' };
  return {
    host: address.address,
    port: address.port,
    family: address.family === 'IPv6' ? 'IPv6' : 'IPv4',
  };
}

function listen(server: Server, { host, port, path, backlog }: ListenTarget): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path === undefined ? { host, port, backlog } : { path, backlog }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function listenError({ host, port, path }: ListenTarget, cause: unknown): InterconnectError {
  const where = path ?? `${host}:${port}`;
  const inUse = systemCodeOf(cause) === 'EADDRINUSE';
  const remedy = inUse ? ' Choose another, or stop what uses it.' : '';
  const message = `Cannot listen on ${where}: ${messageOf(cause)}.${remedy}`;
  return new InterconnectError('IC_ERR_LISTEN', message, { cause });
}
