/**
 * The list of malformed and hostile input, at a machine: octets in, and what becomes of the connection.
 * The numbers are those of PROTOCOL.md. Streams have a
 * table of their own; what concerns resuming and draining comes with them.
 */
import { describe, expect, it } from '@jest/globals';
import { DEFAULT_LIMITS } from '../../../src/protocol/index.js';
import { limitsToMeta } from '../../../src/protocol/flow/limits.js';
import {
  type Code,
  creditPayload,
  encodeFrame,
  encodeMeta,
  encodePreface,
  Flag,
  FrameType,
  HEADER_LENGTH,
  Tag,
  writeHeader,
} from '../../../src/wire/index.js';
import { SimPeer } from '../../support/sim/sim-peer.js';

const { MORE, REPLY, ONEWAY, STREAM, END } = Flag;
const LIMITS = limitsToMeta(DEFAULT_LIMITS);
const EMPTY = Buffer.alloc(0);

interface RawFrame {
  readonly flags?: number;
  readonly session?: number;
  readonly id?: number;
  readonly meta?: Buffer;
  readonly payload?: Buffer;
  /** What the header says, where that is not the truth. */
  readonly metaLength?: number;
  readonly bodyLength?: number;
}

/** A frame as nobody of ours would write it. */
function raw(type: number, frame: RawFrame = {}): Buffer {
  const { flags = 0, session = 0, id = 0, meta = EMPTY, payload = EMPTY } = frame;
  const { metaLength = meta.length, bodyLength = meta.length + payload.length } = frame;
  const header = Buffer.alloc(HEADER_LENGTH);
  writeHeader(header, 0, { type, flags, session, id }, metaLength, bodyLength);
  return Buffer.concat([header, meta, payload]);
}

/** One field of a meta. */
function field(tag: number, value: Buffer | string, length?: number): Buffer {
  const bytes = Buffer.from(value);
  const head = Buffer.from([tag, 0, 0]);
  head.writeUInt16BE(length ?? bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};
const u64 = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
};

const NAME = field(Tag.NAME, 'x');
const fields = (...parts: Buffer[]): Buffer => Buffer.concat(parts);
const { OPEN, OPENED, SEND, FRAG, ACCEPT, REJECT, CANCEL, CREDIT } = FrameType;
const kib4 = Buffer.alloc(4096);

/** What comes of it: a CLOSE with this code, the socket dropped in silence, or nothing. */
type Reaction = keyof typeof Code | 'DROP' | 'IGNORED';
type Row = readonly [number: string, input: string, octets: Buffer | Buffer[], reaction: Reaction];

function reactionOf(peer: SimPeer): string {
  if (peer.side.aborted) return 'DROP';
  return peer.closeCode ?? (peer.side.status === 'open' ? 'IGNORED' : peer.side.status);
}

function feed(peer: SimPeer, octets: Buffer | Buffer[]): void {
  peer.bytes(...(Array.isArray(octets) ? octets : [octets]));
}

