/** HELLO and WELCOME that break a rule, and some that look odd and are legal. */
import { encodeMeta, type Meta, Tag } from '../../../wire/index.js';
import type { ConformanceCase } from '../conformance-case.js';
import { GENEROUS } from '../limits.js';
import { field, fields, u16, u32, u64 } from '../octets.js';
import { greeting } from './rows.js';

/** The suite's greeting without the fields of these names, and with other fields added. */
function but(names: readonly (keyof Meta)[], ...more: Buffer[]): { meta: Buffer } {
  const rest = Object.entries(GENEROUS).filter(([name]) => !names.some((each) => each === name));
  return { meta: fields(encodeMeta(Object.fromEntries(rest)), ...more) };
}

const connectionCredit = (bytes: number): Buffer => field(Tag.CONNECTION_CREDIT, u32(1024, bytes));
const sessionCredit = (messages: number, bytes: number): Buffer =>
  field(Tag.SESSION_CREDIT, u32(messages, bytes, 32));

export const greetingCases: readonly ConformanceCase[] = [
  greeting('malformed/M10.a', ['6.1'], 'with a session', { ...but([]), session: 1 }, 'PROTOCOL'),
  greeting('malformed/M10.b', ['6.1'], 'with an id', { ...but([]), id: 1 }, 'PROTOCOL'),
  greeting(
    'malformed/M11',
    ['2.7', '4.2', '6.7'],
    'that announces 16385 octets, and none comes',
    { bodyLength: 16_385 },
    'FRAME_SIZE',
  ),
  greeting(
    'handshake/largest',
    ['2.7', '6.7'],
    'of 16384 octets',
    { ...but([]), payload: Buffer.alloc(16_384 - but([]).meta.length) },
    'taken',
  ),
  greeting('malformed/M12.a', ['6.4', '6.8'], 'without MAX_FRAME', but(['maxFrame']), 'META'),
  greeting(
    'malformed/M12.b',
    ['6.4', '6.8'],
    'without CONNECTION_CREDIT',
    but(['connectionCredit']),
    'META',
  ),
  greeting(
    'malformed/M12.c',
    ['6.4', '6.8'],
    'without SESSION_CREDIT',
    but(['sessionCredit']),
    'META',
  ),
  greeting(
    'malformed/M12.d',
    ['5.5'],
    'with CONNECTION_CREDIT of 4 octets',
    but(['connectionCredit'], field(Tag.CONNECTION_CREDIT, u32(1))),
    'META',
  ),
  greeting(
    'malformed/M12.e',
    ['5.5'],
    'with SESSION_CREDIT of 8 octets',
    but(['sessionCredit'], field(Tag.SESSION_CREDIT, u32(1, 2 ** 20))),
    'META',
  ),
  greeting('malformed/M12.f', ['6.4'], 'without any field', {}, 'META'),
  greeting(
    'malformed/M13.a',
    ['5.1'],
    'with MAX_FRAME 16383',
    but(['maxFrame'], field(Tag.MAX_FRAME, u32(16_383))),
    'META',
  ),
  greeting(
    'malformed/M13.b',
    ['5.1'],
    'with MAX_FRAME 2^24',
    but(['maxFrame'], field(Tag.MAX_FRAME, u32(2 ** 24))),
    'META',
  ),
  greeting(
    'malformed/M13.c',
    ['5.10'],
    'with MAX_FRAME one below MAX_META + 4096',
    but(
      ['maxFrame', 'maxMeta'],
      field(Tag.MAX_FRAME, u32(24_095)),
      field(Tag.MAX_META, u16(20_000)),
    ),
    'META',
  ),
  greeting(
    'malformed/M13.d',
    ['5.1'],
    'with MAX_META 2047',
    but(['maxMeta'], field(Tag.MAX_META, u16(2047))),
    'META',
  ),
  greeting(
    'malformed/M14.a',
    ['5.1'],
    'with MAX_MESSAGE 2^53',
    but(['maxMessage'], field(Tag.MAX_MESSAGE, u64(2n ** 53n))),
    'META',
  ),
  greeting(
    'malformed/M15',
    ['5.2'],
    'with the reserved field 0x17',
    but([], field(0x17, 'basic')),
    'UNSUPPORTED',
  ),
  greeting(
    'malformed/M16',
    ['16.1'],
    'with bits of CAPS that PROTOCOL.md does not define',
    but(['caps'], field(Tag.CAPS, u32(0xfffffff8))),
    'taken',
  ),
  greeting(
    'malformed/M17.a',
    ['5.1', '5.5'],
    'with RESUME whose token has 31 octets',
    but([], field(Tag.RESUME, Buffer.alloc(35))),
    'META',
  ),
  {
    ...greeting(
      'malformed/M17.b',
      ['5.1'],
      'with RESUME, which has no place on WELCOME',
      but([], field(Tag.RESUME, Buffer.alloc(36))),
      'META',
    ),
    role: 'dialer',
  },
  greeting(
    'malformed/M37.c',
    ['5.4'],
    'with ignorable fields',
    but([], field(0x8a, 'x'), field(0xff)),
    'taken',
  ),
  greeting(
    'malformed/M36.h',
    ['5.2'],
    'with the unknown field 0x7f',
    but([], field(0x7f)),
    'UNSUPPORTED',
  ),
  greeting(
    'malformed/M36.i',
    ['5.1'],
    'with NAME, which has its place on OPEN',
    but([], field(Tag.NAME, 'x')),
    'META',
  ),
  greeting(
    'malformed/M39.j',
    ['5.9'],
    'with AGENT that is not UTF-8',
    but(['agent'], field(Tag.AGENT, Buffer.from([0xff]))),
    'META',
  ),
  greeting(
    'malformed/M39.k',
    ['5.1'],
    'with AGENT of 129 octets',
    but(['agent'], field(Tag.AGENT, 'a'.repeat(129))),
    'META',
  ),
  greeting(
    'malformed/M99.a',
    ['6.5'],
    'with a connection credit below MAX_FRAME',
    but(['connectionCredit'], connectionCredit(65_535)),
    'META',
  ),
  greeting(
    'malformed/M99.b',
    ['6.5'],
    'with a connection credit one below 2 x L',
    {
      meta: encodeMeta({
        ...GENEROUS,
        maxFrame: 16_384,
        connectionCredit: { opens: 1, bytes: 32_767 },
      }),
    },
    'META',
  ),
  greeting(
    'malformed/M99.c',
    ['6.5'],
    'with a connection credit above 2^30',
    but(['connectionCredit'], connectionCredit(2 ** 30 + 1)),
    'META',
  ),
  greeting(
    'malformed/M99.d',
    ['6.5'],
    'with a session credit below MAX_FRAME',
    but(['sessionCredit'], sessionCredit(32, 65_535)),
    'META',
  ),
  greeting(
    'malformed/M99.e',
    ['6.5'],
    'with a session credit above 2^30',
    but(['sessionCredit'], sessionCredit(32, 2 ** 30 + 1)),
    'META',
  ),
  greeting(
    'malformed/M99.f',
    ['6.6'],
    'with a credit of more than 2^30 messages',
    but(['sessionCredit'], sessionCredit(2 ** 30 + 1, 2 ** 20)),
    'META',
  ),
  greeting(
    'handshake/least-credit',
    ['6.5'],
    'with frames of 16384 octets and a credit of 2 x L',
    {
      meta: encodeMeta({
        ...GENEROUS,
        maxFrame: 16_384,
        connectionCredit: { opens: 1, bytes: 32_768 },
        sessionCredit: { messages: 1, bytes: 32_768, items: 1 },
      }),
    },
    'taken',
  ),
  {
    ...greeting(
      'malformed/M111',
      ['6.60'],
      'with RESUMED, although HELLO had no RESUME',
      but([], field(Tag.RESUMED, u32(0))),
      'PROTOCOL',
    ),
    role: 'dialer',
  },
];
