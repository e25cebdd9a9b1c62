import { describe, expect, it } from '@jest/globals';
import {
  Code,
  DEADLINE_LENGTH,
  EMPTY_META,
  FrameType,
  MAX_META_LENGTH,
  NEVER_RETRY,
  decodeMeta,
  encodeMeta,
  writeDeadline,
} from '../../src/wire/index.js';
import type { Meta } from '../../src/wire/index.js';
import { fromHex } from '../support/codec/hex.js';
import { refusalOf } from '../support/codec/collect.js';

const key = Buffer.from('key');
const token = Buffer.alloc(32, 1);

function decode(type: number, hex: string): Meta {
  const bytes = fromHex(hex);
  return decodeMeta(type, bytes, 0, bytes.length);
}

describe('encodeMeta', () => {
  it('makes nothing of no fields', () => {
    expect(encodeMeta({})).toHaveLength(0);
    expect(encodeMeta(EMPTY_META)).toHaveLength(0);
  });

  it('writes the fields in the order of their tags, whatever the order they were given in', () => {
    const meta = encodeMeta({ key, total: 1, deadline: 2 });

    expect(meta).toEqual(fromHex('01 0004 00000002  02 0008 0000000000000001  07 0003 6b6579'));
  });

  it('takes the largest values', () => {
    const meta: Meta = {
      deadline: 0xffffffff,
      total: Number.MAX_SAFE_INTEGER,
      key: Buffer.alloc(64, 7),
      metadata: Array.from({ length: 64 }, () => ['n'.repeat(255), 'v'.repeat(700)] as const),
    };
    const bytes = encodeMeta(meta);

    expect(decodeMeta(FrameType.SEND, bytes, 0, bytes.length)).toEqual(meta);
  });

  it('fills a meta to the last octet', () => {
    const value = 'v'.repeat(MAX_META_LENGTH - 3 - 2);

    expect(encodeMeta({ metadata: [['n', value]] })).toHaveLength(MAX_META_LENGTH);
  });

  it.each<[string, Meta, string]>([
    [
      'a deadline of 0',
      { deadline: 0 },
      'Field DEADLINE is 0; it must be an integer from 1 to 4294967295.',
    ],
    [
      'half a millisecond',
      { deadline: 0.5 },
      'Field DEADLINE is 0.5; it must be an integer from 1 to 4294967295.',
    ],
    [
      'a deadline that is no number',
      { deadline: NaN },
      'Field DEADLINE is NaN; it must be an integer from 1 to 4294967295.',
    ],
    [
      'a total of 2^53',
      { total: 2 ** 53 },
      'Field TOTAL is 9007199254740992; it must be an integer from 0 to 9007199254740991.',
    ],
    ['an empty name', { name: '' }, 'Field NAME is 0 octets long; it must be 1 to 1024.'],
    [
      'a name of 1025 octets',
      { name: 'é'.repeat(512) + 'e' },
      'Field NAME is 1025 octets long; it must be 1 to 1024.',
    ],
    ['a name with U+0000', { name: 'a\0' }, 'Field NAME contains U+0000.'],
    [
      'a name with half a surrogate pair',
      { name: 'a\ud800' },
      'Field NAME has half of a surrogate pair in it.',
    ],
    ['an empty key', { key: Buffer.alloc(0) }, 'Field KEY is 0 octets long; it must be 1 to 64.'],
    [
      'a key of 65 octets',
      { key: Buffer.alloc(65) },
      'Field KEY is 65 octets long; it must be 1 to 64.',
    ],
    [
      'a code of 17 bits',
      { code: 0x10000 },
      'Field CODE is 65536; it must be an integer from 0 to 65535.',
    ],
    [
      '65 metadata entries',
      { metadata: Array.from({ length: 65 }, () => ['n', ''] as const) },
      'A meta has 65 METADATA entries; at most 64 are allowed.',
    ],
    [
      'a metadata name of 256 octets',
      { metadata: [['n'.repeat(256), '']] },
      'Field METADATA is 256 octets long; it must be 1 to 255.',
    ],
    [
      'metadata one octet too long',
      { metadata: [['n', 'v'.repeat(65_531)]] },
      'Field METADATA makes the meta 65536 octets long, more than 65535.',
    ],
    [
      'a frame limit of 16383',
      { maxFrame: 16_383 },
      'Field MAX_FRAME is 16383; it must be an integer from 16384 to 16777215.',
    ],
    [
      'a meta limit without room for a fragment',
      { maxFrame: 16_384, maxMeta: 12_289 },
      'MAX_FRAME is 16384; with this MAX_META it must be at least 16385.',
    ],
    [
      'a meta limit of 2047',
      { maxMeta: 2047 },
      'Field MAX_META is 2047; it must be an integer from 2048 to 65535.',
    ],
    [
      'a negative credit',
      { connectionCredit: { opens: 1, bytes: -1 } },
      'Field CONNECTION_CREDIT is -1; it must be an integer from 0 to 4294967295.',
    ],
    [
      'a token of 31 octets',
      { token: { token: token.subarray(1), ttl: 1 } },
      'Field TOKEN is 31 octets long; it must be 32 to 32.',
    ],
    [
      'a count of 33 bits',
      { resume: { token, received: 2 ** 32 } },
      'Field RESUME is 4294967296; it must be an integer from 0 to 4294967295.',
    ],
  ])('refuses %s', (_, meta, sentence) => {
    expect(refusalOf(() => encodeMeta(meta))).toEqual({ code: Code.META, message: sentence });
  });
});

