/** The PROXY protocol's header as a machine: every valid form, every split, and what is none. */
import fc from 'fast-check';
import { describe, expect, it } from '@jest/globals';
import {
  MAX_PROXY_LENGTH,
  ProxyHeaderDecoder,
  ProxyHeaderError,
  type ProxyFault,
} from '../../../src/endpoint/socket/proxy-header.js';
import { encodePreface } from '../../../src/wire/index.js';
import {
  BLOCK_V4,
  BLOCK_V6,
  blockOfPaths,
  proxyV1,
  proxyV2,
} from '../../support/peers/proxy-headers.js';
import { seed } from '../../support/codec/property.js';

const LOCAL = 0x20;
const PROXY = 0x21;
const V4 = { address: '192.0.2.7', port: 4711 };
const V6 = { address: '2001:db8::7', port: 4711 };
const LONG_V6 = 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff';
/** An entry of a kind that nobody knows. */
const EXTRA = Buffer.concat([Buffer.from('ea0100', 'hex'), Buffer.alloc(256, 'x')]);

const VALID: [what: string, header: Buffer, source: unknown][] = [
  ['1, TCP4', proxyV1('TCP4 192.0.2.7 192.0.2.1 4711 5000'), V4],
  [
    '1, TCP4 of the longest',
    proxyV1('TCP4 255.255.255.255 255.255.255.255 65535 65535'),
    { address: '255.255.255.255', port: 65_535 },
  ],
  ['1, port 0', proxyV1('TCP4 0.0.0.0 0.0.0.0 0 0'), { address: '0.0.0.0', port: 0 }],
  ['1, TCP6', proxyV1('TCP6 2001:db8::7 2001:db8::1 4711 5000'), V6],
  [
    '1, TCP6 in capitals and at length',
    proxyV1('TCP6 2001:0DB8:0000:0000:0000:0000:0000:0007 ::1 4711 5000'),
    V6,
  ],
  [
    '1, TCP6 of the longest',
    proxyV1(`TCP6 ${LONG_V6} ${LONG_V6} 65535 65535`),
    { address: LONG_V6, port: 65_535 },
  ],
  ['1, UNKNOWN', proxyV1('UNKNOWN'), undefined],
  ['1, UNKNOWN with words of any kind', proxyV1('UNKNOWN \x00 x  y \xff'), undefined],
  ['1, UNKNOWN of the longest', proxyV1(`UNKNOWN ${LONG_V6} ${LONG_V6} 65535 65535`), undefined],
  ['2, TCP4', proxyV2(PROXY, 0x11, BLOCK_V4), V4],
  ['2, TCP4 with entries', proxyV2(PROXY, 0x11, Buffer.concat([BLOCK_V4, EXTRA, EXTRA])), V4],
  [
    '2, TCP4 of the longest',
    proxyV2(PROXY, 0x11, Buffer.concat([BLOCK_V4, Buffer.alloc(MAX_PROXY_LENGTH - 12)])),
    V4,
  ],
  ['2, TCP6', proxyV2(PROXY, 0x21, BLOCK_V6), V6],
  ['2, TCP6 with entries', proxyV2(PROXY, 0x21, Buffer.concat([BLOCK_V6, EXTRA])), V6],
  [
    '2, an IPv4 address within IPv6',
    proxyV2(
      PROXY,
      0x21,
      Buffer.concat([
        Buffer.from('00000000000000000000ffffc0000207', 'hex'),
        Buffer.alloc(16),
        Buffer.from('12671388', 'hex'),
      ]),
    ),
    { address: '::ffff:192.0.2.7', port: 4711 },
  ],
  [
    '2, a Unix socket',
    proxyV2(PROXY, 0x31, blockOfPaths('/run/client.sock', '/run/server.sock')),
    { address: '/run/client.sock', port: undefined },
  ],
  [
    '2, a Unix socket of the longest name',
    proxyV2(PROXY, 0x31, blockOfPaths(`/${'x'.repeat(107)}`)),
    { address: `/${'x'.repeat(107)}`, port: undefined },
  ],
  [
    '2, an abstract Unix socket',
    proxyV2(PROXY, 0x31, blockOfPaths('\0name')),
    { address: '@name', port: undefined },
  ],
  ['2, a Unix socket without a name', proxyV2(PROXY, 0x31, blockOfPaths('')), undefined],
  ['2, LOCAL', proxyV2(LOCAL, 0x00), undefined],
  ['2, LOCAL with addresses', proxyV2(LOCAL, 0x11, BLOCK_V4), undefined],
  ['2, LOCAL with too few octets of addresses', proxyV2(LOCAL, 0x21, BLOCK_V4), undefined],
  ['2, UNSPEC', proxyV2(PROXY, 0x00), undefined],
  ['2, UNSPEC with entries', proxyV2(PROXY, 0x00, EXTRA), undefined],
  ['2, UDP', proxyV2(PROXY, 0x12, BLOCK_V4), undefined],
  ['2, datagrams of a Unix socket', proxyV2(PROXY, 0x32, blockOfPaths('/x')), undefined],
  ['2, IPv4 of no protocol', proxyV2(PROXY, 0x10, BLOCK_V4), undefined],
  ['2, no family, of a stream', proxyV2(PROXY, 0x01), undefined],
];