describe('A listener that is spoken to for the first time', () => {
  const hello = (meta: Buffer): Buffer => raw(FrameType.HELLO, { meta });
  const limits = encodeMeta(LIMITS);
  const without = (...names: (keyof typeof LIMITS)[]): Buffer =>
    encodeMeta(
      Object.fromEntries(
        Object.entries(LIMITS).filter(([name]) => !names.includes(name as keyof typeof LIMITS)),
      ),
    );

  const preface: readonly Row[] = [
    ['M1', 'GET', Buffer.from('GET / HTTP/1.1\r\n'), 'DROP'],
    ['M1', 'PRI *', Buffer.from('PRI * HTTP/2.0\r\n'), 'DROP'],
    ['M1', 'AMQP', Buffer.from('AMQP\0\0\x09\x01'), 'DROP'],
    ['M1', 'SSH', Buffer.from('SSH-2.0-x\r\n'), 'DROP'],
    ['M1', 'one octet that is none of ours', Buffer.from([0]), 'DROP'],
    ['M2', 'a TLS ClientHello', Buffer.from([0x16, 3, 1, 0, 200]), 'DROP'],
    ['M3', 'a preface without its CR', Buffer.from('f1494e54430a01', 'hex'), 'DROP'],
    ['M5', 'version 0', encodePreface(0), 'VERSION'],
  ];

  it.each(preface)('%s: %s', (_number, _input, octets, reaction) => {
    const peer = new SimPeer('listener');

    feed(peer, octets);

    expect(reactionOf(peer)).toBe(reaction);
  });

  const greeting: readonly Row[] = [
    ['M7', 'WELCOME', raw(FrameType.WELCOME, { meta: limits }), 'STATE'],
    ['M7', 'SEND', raw(SEND, { session: 1, id: 1 }), 'STATE'],
    ['M7', 'PING', raw(FrameType.PING), 'STATE'],
    ['M7', 'an ignorable frame', raw(0x8a), 'STATE'],
    ['M8', 'a second HELLO', [hello(limits), hello(limits)], 'STATE'],
    ['M10', 'HELLO with a session', raw(FrameType.HELLO, { meta: limits, session: 1 }), 'PROTOCOL'],
    ['M10', 'HELLO with an id', raw(FrameType.HELLO, { meta: limits, id: 1 }), 'PROTOCOL'],
    ['M11', 'a HELLO of 16 MiB', raw(FrameType.HELLO, { bodyLength: 0xffffff }), 'FRAME_SIZE'],
    ['M12', 'HELLO without MAX_FRAME', hello(without('maxFrame')), 'META'],
    ['M12', 'HELLO without credit', hello(without('connectionCredit')), 'META'],
    ['M12', 'HELLO without the credit of sessions', hello(without('sessionCredit')), 'META'],
    [
      'M13',
      'MAX_FRAME 100',
      hello(fields(without('maxFrame'), field(Tag.MAX_FRAME, u32(100)))),
      'META',
    ],
    [
      'M13',
      'MAX_FRAME beyond 2^24',
      hello(fields(without('maxFrame'), field(Tag.MAX_FRAME, u32(2 ** 24)))),
      'META',
    ],
    [
      'M14',
      'MAX_MESSAGE 2^53',
      hello(fields(without('maxMessage'), field(Tag.MAX_MESSAGE, u64(2n ** 53n)))),
      'META',
    ],
    [
      'M16',
      'capabilities nobody knows',
      hello(fields(limits, field(Tag.CAPS, u32(0xfffffffe)))),
      'IGNORED',
    ],
    [
      'M17',
      'a token of 31 octets',
      hello(fields(limits, field(Tag.RESUME, Buffer.alloc(35)))),
      'META',
    ],
    [
      'M18',
      'a token nobody gave',
      hello(fields(limits, field(Tag.RESUME, Buffer.alloc(36)))),
      'IGNORED',
    ],
    [
      'M36',
      'a field that must be understood',
      hello(fields(limits, field(0x7f, 'x'))),
      'UNSUPPORTED',
    ],
    ['M37', 'a field that may be ignored', hello(fields(limits, field(0x8a, 'x'))), 'IGNORED'],
    ['M6', 'a version to come', EMPTY, 'IGNORED'],
  ];

  it.each(greeting)('%s: %s', (number, _input, octets, reaction) => {
    const peer = new SimPeer('listener');
    peer.bytes(encodePreface(number === 'M6' ? 255 : 1));

    feed(peer, number === 'M6' ? hello(limits) : octets);

    expect(reactionOf(peer)).toBe(reaction);
  });

  it('M9: a dialer that hears HELLO', () => {
    const peer = new SimPeer('dialer');

    peer.bytes(encodePreface(), hello(limits));

    expect(reactionOf(peer)).toBe('STATE');
  });

  it('a dialer that is welcomed to what it never had [IC-6.60]', () => {
    const peer = new SimPeer('dialer');

    peer.greet({ ...LIMITS, resumed: 5 });

    expect(reactionOf(peer)).toBe('PROTOCOL');
  });

  it('a listener whose dialer closes instead of introducing itself', () => {
    const peer = new SimPeer('listener');

    peer.bytes(encodePreface(), encodeFrame({ type: FrameType.CLOSE }));

    expect(peer.side.status).toBe('closed connection-rejected no');
    expect(peer.side.ended).toBe(true);
  });
});

