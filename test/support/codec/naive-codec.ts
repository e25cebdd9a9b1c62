/**
 * A second wire codec, to which tests compare the real one. It follows the tables of PROTOCOL.md and shares no code
 * with `src/wire`: it is slow, plain, and easy to check by eye.
 */
import type { Frame, Meta } from '../../../src/wire/index.js';

/** The result of decoding a stream: its complete frames, and the close code of the error that ended it. */
export interface NaiveResult {
  readonly frames: Frame[];
  readonly fault: number | undefined;
}

// Flags: `may` lists the flags that may be set, `must` those that must be set. Ids: 0 = zero, n = not zero, * = any.
// Fields: ! = required. A type without fields has no meta. Body: the allowed payload.
const TABLE = `
  type name     session id  may  must  body    fields
  01   HELLO    0       0   00   00    any     10! 11 12 13 14! 15! 16 18 1c
  02   WELCOME  0       0   00   00    any     08 09 0a 10! 11 12 13 14! 15! 16 19 1a 1c
  03   PING     0       *   00   00    none
  04   PONG     0       *   00   00    none
  05   CREDIT   *       *   02   00    credit
  06   GOAWAY   0       0   00   00    none    08 09 0a
  07   CLOSE    0       0   00   00    any     08 09 0a
  10   OPEN     n       0   00   00    any     01 03! 0b 15
  11   OPENED   n       0   00   00    any     0b 15
  12   END      n       0   00   00    any     08 09 0a
  20   SEND     n       n   0d   00    any     01 02 07 0b
  21   FRAG     n       n   03   00    any
  22   ITEM     n       n   13   00    any     02 0b
  23   ACCEPT   n       n   0b   02    any     02 0b
  24   REJECT   n       n   03   02    any     02 08! 09 0a 0b
  25   CANCEL   n       n   00   00    none
`;

const PROTOCOL = 0x0101;
const FRAME_SIZE = 0x0102;
const META = 0x0103;
const UNSUPPORTED = 0x0107;

interface Row {
  readonly session: string;
  readonly id: string;
  readonly may: number;
  readonly must: number;
  readonly body: string;
  readonly fields: readonly string[];
}

const ROWS = new Map<number, Row>();
for (const line of TABLE.trim().split('\n').slice(1)) {
  const [type = '', , session = '', id = '', may = '', must = '', body = '', ...fields] = line
    .trim()
    .split(/\s+/);
  ROWS.set(parseInt(type, 16), {
    session,
    id,
    may: parseInt(may, 16),
    must: parseInt(must, 16),
    body,
    fields,
  });
}

const KNOWN_FIELDS = new Set([...ROWS.values()].flatMap((row) => row.fields.map(withoutMark)));

class Fault extends Error {
  readonly code: number;

  constructor(code: number) {
    super(`fault 0x${code.toString(16)}`);
    this.code = code;
  }
}

function insist(condition: boolean, code: number): void {
  if (!condition) throw new Fault(code);
}

/** Decodes all frames of a finished stream. An incomplete last frame is left out. */
export function naiveDecode(bytes: Buffer, maxFrame: number, maxMeta: number): NaiveResult {
  const frames: Frame[] = [];
  const fault = faultOf(() => {
    let rest = bytes;
    while (rest.length >= 16) {
      checkHeader(rest, maxFrame, maxMeta);
      const end = 16 + rest.readUInt32BE(4);
      if (rest.length < end) break;
      frames.push(readFrame(rest.subarray(0, end)));
      rest = rest.subarray(end);
    }
  });
  return { frames, fault };
}

/** The close code with which the codec refuses a header, if it does. */
export function naiveHeaderFault(
  header: Buffer,
  maxFrame: number,
  maxMeta: number,
): number | undefined {
  return faultOf(() => checkHeader(header, maxFrame, maxMeta));
}

function faultOf(action: () => void): number | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    if (error instanceof Fault) return error.code;
    throw error;
  }
}

