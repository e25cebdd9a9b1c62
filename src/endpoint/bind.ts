/** Binds a server to its address, and says why where that fails. */
import { lstat, unlink } from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import { InterconnectError, messageOf, optionError, shown, systemCodeOf } from './errors.js';
import { checkInteger } from './options.js';

/** A bound TCP address. */
export interface TcpAddress {
  /** The bound address, where a name was asked for. */
  readonly host: string;
  /** The bound one, where 0 was asked for. */
  readonly port: number;
  /** Which of the two protocols. */
  readonly family: 'IPv4' | 'IPv6';
}

/** A bound Unix socket, or a network that was given. */
export interface PathAddress {
  /** As it was given; of a network, its `address`. */
  readonly path: string;
}

/** Where a listener listens. */
export type ListenAddress = TcpAddress | PathAddress;

interface Target {
  host?: string;
  port?: number;
  path?: string;
  backlog?: number;
}

export function checkListenTarget(target: Target): void {
  checkTarget(target);
  if (target.path === undefined) checkInteger('port', target.port ?? 0, 0, 65_535);
}

/** @internal What holds for both sides. */
export function checkTarget({ host, port, path }: Target): void {
  if (path === undefined) {
    // Node takes an empty name for "all addresses".
    if (host === undefined || (typeof host === 'string' && host !== '')) return;
    throw optionError(`host must be a name or an address, and is ${shown(host)}.`);
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
export async function bind(server: Server, target: Target): Promise<ListenAddress> {
  try {
    await listen(server, target);
  } catch (error) {
    if (target.path === undefined || !(await isStale(target.path, error))) {
      throw listenError(target, error);
    }
    try {
      await unlink(target.path);
      await listen(server, target);
    } catch (again) {
      throw listenError(target, again);
    }
  }
  const address = server.address();
  if (address === null || typeof address === 'string') return { path: address ?? '' };
  return {
    host: address.address,
    port: address.port,
    family: address.family === 'IPv6' ? 'IPv6' : 'IPv4',
  };
}

function listen(server: Server, target: Target): Promise<void> {
  const { host = 'localhost', port = 0, path, backlog = 511 } = target;
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path === undefined ? { host, port, backlog } : { path, backlog }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/**
 * Whether the socket's file was left behind by a process that is gone: nobody answers there. Nobody
 * answers at a file of another kind either, and that is not ours to remove.
 */
async function isStale(path: string, error: unknown): Promise<boolean> {
  if (systemCodeOf(error) !== 'EADDRINUSE') return false;
  const isSocket = await lstat(path).then(
    (file) => file.isSocket(),
    () => false,
  );
  if (!isSocket) return false;
  return new Promise((resolve) => {
    const probe = connect({ path });
    probe.once('connect', () => {
      probe.destroy();
      resolve(false);
    });
    probe.once('error', (reason) => resolve(systemCodeOf(reason) === 'ECONNREFUSED'));
  });
}

function listenError(target: Target, cause: unknown): InterconnectError {
  const { host = 'localhost', port = 0, path } = target;
  const where = path ?? `${host}:${port}`;
  const inUse = systemCodeOf(cause) === 'EADDRINUSE';
  const remedy = inUse ? ' Choose another, or stop what uses it.' : '';
  const message = `Cannot listen on ${where}: ${messageOf(cause)}.${remedy}`;
  return new InterconnectError('IC_ERR_LISTEN', message, { cause });
}

/** What `sun_path` holds on Linux, less its final zero. */
const MAX_PATH = 107;