const V2_START = proxyV2(PROXY, 0x11, BLOCK_V4);

function wrongAt(position: number): Buffer {
  const wrong = Buffer.from(V2_START);
  wrong[position]! ^= 0x40;
  return wrong;
}

const WRONG: [what: string, octets: Buffer | string, fault: ProxyFault, words: string][] = [
  [
    'Interconnect',
    encodePreface(),
    'absent',
    'does not begin with a PROXY header, and looks like an Interconnect peer',
  ],
  ['TLS', Buffer.from('160301', 'hex'), 'absent', 'looks like a TLS client'],
  ['HTTP', 'POST / HTTP/1.1\r\n', 'absent', 'looks like an HTTP client'],
  ['no octet of it', '\0', 'absent', 'does not begin with a PROXY header'],
  ['small letters', 'proxy TCP4 ', 'absent', 'does not begin'],
  ['a tab', 'PROXY\tTCP4', 'absent', 'does not begin'],
  ...[1, 4, 5, 11].map((at): [string, Buffer, ProxyFault, string] => [
    `a signature that is wrong in octet ${at}`,
    wrongAt(at),
    'absent',
    'does not begin',
  ]),
  ['version 1 of 2', proxyV2(0x11, 0x11, BLOCK_V4), 'malformed', 'version and command 0x11'],
  ['version 3', proxyV2(0x31, 0x11, BLOCK_V4), 'malformed', 'version and command 0x31'],
  ['an unknown command', proxyV2(0x22, 0x11, BLOCK_V4), 'malformed', 'version and command 0x22'],
  [
    'an unknown family',
    proxyV2(PROXY, 0x41, BLOCK_V4),
    'malformed',
    'address family and protocol 0x41',
  ],
  [
    'an unknown protocol',
    proxyV2(PROXY, 0x13, BLOCK_V4),
    'malformed',
    'address family and protocol 0x13',
  ],
  [
    'too few octets for IPv4',
    proxyV2(PROXY, 0x11, BLOCK_V4.subarray(1)),
    'malformed',
    '11 octets of addresses where 12 are due',
  ],
  [
    'too few octets for IPv6',
    proxyV2(PROXY, 0x21, BLOCK_V4),
    'malformed',
    '12 octets of addresses where 36 are due',
  ],
  [
    'too few octets for a Unix socket',
    proxyV2(PROXY, 0x31, BLOCK_V6),
    'malformed',
    '36 octets of addresses where 216 are due',
  ],
  [
    'too many octets',
    proxyV2(PROXY, 0x11, BLOCK_V4, MAX_PROXY_LENGTH + 1),
    'too-long',
    'announces 16385 octets; at most 16384',
  ],
  [
    'a line without an end',
    `PROXY UNKNOWN ${'x'.repeat(93)}`,
    'too-long',
    'has no end within 107 octets',
  ],
  [
    'a line whose end is one octet late',
    `PROXY UNKNOWN ${'x'.repeat(92)}\r\n`,
    'too-long',
    'has no end within 107 octets',
  ],
  [
    'a line that ends in LF',
    'PROXY TCP4 192.0.2.7 192.0.2.1 4711 5000\n',
    'malformed',
    'does not end in CR LF',
  ],
  [
    'a line that ends in CR',
    'PROXY TCP4 192.0.2.7 192.0.2.1 4711 5000\rx',
    'malformed',
    'does not end in CR LF',
  ],
  ['no protocol', 'PROXY \r\n', 'malformed', 'the protocol ""'],
  [
    'an unknown protocol',
    proxyV1('UDP4 192.0.2.7 192.0.2.1 4711 5000'),
    'malformed',
    'the protocol "UDP4"',
  ],
  [
    'an escape sequence as its protocol',
    proxyV1('\x1b[2J'),
    'malformed',
    'the protocol "\\u001b[2J"',
  ],
  ['a word too few', proxyV1('TCP4 192.0.2.7 192.0.2.1 4711'), 'malformed', '3 words after TCP4'],
  [
    'a word too many',
    proxyV1('TCP4 192.0.2.7 192.0.2.1 4711 5000 x'),
    'malformed',
    '5 words after TCP4',
  ],
  ['two spaces', proxyV1('TCP4  192.0.2.7 192.0.2.1 4711 5000'), 'malformed', '5 words after TCP4'],
  [
    'a space at its end',
    proxyV1('TCP4 192.0.2.7 192.0.2.1 4711 5000 '),
    'malformed',
    '5 words after TCP4',
  ],
  [
    'an IPv6 address for TCP4',
    proxyV1('TCP4 ::1 192.0.2.1 4711 5000'),
    'malformed',
    'the TCP4 address "::1"',
  ],
  [
    'an IPv4 address for TCP6',
    proxyV1('TCP6 ::1 192.0.2.1 4711 5000'),
    'malformed',
    'the TCP6 address "192.0.2.1"',
  ],
  [
    'a zone',
    proxyV1('TCP6 fe80::1%eth0 ::1 4711 5000'),
    'malformed',
    'the TCP6 address "fe80::1%eth0"',
  ],
  [
    'a name',
    proxyV1('TCP4 localhost 192.0.2.1 4711 5000'),
    'malformed',
    'the TCP4 address "localhost"',
  ],
  [
    'an octet above 255',
    proxyV1('TCP4 192.0.2.256 192.0.2.1 4711 5000'),
    'malformed',
    'the TCP4 address',
  ],
  [
    'a zero in front of an octet',
    proxyV1('TCP4 192.0.2.07 192.0.2.1 4711 5000'),
    'malformed',
    'the TCP4 address',
  ],
  [
    'a zero in front of a port',
    proxyV1('TCP4 192.0.2.7 192.0.2.1 04711 5000'),
    'malformed',
    'the port "04711"',
  ],
  [
    'a port above 65535',
    proxyV1('TCP4 192.0.2.7 192.0.2.1 4711 65536'),
    'malformed',
    'the port "65536"',
  ],
  [
    'a port with a sign',
    proxyV1('TCP4 192.0.2.7 192.0.2.1 +471 5000'),
    'malformed',
    'the port "+471"',
  ],
];