describe('A listener with a connection', () => {
  const header: readonly Row[] = [
    ['M8', 'HELLO', encodeFrame({ type: FrameType.HELLO, meta: LIMITS }), 'STATE'],
    ['M9', 'WELCOME', encodeFrame({ type: FrameType.WELCOME, meta: LIMITS }), 'STATE'],
    [
      'M22',
      'a body beyond 2^24',
      raw(SEND, { session: 1, id: 1, bodyLength: 2 ** 24 }),
      'FRAME_SIZE',
    ],
    [
      'M23',
      'a body beyond MAX_FRAME',
      raw(SEND, { session: 1, id: 1, bodyLength: 65_537 }),
      'FRAME_SIZE',
    ],
    [
      'M24',
      'a meta beyond its body',
      raw(OPEN, { session: 3, metaLength: 9, bodyLength: 8 }),
      'META',
    ],
    [
      'M25',
      'a meta beyond MAX_META',
      raw(OPEN, { session: 3, metaLength: 8193, bodyLength: 8193 }),
      'META',
    ],
    ['M26', 'a reserved flag', raw(SEND, { session: 1, id: 1, flags: 0x20 }), 'UNSUPPORTED'],
    ['M27', 'END on SEND', raw(SEND, { session: 1, id: 1, flags: END }), 'PROTOCOL'],
    [
      'M27',
      'ONEWAY on ACCEPT',
      raw(ACCEPT, { session: 1, id: 1, flags: REPLY | ONEWAY }),
      'PROTOCOL',
    ],
    ['M28', 'a session beyond 31 bits', raw(SEND, { session: 0x80000001, id: 1 }), 'PROTOCOL'],
    ['M28', 'an id beyond 31 bits', raw(SEND, { session: 1, id: 0x80000001 }), 'PROTOCOL'],
    ...[0x00, 0x08, 0x0f, 0x13, 0x1f, 0x26, 0x7f].map(
      (type) => ['M29', `type ${type}`, raw(type, { session: 1, id: 1 }), 'UNSUPPORTED'] as const,
    ),
    [
      'M30',
      'a type that may be ignored',
      raw(0x8a, { payload: Buffer.from('x'), flags: 0xff }),
      'IGNORED',
    ],
    ['M31', 'the same beyond MAX_FRAME', raw(0x8a, { bodyLength: 65_537 }), 'FRAME_SIZE'],
  ];

  const open = (...parts: Buffer[]): Buffer => raw(OPEN, { session: 3, meta: fields(...parts) });
  const send = (...parts: Buffer[]): Buffer =>
    raw(SEND, { session: 1, id: 1, meta: fields(...parts) });
  const entry = (name: string, value: string, length = name.length): Buffer =>
    field(Tag.METADATA, Buffer.concat([Buffer.from([length]), Buffer.from(name + value)]));
  const meta: readonly Row[] = [
    ['M32', 'a field 00', open(NAME, field(0, '')), 'META'],
    ['M33', 'a field beyond its meta', open(field(Tag.NAME, 'x', 2)), 'META'],
    ['M34', 'stray octets after the last field', open(NAME, Buffer.from([1, 0])), 'META'],
    ['M35', 'a field twice', open(NAME, NAME), 'META'],
    ['M36', 'a field that must be understood', open(NAME, field(0x1d, '')), 'UNSUPPORTED'],
    ['M36', 'a reserved field', send(field(0x06, 'text/plain')), 'UNSUPPORTED'],
    ['M37', 'a field that may be ignored', open(NAME, field(0x8a, 'x')), 'IGNORED'],
    ['M37', 'the same in a message', send(field(0x8a, 'x')), 'IGNORED'],
    ['M38', 'DEADLINE after another field', open(NAME, field(Tag.DEADLINE, u32(5))), 'META'],
    ['M38', 'DEADLINE of three octets', send(field(Tag.DEADLINE, Buffer.alloc(3, 1))), 'META'],
    ['M38', 'DEADLINE 0', send(field(Tag.DEADLINE, u32(0))), 'META'],
    ['M39', 'a name that is not UTF-8', open(field(Tag.NAME, Buffer.from([0xff]))), 'META'],
    ['M39', 'a name with U+0000', open(field(Tag.NAME, 'a\0b')), 'META'],
    ['M39', 'an empty name', open(field(Tag.NAME, '')), 'META'],
    ['M39', 'no name', open(), 'META'],
    [
      'M40',
      '65 metadata entries',
      send(...Array.from({ length: 65 }, () => entry('k', 'v'))),
      'META',
    ],
    ['M40', 'an entry shorter than its name', send(entry('k', 'v', 3)), 'META'],
    ['M41', '__proto__ as a name', send(entry('__proto__', 'v')), 'IGNORED'],
    ['M95', 'a key of 65 octets', send(field(Tag.KEY, Buffer.alloc(65))), 'META'],
    ['M95', 'an empty key', send(field(Tag.KEY, '')), 'META'],
  ];

  const sessions: readonly Row[] = [
    [
      'M43',
      'OPEN with a number of ours [IC-4.5]',
      raw(OPEN, { session: 2, meta: NAME }),
      'PROTOCOL',
    ],
    [
      'M44',
      'OPEN with a number that was used [IC-4.5]',
      raw(OPEN, { session: 1, meta: NAME }),
      'PROTOCOL',
    ],
    ['M47', 'OPENED for a session never opened', raw(OPENED, { session: 4 }), 'PROTOCOL'],
    ['M47', 'END for a session never opened', raw(FrameType.END, { session: 5 }), 'PROTOCOL'],
    ['M48', 'OPENED by who opened', raw(OPENED, { session: 1 }), 'PROTOCOL'],
    [
      'M48',
      'a second OPENED',
      [raw(OPENED, { session: 2 }), raw(OPENED, { session: 2 })],
      'PROTOCOL',
    ],
    ['M49', 'SEND on a session never opened', raw(SEND, { session: 5, id: 1 }), 'PROTOCOL'],
    [
      'M50',
      'SEND on a closed session',
      [
        raw(FrameType.END, { session: 1, meta: field(Tag.CODE, Buffer.from([3, 5])) }),
        raw(SEND, { session: 1, id: 1 }),
      ],
      'IGNORED',
    ],
    [
      'M51',
      'SEND after END [IC-6.24]',
      [
        raw(SEND, { session: 1, id: 1 }),
        raw(FrameType.END, { session: 1 }),
        raw(SEND, { session: 1, id: 2 }),
      ],
      'PROTOCOL',
    ],
    [
      'M51',
      'a second END [IC-6.28]',
      [
        raw(SEND, { session: 1, id: 1 }),
        raw(FrameType.END, { session: 1 }),
        raw(FrameType.END, { session: 1 }),
      ],
      'PROTOCOL',
    ],
    ['–', 'SEND before OPENED [IC-6.31]', raw(SEND, { session: 2, id: 1 }), 'PROTOCOL'],
  ];

  const messages: readonly Row[] = [
    ['M52', 'id 0', raw(SEND, { session: 1, id: 0 }), 'PROTOCOL'],
    [
      'M52',
      'an id twice [IC-4.6]',
      [raw(SEND, { session: 1, id: 1 }), raw(SEND, { session: 1, id: 1 })],
      'PROTOCOL',
    ],
    [
      'M52',
      'an id left out [IC-4.6]',
      [raw(SEND, { session: 1, id: 1 }), raw(SEND, { session: 1, id: 3 })],
      'PROTOCOL',
    ],
    [
      'M57',
      'FRAG with a meta',
      raw(FRAG, { session: 1, id: 1, meta: field(0x8a, 'x'), payload: kib4 }),
      'PROTOCOL',
    ],
    [
      'M58',
      'MORE with less than 4096 octets',
      raw(SEND, { session: 1, id: 1, flags: MORE, payload: kib4.subarray(1) }),
      'PROTOCOL',
    ],
    [
      'M59',
      'an empty FRAG',
      [
        raw(SEND, { session: 1, id: 1, flags: MORE, payload: kib4 }),
        raw(FRAG, { session: 1, id: 1 }),
      ],
      'PROTOCOL',
    ],
    ['M65', 'ACCEPT without REPLY', raw(ACCEPT, { session: 1, id: 1 }), 'PROTOCOL'],
    [
      'M65',
      'REJECT without REPLY',
      raw(REJECT, { session: 1, id: 1, meta: field(Tag.CODE, Buffer.from([4, 1])) }),
      'PROTOCOL',
    ],
    [
      'M66',
      'ACCEPT of a message never sent',
      raw(ACCEPT, { session: 1, id: 1, flags: REPLY }),
      'PROTOCOL',
    ],
    [
      'M73',
      'ONEWAY and STREAM',
      raw(SEND, { session: 1, id: 1, flags: ONEWAY | STREAM }),
      'PROTOCOL',
    ],
    ['M75', 'CANCEL of a message never sent', raw(CANCEL, { session: 1, id: 1 }), 'PROTOCOL'],
    ...[0x0000, 0x0101, 0x0201, 0x0601].map(
      (code) =>
        [
          'M76',
          `REJECT with the code ${code}`,
          raw(REJECT, {
            session: 2,
            id: 1,
            flags: REPLY,
            meta: field(Tag.CODE, Buffer.from([code >> 8, code & 255])),
          }),
          'PROTOCOL',
        ] as const,
    ),
    ['M76', 'REJECT without a code', raw(REJECT, { session: 2, id: 1, flags: REPLY }), 'PROTOCOL'],
  ];

  const connection: readonly Row[] = [
    [
      'M77',
      'CREDIT of five octets',
      raw(CREDIT, { session: 1, payload: Buffer.alloc(5) }),
      'PROTOCOL',
    ],
    [
      'M79',
      'CREDIT that jumps too far',
      raw(CREDIT, { payload: creditPayload(1024, 2 ** 30 + 2) }),
      'FLOW',
    ],
    [
      'M80',
      'an acknowledgement of frames never sent',
      raw(CREDIT, { id: 99, payload: creditPayload(0, 0) }),
      'PROTOCOL',
    ],
    [
      'M81',
      'CREDIT for a session never opened',
      raw(CREDIT, { session: 5, payload: creditPayload(1, 1) }),
      'PROTOCOL',
    ],
    ['M83', 'PONG that nobody asked for', raw(FrameType.PONG, { id: 9 }), 'IGNORED'],
    ['M86', 'GOAWAY after GOAWAY', [raw(FrameType.GOAWAY), raw(FrameType.GOAWAY)], 'IGNORED'],
    ['M32', 'GOAWAY with a field 00', raw(FrameType.GOAWAY, { meta: field(0, '') }), 'META'],
    [
      '–',
      'a frame with several faults [IC-1.3]',
      raw(FrameType.HELLO, { flags: 0x20, session: 0x80000001, meta: field(0, '') }),
      'UNSUPPORTED',
    ],
    [
      'M96',
      'a reason that steers a terminal',
      encodeFrame({ type: FrameType.END, session: 1, meta: { code: 0x8000, text: '\x1b[2J\n' } }),
      'IGNORED',
    ],
  ];

  /** A listener that has accepted session 1 and opened session 2, with a message sent into it. */
  function connected(): SimPeer {
    const peer = SimPeer.greeted('listener');
    peer.bytes(raw(OPEN, { session: 1, meta: NAME }));
    peer.side.session('ours').send('x');
    peer.flush();
    peer.lines();
    return peer;
  }

  it.each([...header, ...meta, ...sessions, ...messages, ...connection])(
    '%s: %s',
    (_number, _input, octets, reaction) => {
      const whole = connected();
      const dribbled = connected();

      feed(whole, octets);
      for (const octet of Buffer.concat([octets].flat())) dribbled.bytes(Buffer.from([octet]));

      expect(reactionOf(whole)).toBe(reaction);
      expect(reactionOf(dribbled)).toBe(reaction);
    },
  );

  it('M41, M96: gives the application what was sent, as it was [IC-5.12]', () => {
    const peer = connected();

    peer.bytes(send(entry('__proto__', 'v'), entry('constructor', '')));
    peer.bytes(
      encodeFrame({ type: FrameType.END, session: 1, meta: { code: 0x8000, text: '\x1b[2J\n' } }),
    );

    const [session] = peer.side.incoming;
    expect(session?.last.incoming.metadata).toEqual([
      ['__proto__', 'v'],
      ['constructor', ''],
    ]);
    expect(session?.closed?.failure?.reason).toBe('\x1b[2J\n');
  });
});

