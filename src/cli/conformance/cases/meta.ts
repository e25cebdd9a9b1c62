/** Metas that no frame may have, and some that look odd and are legal. */
import { Code, FrameType, type Meta, Tag } from '../../../wire/index.js';
import type { ConformanceCase } from '../conformance-case.js';
import { converse } from '../conversation.js';
import { demand } from '../mismatch.js';
import { entry, field, fields, frame, reject, send, u16, u32, u64 } from '../octets.js';
import { type Ground, harmless, violation } from './rows.js';

const { OPEN, SEND, END, ACCEPT } = FrameType;
const NAME = field(Tag.NAME, 't.echo');

/** A new session with this meta. */
function opening(...parts: Buffer[]): (ground: Ground) => Buffer[] {
  return ({ conversation }) => [
    frame(OPEN, { session: conversation.nextSession(), meta: fields(...parts) }),
  ];
}

/** The first message of the session with this meta. */
function sending(...parts: Buffer[]): (ground: Ground) => Buffer[] {
  return ({ session }) => [frame(SEND, { session, id: 1, meta: fields(...parts) })];
}

/** The end of the session with this meta. */
function ending(...parts: Buffer[]): (ground: Ground) => Buffer[] {
  return ({ session }) => [frame(END, { session, meta: fields(...parts) })];
}

