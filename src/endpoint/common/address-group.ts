/** The groups that peers are counted in: an IPv4 address, a network of IPv6, or this machine. */
import { isIP } from 'node:net';

/** The group of all peers on the loopback. Addresses do not tell them apart. */
export const LOOPBACK = 'loopback';

/**
 * Returns the group of an address: of IPv4 the address, of IPv6 the first 64 bits, because a customer gets at least that
 * many addresses. Undefined for what is no IP address, such as the path of a Unix socket.
 */
export function groupOf(address: string | undefined): string | undefined {
  if (address === undefined) return undefined;
  const bare = address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');
  switch (isIP(bare)) {
    case 4:
      return bare.startsWith('127.') ? LOOPBACK : bare;
    case 6:
      return bare === '::1' ? LOOPBACK : networkOf(bare);
    default:
      return undefined;
  }
}

/** The first 64 bits of an IPv6 address, in one spelling. */
function networkOf(address: string): string {
  const [front = [], back = []] = address
    .split('::')
    .map((half) => (half === '' ? [] : half.split(':')));
  // The last 32 bits can be spelled as an IPv4 address.
  const groups = front.length + back.length + (address.includes('.') ? 1 : 0);
  const zeros = new Array<string>(Math.max(0, 8 - groups)).fill('0');
  const whole = [...front, ...(address.includes('::') ? zeros : []), ...back];
  const network = whole.slice(0, 4).map((each) => Number.parseInt(each, 16).toString(16));
  return `${network.join(':')}::/64`;
}