function checkHeader(bytes: Buffer, maxFrame: number, maxMeta: number): void {
  const type = bytes.readUInt8(0);
  const flags = bytes.readUInt8(1);
  const metaLength = bytes.readUInt16BE(2);
  const bodyLength = bytes.readUInt32BE(4);
  const session = bytes.readUInt32BE(8);
  const id = bytes.readUInt32BE(12);
  const payloadLength = bodyLength - metaLength;
  const has = (flag: number): boolean => (flags & flag) === flag;

  insist(bodyLength <= 0xffffff && bodyLength <= maxFrame, FRAME_SIZE);
  insist(metaLength <= bodyLength && metaLength <= maxMeta, META);
  if (type >= 0x80) return;
  const row = ROWS.get(type);
  if (row === undefined) throw new Fault(UNSUPPORTED);
  if ((flags | row.may) !== row.may) throw new Fault(flags >= 0x20 ? UNSUPPORTED : PROTOCOL);
  insist(has(row.must), PROTOCOL);
  insist(session < 2 ** 31 && id < 2 ** 31, PROTOCOL);
  insist(row.session === '*' || (row.session === '0') === (session === 0), PROTOCOL);
  insist(row.id === '*' || (row.id === '0') === (id === 0), PROTOCOL);
  insist(row.fields.length > 0 || metaLength === 0, PROTOCOL);
  if (row.body === 'none') insist(payloadLength === 0, PROTOCOL);
  if (row.body === 'credit') {
    const items = session > 0 && id > 0;
    insist(payloadLength === (items ? 4 : 8), PROTOCOL);
    insist(items || !has(0x02), PROTOCOL);
  }
  if (has(0x01)) insist(payloadLength >= 4096, PROTOCOL);
  if (type === 0x20) insist(!has(0x04 | 0x08), PROTOCOL);
  if (type === 0x21) insist(payloadLength > 0, PROTOCOL);
  if (type === 0x22) insist(!has(0x02 | 0x10), PROTOCOL);
}

function readFrame(bytes: Buffer): Frame {
  const type = bytes.readUInt8(0);
  const metaEnd = 16 + bytes.readUInt16BE(2);
  return {
    type,
    flags: bytes.readUInt8(1),
    // A signed int32, as the real decoder gives it. The sign matters for ignorable types only.
    session: bytes.readInt32BE(8),
    id: bytes.readInt32BE(12),
    meta: type >= 0x80 ? {} : readMeta(type, bytes.subarray(16, metaEnd)),
    payload: bytes.subarray(metaEnd),
  };
}

type Draft = { -readonly [Field in keyof Meta]: Meta[Field] };

function readMeta(type: number, bytes: Buffer): Meta {
  const fields = ROWS.get(type)?.fields ?? [];
  const meta: Draft = {};
  const seen: string[] = [];
  let rest = bytes;
  while (rest.length > 0) {
    insist(rest.length >= 3, META);
    const tag = rest.toString('hex', 0, 1);
    const end = 3 + rest.readUInt16BE(1);
    insist(rest.length >= end, META);
    if (rest.readUInt8(0) < 0x80) {
      insist(tag !== '00', META);
      insist(KNOWN_FIELDS.has(tag), UNSUPPORTED);
      insist(fields.map(withoutMark).includes(tag), META);
      insist(tag === '0b' || !seen.includes(tag), META);
      insist(tag !== '01' || rest.length === bytes.length, META);
      readField(meta, tag, rest.subarray(3, end));
      seen.push(tag);
    }
    rest = rest.subarray(end);
  }
  if (type === 0x24) {
    insist(meta.code !== undefined && ![0, 1, 2, 6].includes(meta.code >> 8), PROTOCOL);
  }
  for (const field of fields)
    insist(!field.endsWith('!') || seen.includes(withoutMark(field)), META);
  insist((meta.metadata ?? []).length <= 64, META);
  insist((meta.maxFrame ?? 2 ** 24) >= (meta.maxMeta ?? 8192) + 4096, META);
  return meta;
}

function readField(meta: Draft, tag: string, value: Buffer): void {
  if (tag === '01') meta.deadline = integer(value, 4, 1);
  if (tag === '02') meta.total = integer(value, 8);
  if (tag === '03') meta.name = text(value, 1, 1024);
  if (tag === '07') meta.key = octets(value, 1, 64);
  if (tag === '08') meta.code = integer(value, 2);
  if (tag === '09') meta.text = text(value, 0, 1024);
  if (tag === '0a') meta.retryAfter = integer(value, 4);
  if (tag === '0b') {
    insist(value.length > 0 && value.length > value.readUInt8(0), META);
    const name = text(value.subarray(1, 1 + value.readUInt8(0)), 1, 255);
    const rest = text(value.subarray(1 + value.readUInt8(0)), 0, 65535);
    meta.metadata = [...(meta.metadata ?? []), [name, rest]];
  }
  if (tag === '10') meta.maxFrame = integer(value, 4, 16384, 16777215);
  if (tag === '11') meta.maxMessage = integer(value, 8);
  if (tag === '12') meta.idle = integer(value, 4);
  if (tag === '13') meta.caps = integer(value, 4);
  if (tag === '14') {
    insist(value.length === 8, META);
    meta.connectionCredit = { opens: value.readUInt32BE(0), bytes: value.readUInt32BE(4) };
  }
  if (tag === '15') {
    insist(value.length === 12, META);
    const [messages, bytes, items] = [0, 4, 8].map((at) => value.readUInt32BE(at));
    meta.sessionCredit = { messages: messages!, bytes: bytes!, items: items! };
  }
  if (tag === '16') meta.agent = text(value, 0, 128);
  if (tag === '18' || tag === '19') {
    insist(value.length === 36, META);
    const token = octets(value.subarray(0, 32), 32, 32);
    const number = value.readUInt32BE(32);
    if (tag === '18') meta.resume = { token, received: number };
    else meta.token = { token, ttl: number };
  }
  if (tag === '1a') meta.resumed = integer(value, 4);
  if (tag === '1c') meta.maxMeta = integer(value, 2, 2048);
}

