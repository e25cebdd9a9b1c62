/** Where sockets come from, where that is not the system. */
import type { Server, Socket } from 'node:net';
import { optionError } from './errors.js';
import { checkObject } from './checks.js';
import { inspectShort } from './words.js';

/**
 * Takes the place of TCP, TLS and Unix sockets. What it gives behaves as Node's own; nothing of it throws, and its
 * sockets allow to be half open (`allowHalfOpen`).
 */
export interface Network {
  /** Its name, in messages and wherever an address stands: `{ path: address }`, `connection.peer.address`. */
  readonly address: string;
  /** A socket on its way to who listens: `'connect'` follows, or `'error'`. */
  connect(): Socket;
  /** Not listening yet: `listen({ path: address, backlog }, callback)` follows. */
  createServer(onSocket: (socket: Socket) => void): Server;
}

/** @internal @throws IC_ERR_OPTION where it is none, or an address is given beside it. */
export function checkNetwork(network: Network, options: object): void {
  checkObject('network', network);
  const { address } = network;
  if (typeof network.connect !== 'function' || typeof network.createServer !== 'function') {
    throw optionError('network must have the methods connect and createServer: see Network.');
  }
  if (typeof address !== 'string') {
    throw optionError(
      `The address of a network must be a string, and is ${inspectShort(address)}.`,
    );
  }
  const stray = Object.entries(options).filter(
    ([name, value]) => EXCLUDED.has(name) && value !== undefined,
  );
  if (stray.length === 0) return;
  const names = stray.map(([name]) => name).join(', ');
  throw optionError(
    `network has an address of its own and excludes ${names}. Give one or the other.`,
  );
}

const EXCLUDED: ReadonlySet<string> = new Set(['host', 'port', 'path', 'addresses', 'tls']);
