/** The interface of a network: a source of sockets that takes the place of the system's. */
import type { Server, Socket } from 'node:net';
import { optionError } from './errors.js';
import { checkObject } from './checks.js';
import { inspectShort } from './words.js';

/**
 * Replaces TCP, TLS and Unix sockets. The sockets and servers behave like Node's own, no method throws, and a socket
 * may be half open (`allowHalfOpen`).
 */
export interface Network {
  /**
   * The name of the network. The name takes the place of an address: in `{ path: address }`, in `connection.peer.address`
   * and in texts.
   */
  readonly address: string;
  /** Returns a socket that connects to the listener. The socket then emits `'connect'` or `'error'`. */
  connect(): Socket;
  /** Returns a server that does not listen yet. The caller then calls `listen({ path: address, backlog }, callback)`. */
  createServer(onSocket: (socket: Socket) => void): Server;
}

/** @internal @throws IC_ERR_OPTION if the value is not a network, or an address is given beside it. */
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
