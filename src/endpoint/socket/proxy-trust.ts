/** The option `proxyProtocol`: the peers whose sockets begin with a header of the PROXY protocol. */
import { BlockList, isIP, isIPv4 } from 'node:net';
import { optionError } from '../common/errors.js';
import { inspectShort } from '../common/words.js';

/**
 * For a listener behind balancers that send a header of the PROXY protocol, version 1 or 2, before everything else.
 *
 * - `true`: every socket must begin with one. A peer that reaches the port can then claim any address: let only
 *   the balancers reach the port.
 * - `{ from }`: the sockets of these addresses must begin with one. All others are taken without a header, under
 *   their own address, and are ended if they begin with one. Addresses and networks: `'10.0.0.7'`, `'10.0.0.0/8'`,
 *   `'fd00::/8'`.
 */
export type ProxyProtocol = boolean | { readonly from: readonly string[] };

/** @internal Whether the socket of a peer with this address must begin with a header. */
export type ExpectsProxyHeader = (address: string | undefined) => boolean;

/**
 * @internal Checks the option. Returns `undefined` if no socket begins with a header.
 * @throws IC_ERR_OPTION naming the value
 */
export function proxyTrustOf(
  option: ProxyProtocol | null | undefined,
  path: string | undefined,
): ExpectsProxyHeader | undefined {
  if (option === undefined || option === false) return undefined;
  if (option === true) return () => true;
  const from: unknown = option?.from;
  if (!Array.isArray(from) || from.length === 0) {
    throw optionError(
      `proxyProtocol must be true, or { from } with a list of at least one address or network, and is ${inspectShort(option)}.`,
    );
  }
  if (path !== undefined) {
    throw optionError(
      'proxyProtocol.from names addresses, and the peers of a Unix socket have none. Give proxyProtocol: true.',
    );
  }
  const list = new BlockList();
  for (const each of from) add(list, each);
  return (address) => address !== undefined && holds(list, address);
}

function add(list: BlockList, entry: unknown): void {
  const [address = '', prefix, ...more] = typeof entry === 'string' ? entry.split('/') : [];
  const family = isIP(address);
  const longest = family === 4 ? 32 : 128;
  const length = prefix === undefined ? longest : Number(prefix);
  const isPrefix = prefix === undefined || (/^\d{1,3}$/.test(prefix) && length <= longest);
  if (family === 0 || address.includes('%') || !isPrefix || more.length > 0) {
    throw optionError(
      `proxyProtocol.from must hold addresses or networks, such as "10.0.0.7" or "10.0.0.0/8", and holds ${inspectShort(entry)}.`,
    );
  }
  list.addSubnet(address, length, family === 4 ? 'ipv4' : 'ipv6');
}

function holds(list: BlockList, address: string): boolean {
  // A socket that accepts both versions of IP shows an IPv4 peer in this form.
  const bare = address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');
  return list.check(bare, isIPv4(bare) ? 'ipv4' : 'ipv6');
}
