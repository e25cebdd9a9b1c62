/** Headers of the PROXY protocol, as a load balancer writes them. */

/** A header of version 1. */
export function proxyV1(words: string): Buffer {
  return Buffer.from(`PROXY ${words}\r\n`, 'latin1');
}

/** A header of version 2. `length`: the announced length, if it differs from the real one. */
export function proxyV2(
  command: number,
  family: number,
  block: Buffer = Buffer.alloc(0),
  length: number = block.length,
): Buffer {
  const fixed = Buffer.from('0d0a0d0a000d0a515549540a00000000', 'hex');
  fixed[12] = command;
  fixed[13] = family;
  fixed.writeUInt16BE(length, 14);
  return Buffer.concat([fixed, block]);
}

/** The addresses of TCP over IPv4: 192.0.2.7:4711 to 192.0.2.1:5000. */
export const BLOCK_V4 = Buffer.from('c0000207c000020112671388', 'hex');
/** The addresses of TCP over IPv6: [2001:db8::7]:4711 to [2001:db8::1]:5000. */
export const BLOCK_V6 = Buffer.from(
  '20010db800000000000000000000000720010db800000000000000000000000112671388',
  'hex',
);
/** The two paths of a Unix socket. */
export function blockOfPaths(source: string, target = ''): Buffer {
  const block = Buffer.alloc(216);
  block.write(source, 0, 'utf8');
  block.write(target, 108, 'utf8');
  return block;
}