function decode(chunks: readonly Buffer[]): { decoder: ProxyHeaderDecoder; taken: number } {
  const decoder = new ProxyHeaderDecoder();
  let taken = 0;
  for (const chunk of chunks) taken += decoder.push(chunk);
  return { decoder, taken };
}

function faultOf(chunks: readonly Buffer[]): ProxyHeaderError {
  try {
    decode(chunks);
  } catch (error) {
    if (error instanceof ProxyHeaderError) return error;
    throw error;
  }
  throw new Error('It was taken for a header.');
}

/** Pieces of these sizes, in turn, and the rest. */
function cut(octets: Buffer, sizes: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  let at = 0;
  for (const size of sizes) {
    pieces.push(octets.subarray(at, at + size));
    at += size;
  }
  return [...pieces, octets.subarray(at)];
}

describe('A PROXY header', () => {
  const rest = encodePreface();

  it.each(VALID)(
    'of version %s names its source, and nothing behind it is taken',
    (_, header, source) => {
      const { decoder, taken } = decode([Buffer.concat([header, rest])]);

      expect(decoder.isDone).toBe(true);
      expect(decoder.source).toEqual(source);
      expect(taken).toBe(header.length);
      expect(decoder.length).toBe(header.length);
    },
  );

  it.each(VALID.filter(([, header]) => header.length < 1000))(
    'of version %s is the same wherever it is cut in two, and octet by octet',
    (_, header, source) => {
      const stream = Buffer.concat([header, rest]);
      for (let at = 0; at <= header.length; at++) {
        const { decoder, taken } = decode([stream.subarray(0, at), stream.subarray(at)]);
        expect([decoder.source, taken]).toEqual([source, header.length]);
      }
      const { decoder } = decode([...stream].map((octet) => Buffer.from([octet])));
      expect(decoder.source).toEqual(source);
    },
  );

  it.each(VALID)('of version %s is not whole before its last octet', (_, header) => {
    expect(decode([header.subarray(0, -1)]).decoder.isDone).toBe(false);
  });

  it.each(WRONG)('is none: %s', (_, octets, fault, words) => {
    const error = faultOf([Buffer.from(octets as string, 'latin1')]);

    expect(error.fault).toBe(fault);
    expect(error.message).toContain(words);
    expect(error.message).not.toMatch(/\.$/);
  });

  it.each(WRONG)('is none either where it comes octet by octet: %s', (_, octets, fault) => {
    const single = [...Buffer.from(octets as string, 'latin1')].map((octet) =>
      Buffer.from([octet]),
    );

    expect(faultOf(single).fault).toBe(fault);
  });

  it(`is judged alike, however random octets are cut, FC_SEED=${seed}`, () => {
    const start = fc.constantFrom(
      ...[...VALID, ...WRONG].map(([, each]) => Buffer.from(each as string, 'latin1')),
    );
    const change = fc.record({ at: fc.nat(60), octet: fc.nat(255) });
    const sizes = fc.array(fc.nat(40), { maxLength: 12 });
    const verdict = (chunks: readonly Buffer[]): unknown => {
      try {
        const { decoder, taken } = decode(chunks);
        return [decoder.isDone, decoder.source, taken];
      } catch (error) {
        if (error instanceof ProxyHeaderError) return error.fault;
        throw error;
      }
    };
    const property = fc.property(
      start,
      fc.array(change, { maxLength: 2 }),
      sizes,
      (octets, changes, pieces) => {
        const changed = Buffer.concat([octets, rest]);
        for (const { at, octet } of changes) if (at < changed.length) changed[at] = octet;

        expect(verdict(cut(changed, pieces))).toEqual(verdict([changed]));
      },
    );

    fc.assert(property, { seed, numRuns: 2000 });
  });
});