describe('decodeMeta', () => {
  it('returns one shared, frozen value for a meta without fields', () => {
    expect(decode(FrameType.SEND, '')).toBe(EMPTY_META);
    expect(decode(FrameType.ACCEPT, '')).toBe(EMPTY_META);
    expect(Object.isFrozen(EMPTY_META)).toBe(true);
  });

  it('reads only between start and end', () => {
    const bytes = fromHex('ff ff 01 00 04 00 00 13 88 ff');

    expect(decodeMeta(FrameType.SEND, bytes, 2, 9)).toEqual({ deadline: 5000 });
  });

  it('keeps nothing of the bytes it was given', () => {
    const bytes = Buffer.concat([encodeMeta({ key, metadata: [['n', 'v']] })]);
    const meta = decodeMeta(FrameType.SEND, bytes, 0, bytes.length);

    bytes.fill(0);

    expect(meta).toEqual({ key, metadata: [['n', 'v']] });
  });

  it('keeps no token in the memory it came in', () => {
    const limits = {
      maxFrame: 65_536,
      connectionCredit: { opens: 1, bytes: 1 },
      sessionCredit: { messages: 1, bytes: 1, items: 1 },
    };
    const bytes = encodeMeta({ ...limits, token: { token, ttl: 5 } });
    const meta = decodeMeta(FrameType.WELCOME, bytes, 0, bytes.length);

    bytes.fill(0);

    expect(meta.token).toEqual({ token: Buffer.alloc(32, 1), ttl: 5 });
  });

  it.each([
    ['another field of seven octets', '07 00 04 00 00 00 01', { key: Buffer.from([0, 0, 0, 1]) }],
    ['two short fields', '07 00 01 aa 80 00 00', { key: Buffer.from([0xaa]) }],
  ])('does not take %s for a deadline, and skips what it may [IC-5.4]', (_, hex, meta) => {
    expect(decode(FrameType.SEND, hex)).toEqual(meta);
  });

  it('takes a text of the largest size, and an empty one', () => {
    const text = '\u20ac'.repeat(341) + 'x';
    const bytes = encodeMeta({ text });

    expect(decodeMeta(FrameType.CLOSE, bytes, 0, bytes.length)).toEqual({ text });
    expect(decode(FrameType.CLOSE, '09 00 00')).toEqual({ text: '' });
  });

  it('takes U+FFFD and U+FEFF that were really sent', () => {
    const bytes = encodeMeta({ text: '\ufeff\ufffd' });

    expect(decodeMeta(FrameType.CLOSE, bytes, 0, bytes.length)).toEqual({ text: '\ufeff\ufffd' });
  });

  it('lets the reason of a refusal be never to try again', () => {
    expect(decode(FrameType.END, '0a 00 04 ff ff ff ff')).toEqual({ retryAfter: NEVER_RETRY });
  });

  it('has no fields for a type it does not know', () => {
    expect(decode(0x8a, '')).toBe(EMPTY_META);
    expect(refusalOf(() => decode(0x8a, '07 00 01 aa'))?.code).toBe(Code.META);
  });

  it.each([
    [FrameType.SEND, '07 00', 'A meta ends in 2 stray octets.'],
    [FrameType.SEND, '07 00 03 aa', 'Field KEY ends 2 octets after the meta.'],
    [FrameType.SEND, '00 00 00', 'Field 0x00 of SEND is not a field.'],
    [FrameType.SEND, '1d 00 00', 'Field 0x1d of SEND is unknown.'],
    [FrameType.SEND, '21 00 00', 'Field 0x21 of SEND is unknown.'],
    [FrameType.SEND, '03 00 01 61', 'Field NAME of SEND has no place there.'],
    [FrameType.SEND, '07 00 01 61 07 00 01 61', 'Field KEY of SEND is there twice.'],
    [FrameType.SEND, '80 00 00 01 00 04 00 00 00 01', 'Field DEADLINE of SEND is not the first.'],
    [FrameType.SEND, '01 00 04 00 00 00 00', 'Field DEADLINE is 0; it must be 1 to 4294967295.'],
    [FrameType.SEND, '01 00 03 00 00 01', 'Field DEADLINE is 3 octets long instead of 4.'],
    [FrameType.SEND, '02 00 08 00 20 00 00 00 00 00 00', 'Field TOTAL exceeds 2^53 - 1.'],
    [FrameType.SEND, '07 00 00', 'Field KEY is 0 octets long; it must be 1 to 64.'],
    [FrameType.SEND, '0b 00 02 02 61', 'Field METADATA is too short for its name.'],
    [FrameType.OPEN, '03 00 01 ff', 'Field NAME is not valid UTF-8.'],
    [FrameType.OPEN, '03 00 01 00', 'Field NAME contains U+0000.'],
    [FrameType.OPEN, '', 'OPEN lacks the field NAME.'],
    [FrameType.REJECT, '', 'REJECT has no code.'],
    [FrameType.REJECT, '08 00 02 01 01', 'REJECT has the code PROTOCOL.'],
  ])('says of type %d with "%s": %s', (type, hex, sentence) => {
    expect(refusalOf(() => decode(type, hex))?.message).toBe(sentence);
  });
});

describe('writeDeadline', () => {
  it('writes what decodeMeta reads', () => {
    const bytes = Buffer.alloc(10, 0xaa);

    writeDeadline(bytes, 2, 0xfffffffe);

    expect(decodeMeta(FrameType.SEND, bytes, 2, 2 + DEADLINE_LENGTH)).toEqual({
      deadline: 0xfffffffe,
    });
    expect(bytes).toEqual(fromHex('aa aa  01 0004 fffffffe  aa'));
  });

  it('patches the deadline at the start of a longer meta', () => {
    const bytes = encodeMeta({ deadline: 5000, key });

    writeDeadline(bytes, 0, 4000);

    expect(bytes.equals(encodeMeta({ deadline: 4000, key }))).toBe(true);
  });
});
