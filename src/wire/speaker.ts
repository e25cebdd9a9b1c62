/**
 * Guesses which protocol a peer speaks, from the first octets of a stream that is not Interconnect. The protocol does not
 * need this guess. It helps an operator who has mixed up two ports.
 */

/** A protocol that the first octets reveal. `unknown`: they fit none of the protocols below. */
export type SpeakerKind =
  | 'proxy-v1'
  | 'proxy-v2'
  | 'tls'
  | 'http'
  | 'http2'
  | 'ssh'
  | 'redis'
  | 'amqp'
  | 'mqtt'
  | 'postgres'
  | 'mysql'
  | 'mail'
  | 'nest-tcp'
  | 'interconnect'
  | 'unknown';

/** The peer, described by its protocol. */
export interface Speaker {
  readonly kind: SpeakerKind;
  /** With an article, for a sentence: `an HTTP client`. */
  readonly name: string;
}

/**
 * Judges by the first octets of a stream. 16 octets are enough; further ones are ignored. If there are too few octets to
 * tell several protocols apart, the result is `unknown`.
 */
export function speakerOf(octets: Buffer): Speaker {
  const head = octets.subarray(0, LONGEST);
  const start = head.toString('latin1');
  if (start === '') return UNKNOWN;
  const found = OPENINGS.filter(
    ([opening]) => start.startsWith(opening) || opening.startsWith(start),
  );
  const [first, ...others] = found.map(([, speaker]) => speaker);
  if (first !== undefined && others.every((each) => each === first)) return first;
  return BY_SHAPE.find(([isSo]) => isSo(head))?.[1] ?? UNKNOWN;
}

const UNKNOWN: Speaker = { kind: 'unknown', name: 'no protocol that is known here' };
const LONGEST = 16;

const HTTP_CLIENT: Speaker = { kind: 'http', name: 'an HTTP client' };
const MAIL_SERVER: Speaker = { kind: 'mail', name: 'a mail or FTP server' };
const TLS_SERVER: Speaker = { kind: 'tls', name: 'a TLS server' };
const REDIS_SERVER: Speaker = { kind: 'redis', name: 'a Redis server' };

/** The first octets that the clients and servers of other protocols send. No entry is the beginning of another entry. */
const OPENINGS: readonly (readonly [start: string, speaker: Speaker])[] = [
  ['PROXY ', { kind: 'proxy-v1', name: 'the PROXY protocol, version 1' }],
  ['\r\n\r\n\0\r\nQUIT\n', { kind: 'proxy-v2', name: 'the PROXY protocol, version 2' }],
  ['\x16\x03', { kind: 'tls', name: 'a TLS client' }],
  // An alert: a TLS server got plain text.
  ['\x15\x03', TLS_SERVER],
  ['PRI * HTTP/2', { kind: 'http2', name: 'an HTTP/2 or gRPC client' }],
  ['HTTP/', { kind: 'http', name: 'an HTTP server' }],
  ...['GET', 'POST', 'PUT', 'HEAD', 'OPTIONS', 'PATCH', 'DELETE', 'CONNECT', 'TRACE'].map(
    (verb) => [`${verb} `, HTTP_CLIENT] as const,
  ),
  ['SSH-', { kind: 'ssh', name: 'an SSH peer' }],
  ['AMQP', { kind: 'amqp', name: 'an AMQP peer' }],
  ['-ERR', REDIS_SERVER],
  ['-NOAUTH', REDIS_SERVER],
  ['-DENIED', REDIS_SERVER],
  ['+PONG', REDIS_SERVER],
  ['+OK', MAIL_SERVER],
  // SSLRequest, GSSENCRequest and version 3.0.
  ...['\0\0\0\x08\x04\xd2\x16\x2f', '\0\0\0\x08\x04\xd2\x16\x30'].map(
    (request) => [request, { kind: 'postgres', name: 'a PostgreSQL client' }] as const,
  ),
  ['\xf1INTC\r\n', { kind: 'interconnect', name: 'an Interconnect peer' }],
];

/** Protocols whose first octets contain a length or another number that varies. */
const BY_SHAPE: readonly (readonly [isSo: (octets: Buffer) => boolean, speaker: Speaker])[] = [
  // Every command of Redis is an array of bulk strings.
  [byPattern(/^\*\d+\r\n\$/), { kind: 'redis', name: 'a Redis client' }],
  [byPattern(/^(?:(?:220|554)[ -]|\* OK)/), MAIL_SERVER],
  // The length, "#", and JSON.
  [byPattern(/^\d{1,9}#[[{]/), { kind: 'nest-tcp', name: "Nest's TCP transport" }],
  // The packet CONNECT: its type, the length of the rest, the length of the protocol's name, and the name.
  [
    (octets) => octets[0] === 0x10 && octets.includes('\0\x04MQTT'),
    { kind: 'mqtt', name: 'an MQTT client' },
  ],
  // The length, the packet number 0, the protocol version 10, and the server's version as text.
  [
    (octets) => octets.length > 5 && octets.readUIntBE(1, 4) === 10 && isDigit(octets[5]),
    { kind: 'mysql', name: 'a MySQL server' },
  ],
  // The length, and the protocol version 3.0.
  [
    (octets) =>
      octets.length > 7 && octets.readUInt16BE(0) === 0 && octets.readUInt32BE(4) === 0x30000,
    { kind: 'postgres', name: 'a PostgreSQL client' },
  ],
  // The first frame of an HTTP/2 server: its length, the type SETTINGS, the flags, and stream 0.
  [
    (octets) =>
      octets.length > 8 &&
      octets.readUInt16BE(0) === 0 &&
      octets[3] === 4 &&
      octets.readUInt32BE(5) === 0,
    { kind: 'http2', name: 'an HTTP/2 or gRPC server' },
  ],
];

function byPattern(pattern: RegExp): (octets: Buffer) => boolean {
  return (octets) => pattern.test(octets.toString('latin1'));
}

function isDigit(octet: number | undefined): boolean {
  return octet !== undefined && octet >= 0x30 && octet <= 0x39;
}
