/**
 * Reads the header of the PROXY protocol, versions 1 and 2. A balancer writes this header before everything else, and
 * names the address of its own client in it. The sections are those of the specification that HAProxy publishes ("The
 * PROXY protocol", revision of 2020/03/05).
 */
import { isIPv4, isIPv6, SocketAddress } from 'node:net';
import { EMPTY, quote, type SpeakerKind, speakerOf } from '../../wire/index.js';
import type { PeerSource } from '../common/peer.js';

/** The client that a header names: an IP address and a TCP port, or the path of a Unix socket, which has no port. */
export interface ProxySource extends PeerSource {
  readonly address: string;
}

/** Why the header cannot be read: there is none, it breaks a rule, or it is too long. */
export type ProxyFault = 'absent' | 'malformed' | 'too-long';

/** The stream does not begin with a valid header. */
export class ProxyHeaderError extends Error {
  readonly fault: ProxyFault;

  /** `message`: the fault, as the end of a sentence whose subject is the peer. */
  constructor(fault: ProxyFault, message: string) {
    super(message);
    this.fault = fault;
  }
}

/** The largest number of octets after the fixed part of a header of version 2: the addresses and further fields. */
export const MAX_PROXY_LENGTH = 16 * 1024;

/**
 * Reads one header from the start of a stream, in chunks of any size. The decoder keeps at most 232 octets, and counts
 * and skips the others. Do not push further octets when it is done or has thrown.
 */
export class ProxyHeaderDecoder {
  readonly #kept = Buffer.alloc(V2_FIXED + UNIX_LENGTH);
  #length = 0;
  /** The length of the whole header of version 2; undefined before its fixed part has arrived. */
  #total: number | undefined;
  #isDone = false;
  #source: ProxySource | undefined;

  /** Whether the whole header has arrived. */
  get isDone(): boolean {
    return this.#isDone;
  }

  /** The number of octets of the header so far. */
  get length(): number {
    return this.#length;
  }

  /**
   * The client that the whole header names. `undefined`: the header speaks for the balancer itself, and the address of
   * the socket counts.
   */
  get source(): ProxySource | undefined {
    return this.#source;
  }

  /**
   * Takes the octets of the header from the start of `chunk`, and returns their number.
   * @throws ProxyHeaderError as soon as it is certain that this is no header
   */
  push(chunk: Buffer): number {
    let at = 0;
    while (at < chunk.length && !this.#isDone) {
      if (this.#total === undefined) {
        this.#onOctet(chunk, at);
        at += 1;
      } else at += this.#onRest(chunk.subarray(at));
    }
    return at;
  }

  /** Section 2.2, last but one list: the first octets tell the version; a stream with other octets has no header. */
  #onOctet(chunk: Buffer, at: number): void {
    const octet = chunk[at] ?? 0;
    const position = this.#length;
    const isV1 = position === 0 ? octet === V1_SIGNATURE[0] : this.#kept[0] === V1_SIGNATURE[0];
    const signature = isV1 ? V1_SIGNATURE : V2_SIGNATURE;
    if (position < signature.length && octet !== signature[position]) {
      throw absent(Buffer.concat([this.#kept.subarray(0, position), chunk.subarray(at)]));
    }
    this.#kept[position] = octet;
    this.#length = position + 1;
    if (position < signature.length) return;
    if (isV1) this.#onLine(octet);
    else this.#onFixed(octet);
  }

  /** Section 2.1. */
  #onLine(octet: number): void {
    const size = this.#length;
    const isEnd = octet === LF && this.#kept[size - 2] === CR;
    // "must not tolerate a single CR or LF character"
    if (octet === LF ? !isEnd : this.#kept[size - 2] === CR) {
      throw malformed('a line of version 1 that does not end in CR LF');
    }
    if (!isEnd) {
      // "If the CRLF sequence is not found in the first 107 characters"
      if (size < V1_LONGEST) return;
      throw new ProxyHeaderError(
        'too-long',
        `begins with a PROXY header of version 1 that has no end within ${V1_LONGEST} octets`,
      );
    }
    this.#source = sourceOfLine(this.#kept.toString('latin1', 0, size - 2));
    this.#isDone = true;
  }

  /** Section 2.2: 4 octets after the signature. */
  #onFixed(octet: number): void {
    switch (this.#length) {
      case 13:
        if (octet === LOCAL || octet === PROXY) return;
        throw malformed(`version and command 0x${hex(octet)}`);
      case 14:
        if (octet >> 4 <= UNIX && (octet & 0xf) <= DGRAM) return;
        throw malformed(`address family and protocol 0x${hex(octet)}`);
      case V2_FIXED:
        return this.#onLength(this.#kept.readUInt16BE(14));
    }
  }