function integer(value: Buffer, length: number, min = 0, max = Number.MAX_SAFE_INTEGER): number {
  insist(value.length === length, META);
  const number = BigInt(`0x${value.toString('hex')}`);
  insist(number >= BigInt(min) && number <= BigInt(max), META);
  return Number(number);
}

function text(value: Buffer, min: number, max: number): string {
  insist(value.length >= min && value.length <= max, META);
  try {
    const string = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(value);
    insist(!string.includes('\0'), META);
    return string;
  } catch {
    throw new Fault(META);
  }
}

function octets(value: Buffer, min: number, max: number): Buffer {
  insist(value.length >= min && value.length <= max, META);
  return value;
}

function withoutMark(field: string): string {
  return field.replace('!', '');
}

/** The octets of a frame, fields in the order of their tags. */
export function naiveEncode(frame: Frame): Buffer {
  const meta = naiveEncodeMeta(frame.meta);
  const header = [
    digits(frame.type, 1),
    digits(frame.flags, 1),
    digits(meta.length / 2, 2),
    digits(meta.length / 2 + frame.payload.length, 4),
    digits(frame.session, 4),
    digits(frame.id, 4),
  ];
  return Buffer.from(header.join('') + meta + frame.payload.toString('hex'), 'hex');
}

/** As hex digits, so that the code needs no arithmetic on octets. */
function naiveEncodeMeta(meta: Meta): string {
  const { connectionCredit, sessionCredit, resume, token } = meta;
  return [
    tlv(1, meta.deadline, (value) => digits(value, 4)),
    tlv(2, meta.total, (value) => digits(value, 8)),
    tlv(3, meta.name, utf8),
    tlv(7, meta.key, (value) => value.toString('hex')),
    tlv(8, meta.code, (value) => digits(value, 2)),
    tlv(9, meta.text, utf8),
    tlv(10, meta.retryAfter, (value) => digits(value, 4)),
    ...(meta.metadata ?? []).map((entry) =>
      tlv(
        11,
        entry,
        ([name, value]) => digits(utf8(name).length / 2, 1) + utf8(name) + utf8(value),
      ),
    ),
    tlv(16, meta.maxFrame, (value) => digits(value, 4)),
    tlv(17, meta.maxMessage, (value) => digits(value, 8)),
    tlv(18, meta.idle, (value) => digits(value, 4)),
    tlv(19, meta.caps, (value) => digits(value, 4)),
    tlv(20, connectionCredit, ({ opens, bytes }) => digits(opens, 4) + digits(bytes, 4)),
    tlv(
      21,
      sessionCredit,
      ({ messages, bytes, items }) => digits(messages, 4) + digits(bytes, 4) + digits(items, 4),
    ),
    tlv(22, meta.agent, utf8),
    tlv(24, resume, (value) => value.token.toString('hex') + digits(value.received, 4)),
    tlv(25, token, (value) => value.token.toString('hex') + digits(value.ttl, 4)),
    tlv(26, meta.resumed, (value) => digits(value, 4)),
    tlv(28, meta.maxMeta, (value) => digits(value, 2)),
  ].join('');
}

function tlv<T>(tag: number, value: T | undefined, encode: (value: T) => string): string {
  if (value === undefined) return '';
  const content = encode(value);
  return digits(tag, 1) + digits(content.length / 2, 2) + content;
}

function digits(value: number, octetCount: number): string {
  return value.toString(16).padStart(octetCount * 2, '0');
}

function utf8(string: string): string {
  return Buffer.from(new TextEncoder().encode(string)).toString('hex');
}