describe('What nobody knows yet', () => {
  const unknown = [0x81, 0x8a, 0x9a, 0xaa, 0xba, 0xca, 0xda, 0xea, 0xfa, 0xff];
  const hello = encodeFrame({ type: FrameType.HELLO, meta: LIMITS });
  const told = (peer: SimPeer): string[] => peer.lines().filter((line) => !line.startsWith('CR'));

  it.each(unknown)('is ignored alike, grease or not: %d [IC-16.3]', (value) => {
    const peer = new SimPeer('listener');
    const plain = new SimPeer('listener');
    const grease = field(value, 'x');

    peer.bytes(encodePreface(), raw(FrameType.HELLO, { meta: fields(encodeMeta(LIMITS), grease) }));
    plain.bytes(encodePreface(), hello);
    expect(told(peer)).toEqual(told(plain));
    for (const each of [peer, plain]) {
      const ignorable = each === peer ? [grease] : [];
      each.bytes(raw(OPEN, { session: 1, meta: fields(NAME, ...ignorable) }));
      for (let id = 1; id <= 900; id++) {
        if (each === peer) each.bytes(raw(value, { flags: 0xff, session: 0x80000000, id }));
      }
      each.bytes(raw(SEND, { session: 1, id: 1, meta: fields(...ignorable) }));
      each.side.last.last.accept();
      each.flush();
    }

    expect(told(peer)).toEqual(told(plain));
    expect(peer.side.connection.received).toBe(plain.side.connection.received);
  });

  it('among the bits of CAPS is ignored alike [IC-16.3]', () => {
    const [plain, ...greased] = [0, 0x80000000, 0x2, 0x7ffffffe].map((caps) => {
      const peer = new SimPeer('listener');
      peer.greet({ ...LIMITS, caps });
      return told(peer);
    });

    for (const lines of greased) expect(lines).toEqual(plain);
  });
});