  #onLength(length: number): void {
    const needed = this.#needed;
    if (length < needed) {
      throw malformed(`${length} octets of addresses where ${needed} are due`);
    }
    if (length > MAX_PROXY_LENGTH) {
      throw new ProxyHeaderError(
        'too-long',
        `begins with a PROXY header of version 2 that announces ${length} octets; at most ` +
          `${MAX_PROXY_LENGTH} are taken`,
      );
    }
    this.#total = V2_FIXED + length;
    this.#onRest(EMPTY);
  }

  /** The number of octets of the addresses; 0 if the addresses do not count. */
  get #needed(): number {
    // "must use the real connection endpoints and discard the protocol block"
    if (this.#kept[12] === LOCAL) return 0;
    return ADDRESS_LENGTHS.get(this.#kept[13] ?? 0) ?? 0;
  }

  /** "The receiver must not start to parse an address before the whole address block is received." */
  #onRest(octets: Buffer): number {
    const total = this.#total ?? 0;
    const taken = Math.min(octets.length, total - this.#length);
    // The octets beyond that are not needed.
    if (this.#length < this.#kept.length) octets.copy(this.#kept, this.#length, 0, taken);
    this.#length += taken;
    if (this.#length === total) {
      this.#source = this.#needed === 0 ? undefined : this.#sourceOfBlock();
      this.#isDone = true;
    }
    return taken;
  }

  #sourceOfBlock(): ProxySource | undefined {
    const block = this.#kept.subarray(V2_FIXED);
    switch (this.#kept[13]) {
      case TCP4:
        return { address: block.subarray(0, 4).join('.'), port: block.readUInt16BE(8) };
      case TCP6: {
        const groups = Array.from({ length: 8 }, (_, index) => hex(block.readUInt16BE(2 * index)));
        return { address: canonical(groups.join(':')), port: block.readUInt16BE(32) };
      }
      default:
        return sourceOfPath(block.subarray(0, UNIX_LENGTH / 2));
    }
  }
}

/** Parses the line without CR LF. */
function sourceOfLine(line: string): ProxySource | undefined {
  const [, family, ...words] = line.split(' ');
  // "the receiver must ignore anything presented before the CRLF"
  if (family === 'UNKNOWN') return undefined;
  const isAddress = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isNumericIPv6 : undefined;
  if (isAddress === undefined) throw malformed(`the protocol ${quote(family ?? '')}`);
  const [source = '', target = '', sourcePort = '', targetPort = '', ...more] = words;
  if (words.length < 4 || more.length > 0) {
    throw malformed(`${words.length} words after ${family} where 4 are due`);
  }
  for (const address of [source, target]) {
    if (!isAddress(address)) throw malformed(`the ${family} address ${quote(address)}`);
  }
  for (const port of [sourcePort, targetPort]) {
    const isPort = /^(?:0|[1-9]\d{0,4})$/.test(port) && Number(port) <= 65_535;
    if (!isPort) throw malformed(`the port ${quote(port)}`);
  }
  const address = family === 'TCP6' ? canonical(source) : source;
  return { address, port: Number(sourcePort) };
}

/** Returns the source of the two addresses of a Unix socket, up to its first zero. Often the source is empty. */
function sourceOfPath(path: Buffer): ProxySource | undefined {
  const isAbstract = path[0] === 0 && path[1] !== 0;
  const name = isAbstract ? path.subarray(1) : path;
  const end = name.indexOf(0);
  const text = name.toString('utf8', 0, end < 0 ? name.length : end);
  if (text === '') return undefined;
  // The name of an abstract socket as the system's tools show it.
  return { address: isAbstract ? `@${text}` : text, port: undefined };
}

/** Returns true for an IPv6 address without a zone: a zone has no meaning on another machine. */
function isNumericIPv6(text: string): boolean {
  return isIPv6(text) && !text.includes('%');
}

/** Returns the address in the notation of Node's sockets. */
function canonical(address: string): string {
  return new SocketAddress({ address, family: 'ipv6' }).address;
}

function absent(start: Buffer): ProxyHeaderError {
  const { kind, name } = speakerOf(start);
  const instead = UNTOLD.has(kind) ? '' : `, and looks like ${name}`;
  return new ProxyHeaderError('absent', `does not begin with a PROXY header${instead}`);
}

function malformed(what: string): ProxyHeaderError {
  return new ProxyHeaderError('malformed', `begins with a PROXY header that has ${what}`);
}

function hex(value: number): string {
  return value.toString(16).padStart(2, '0');
}

/** Kinds without a name in the error: the protocol is unknown, or the stream begins like a header and has a fault. */
const UNTOLD: ReadonlySet<SpeakerKind> = new Set(['unknown', 'proxy-v1', 'proxy-v2']);
const V1_SIGNATURE = Buffer.from('PROXY ');
const V1_LONGEST = 107;
const V2_SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n');
const V2_FIXED = 16;
const CR = 0x0d;
const LF = 0x0a;
/** Version 2 in the upper half. */
const LOCAL = 0x20;
const PROXY = 0x21;
/** Address families. */
const UNIX = 3;
/** Transport protocols. */
const DGRAM = 2;
/** Families and STREAM. All other valid combinations count as UNSPEC: "automatically falls back to the UNSPEC mode". */
const TCP4 = 0x11;
const TCP6 = 0x21;
const UNIX_STREAM = 0x31;
const UNIX_LENGTH = 216;
const ADDRESS_LENGTHS: ReadonlyMap<number, number> = new Map([
  [TCP4, 12],
  [TCP6, 36],
  [UNIX_STREAM, UNIX_LENGTH],
]);
