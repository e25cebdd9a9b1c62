/** Addresses in the form that a command line gives them. */
import { UsageError } from './usage-error.js';

/** The address that a socket connects to or listens on. */
export type Target = { readonly host: string; readonly port: number } | { readonly path: string };

/**
 * `HOST:PORT`, or `[::1]:PORT` for an IPv6 address, which has colons of its own.
 * @throws UsageError
 */
export function parseTarget(text: string): { host: string; port: number } {
  const [, bracketed, plain, port = ''] = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined) {
    throw new UsageError(`"${text}" is not an address: give HOST:PORT, such as localhost:5000.`);
  }
  return { host, port: parsePort(port, 1) };
}

/**
 * `[HOST:]PORT`. Port 0 stands for any free port.
 * @throws UsageError
 */
export function parseListenTarget(text: string): { host: string; port: number } {
  if (/^\d+$/.test(text)) return { host: '127.0.0.1', port: parsePort(text, 0) };
  const [, host, port] = /^(.*):(\d+)$/.exec(text) ?? [];
  if (host === undefined || host === '' || port === undefined) {
    throw new UsageError(`"${text}" is not an address: give PORT or HOST:PORT, such as 5000.`);
  }
  return { host: host.replace(/^\[(.*)\]$/, '$1'), port: parsePort(port, 0) };
}

/**
 * A decimal port number from `from` to 65535.
 * @throws UsageError
 */
export function parsePort(text: string, from: number): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port >= from && port <= 65_535) return port;
  throw new UsageError(`"${text}" is not a port: give a number from ${from} to 65535.`);
}

/** The address in the form that people read: `localhost:5000`, `[::1]:5000` or a path. */
export function describeTarget(target: Target): string {
  if ('path' in target) return target.path;
  const { host, port } = target;
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