export const metaCases: readonly ConformanceCase[] = [
  violation('malformed/M32.a', ['5.3'], 'OPEN with a field 0x00', opening(NAME, field(0)), 'META'),
  violation('malformed/M32.b', ['5.3'], 'SEND with a field 0x00', sending(field(0)), 'META'),
  violation(
    'malformed/M33.a',
    ['5.5'],
    'a field that ends after the meta of OPEN',
    opening(field(Tag.NAME, 'x', 2)),
    'META',
  ),
  violation(
    'malformed/M33.b',
    ['5.5'],
    'an ignorable field that ends after the meta of SEND',
    sending(field(0x8a, 'x', 0xffff)),
    'META',
  ),
  violation(
    'malformed/M34.a',
    ['5.5'],
    'one stray octet at the end of the meta',
    opening(NAME, Buffer.from([1])),
    'META',
  ),
  violation(
    'malformed/M34.b',
    ['5.5'],
    'two stray octets at the end of the meta',
    opening(NAME, Buffer.from([1, 0])),
    'META',
  ),
  violation('malformed/M35.a', ['5.6'], 'NAME twice', opening(NAME, NAME), 'META'),
  violation(
    'malformed/M35.b',
    ['5.6', '5.7'],
    'DEADLINE twice',
    sending(field(Tag.DEADLINE, u32(5000)), field(Tag.DEADLINE, u32(5000))),
    'META',
  ),
  violation(
    'malformed/M35.c',
    ['5.6'],
    'CODE twice',
    ending(field(Tag.CODE, u16(0)), field(Tag.CODE, u16(0))),
    'META',
  ),
  violation(
    'malformed/M36.a',
    ['5.2'],
    'OPEN with the unknown field 0x1d',
    opening(NAME, field(0x1d)),
    'UNSUPPORTED',
  ),
  violation(
    'malformed/M36.b',
    ['5.2'],
    'SEND with the unknown field 0x7f',
    sending(field(0x7f)),
    'UNSUPPORTED',
  ),
  violation(
    'malformed/M36.c',
    ['5.2'],
    'SEND with the reserved field 0x06',
    sending(field(0x06, 'text/plain')),
    'UNSUPPORTED',
  ),
  violation(
    'malformed/M36.d',
    ['5.1'],
    'SEND with NAME, which has its place on OPEN',
    sending(NAME),
    'META',
  ),
  violation(
    'malformed/M36.e',
    ['5.1'],
    'OPEN with CODE, which has its place on END',
    opening(NAME, field(Tag.CODE, u16(0))),
    'META',
  ),
  violation(
    'malformed/M36.f',
    ['5.1'],
    'END with MAX_FRAME, which has its place on HELLO',
    ending(field(Tag.MAX_FRAME, u32(65_536))),
    'META',
  ),
  harmless(
    'malformed/M37.a',
    ['5.4'],
    'OPEN with the fields 0x80 and 0xff, twice each',
    opening(NAME, field(0x80, 'x'), field(0xff), field(0x80), field(0xff, 'y')),
  ),
  harmless('malformed/M37.b', ['5.4'], 'SEND with the field 0x8a', sending(field(0x8a, 'x'))),
  violation(
    'malformed/M38.a',
    ['5.7'],
    'OPEN with DEADLINE after NAME',
    opening(NAME, field(Tag.DEADLINE, u32(5000))),
    'META',
  ),
  violation(
    'malformed/M38.b',
    ['5.7'],
    'SEND with DEADLINE after an ignorable field',
    sending(field(0x8a), field(Tag.DEADLINE, u32(5000))),
    'META',
  ),
  violation(
    'malformed/M38.c',
    ['5.1'],
    'DEADLINE of 0 ms',
    sending(field(Tag.DEADLINE, u32(0))),
    'META',
  ),
  violation(
    'malformed/M38.d',
    ['5.5'],
    'DEADLINE of 3 octets',
    sending(field(Tag.DEADLINE, Buffer.alloc(3, 1))),
    'META',
  ),
  violation(
    'malformed/M38.e',
    ['5.5'],
    'DEADLINE of 5 octets',
    sending(field(Tag.DEADLINE, Buffer.alloc(5, 1))),
    'META',
  ),
  violation(
    'malformed/M39.a',
    ['5.9'],
    'NAME that is not UTF-8',
    opening(field(Tag.NAME, Buffer.from([0x74, 0xff]))),
    'META',
  ),
  violation(
    'malformed/M39.b',
    ['5.9'],
    'NAME with U+0000',
    opening(field(Tag.NAME, 't\0echo')),
    'META',
  ),
  violation(
    'malformed/M39.c',
    ['5.9'],
    'NAME with half of a surrogate pair, in octets ed a0 80',
    opening(field(Tag.NAME, Buffer.from([0xed, 0xa0, 0x80]))),
    'META',
  ),
  violation('malformed/M39.d', ['5.1'], 'an empty NAME', opening(field(Tag.NAME)), 'META'),
  violation(
    'malformed/M39.e',
    ['5.1'],
    'NAME of 1025 octets',
    opening(field(Tag.NAME, 'n'.repeat(1025))),
    'META',
  ),
  violation('malformed/M39.f', ['6.1'], 'OPEN without NAME', opening(), 'META'),
  violation(
    'malformed/M39.g',
    ['5.9'],
    'TEXT that is not UTF-8',
    ending(field(Tag.TEXT, Buffer.from([0xc3]))),
    'META',
  ),
  violation(
    'malformed/M39.h',
    ['5.1'],
    'TEXT of 1025 octets',
    ending(field(Tag.TEXT, 't'.repeat(1025))),
    'META',
  ),
  violation(
    'malformed/M39.i',
    ['5.9'],
    'a METADATA value that is not UTF-8',
    sending(
      field(Tag.METADATA, Buffer.concat([Buffer.from([1]), Buffer.from('k'), Buffer.from([0xff])])),
    ),
    'META',
  ),
  violation(
    'malformed/M40.a',
    ['5.8'],
    '65 METADATA fields',
    sending(...Array.from({ length: 65 }, () => entry('k', 'v'))),
    'META',
  ),
  violation(
    'malformed/M40.b',
    ['5.1'],
    'METADATA with an empty name',
    sending(entry('', 'v')),
    'META',
  ),
  violation(
    'malformed/M40.c',
    ['5.5'],
    'METADATA with a name longer than the field',
    sending(entry('k', 'v', 3)),
    'META',
  ),
  violation(
    'malformed/M40.d',
    ['5.5'],
    'METADATA of 0 octets',
    sending(field(Tag.METADATA)),
    'META',
  ),
  violation(
    'malformed/M14.b',
    ['5.1'],
    'TOTAL of 2^53',
    sending(field(Tag.TOTAL, u64(2n ** 53n))),
    'META',
  ),
  violation(
    'malformed/M14.c',
    ['5.5'],
    'TOTAL of 4 octets',
    sending(field(Tag.TOTAL, u32(0))),
    'META',
  ),
  violation(
    'malformed/M35.d',
    ['5.5'],
    'CODE of one octet',
    ending(field(Tag.CODE, Buffer.from([0]))),
    'META',
  ),
  violation(
    'malformed/M90',
    ['5.2'],
    'SEND with the reserved field 0x0c',
    sending(field(0x0c, Buffer.alloc(9))),
    'UNSUPPORTED',
  ),
  violation('malformed/M95.a', ['5.1'], 'an empty KEY', sending(field(Tag.KEY)), 'META'),
  violation(
    'malformed/M95.b',
    ['5.1'],
    'KEY of 65 octets',
    sending(field(Tag.KEY, Buffer.alloc(65))),
    'META',
  ),
  harmless('malformed/M95.c', ['5.1'], 'KEY of 1 and of 64 octets', ({ session }) => [
    send(session, 1, { meta: field(Tag.KEY, 'k') }),
    send(session, 2, { meta: field(Tag.KEY, Buffer.alloc(64)) }),
  ]),
  ...[0x0000, 0x0101, 0x0201, 0x0601].map((code, index) =>
    violation(
      `malformed/M76.${'abcd'[index]}`,
      ['6.38'],
      `REJECT with a code of class ${code.toString(16).padStart(4, '0').slice(0, 2)}`,
      async ({ conversation }) => [reject((await conversation.reversed()).back, 1, code)],
      'PROTOCOL',
    ),
  ),
  violation(
    'malformed/M76.e',
    ['6.38'],
    'REJECT without CODE',
    async ({ conversation }) => {
      const { back } = await conversation.reversed();
      return [frame(FrameType.REJECT, { session: back, id: 1, flags: 0x02 })];
    },
    'PROTOCOL',
  ),
  violation(
    'malformed/M36.g',
    ['5.1'],
    'ACCEPT with CODE, which has its place on REJECT',
    async ({ conversation }) => {
      const { back } = await conversation.reversed();
      const meta = field(Tag.CODE, u16(Code.FAILED));
      return [frame(ACCEPT, { session: back, id: 1, flags: 0x02, meta })];
    },
    'META',
  ),
  echoed('malformed/M41', ['5.12'], '`__proto__` as the name of a METADATA', [
    ['__proto__', 'a'],
    ['constructor', 'b'],
  ]),
  echoed(
    'messages/metadata',
    ['5.8', '5.12'],
    '64 METADATA fields with names of 1 to 255 octets, and empty values',
    Array.from({ length: 64 }, (_, index) => [`${index}-`.padEnd(index === 0 ? 255 : 2, 'n'), '']),
  ),
];

/** A message with METADATA. The echo must return the METADATA unchanged. */
function echoed(
  id: string,
  clauses: readonly string[],
  input: string,
  metadata: NonNullable<Meta['metadata']>,
): ConformanceCase {
  return {
    id,
    clauses,
    sentence: `${input}: delivered as data`,
    run: async (subject) => {
      const conversation = await converse(subject);
      const session = await conversation.open('t.echo');
      conversation.peer.write(send(session, 1, { meta: { metadata } }));
      const unit = await conversation.accepts(session, 1, '');
      const sorted = (all: Meta['metadata'] = []): string =>
        JSON.stringify(all.map((each) => each.join('=')).toSorted((a, b) => a.localeCompare(b)));
      const actual = sorted(unit.meta.metadata);
      demand(actual === sorted(metadata), 'the METADATA that was sent', actual);
    },
  };
}
