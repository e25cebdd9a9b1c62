import { describe, expect, it } from '@jest/globals';
import { FRAME_RULES, FrameType, encodeMeta, frameName } from '../../src/wire/index.js';
import type { Meta } from '../../src/wire/index.js';
import { fromHex } from '../support/codec/hex.js';
import { naiveDecode } from '../support/codec/naive-codec.js';
import { LIMITS, decodeChunks, refusalOf } from '../support/codec/collect.js';

const limits: Meta = {
  maxFrame: 65_536,
  connectionCredit: { opens: 1, bytes: 1 },
  sessionCredit: { messages: 1, bytes: 1, items: 1 },
};

/** What a type needs in its meta to be legal. */
const NEEDED = new Map<number, Meta>([
  [FrameType.HELLO, limits],
  [FrameType.WELCOME, limits],
  [FrameType.OPEN, { name: 'n' }],
  [FrameType.REJECT, { code: 0x0401 }],
]);

/** Among these every field there is finds a value that is legal for it. */
const VALUES = [
  '',
  '41',
  '0141',
  '0401',
  '0801',
  '00010000',
  '00'.repeat(8),
  '01'.repeat(12),
  '11'.repeat(36),
];

/** A frame of this type with one field more than it needs, in front, where DEADLINE has to be. */
function frameWith(type: number, tag: number, value: Buffer): Buffer {
  const needed = encodeMeta(NEEDED.get(type) ?? {});
  const metaLength = 3 + value.length + needed.length;
  const header = Buffer.alloc(16);
  header.writeUInt8(type, 0);
  header.writeUInt8(FRAME_RULES.get(type)!.requiredFlags, 1);
  header.writeUInt16BE(metaLength, 2);
  header.writeUInt32BE(metaLength, 4);
  header.writeUInt32BE(FRAME_RULES.get(type)!.session === 'nonzero' ? 1 : 0, 8);
  header.writeUInt32BE(FRAME_RULES.get(type)!.id === 'nonzero' ? 1 : 0, 12);
  return Buffer.concat([header, Buffer.from([tag, 0, value.length]), value, needed]);
}

describe('FRAME_RULES', () => {
  const withMeta = [...FRAME_RULES].filter(([, rule]) => rule.tags.length > 0);

  it.each(withMeta)('allows on type %d the fields the naive codec allows', (type) => {
    const disagreements: string[] = [];
    for (let tag = 0; tag <= 0xff; tag += 1) {
      for (const value of VALUES) {
        const bytes = frameWith(type, tag, fromHex(value));
        const fault = naiveDecode(bytes, LIMITS.maxFrame, LIMITS.maxMeta).fault;
        const refusal = refusalOf(() => decodeChunks([bytes]));
        if (refusal?.code !== fault) disagreements.push(`${tag}: ${value}`);
      }
    }

    expect(disagreements).toEqual([]);
  });

  it.each(withMeta)('can be satisfied on type %d by every field it names', (type, rule) => {
    const accepted = (tag: number): boolean =>
      VALUES.some((value) => {
        const bytes = frameWith(type, tag, fromHex(value));
        return refusalOf(() => decodeChunks([bytes])) === undefined;
      });
    const optional = rule.tags.filter((tag) => !rule.requiredTags.includes(tag));

    expect(optional.filter((tag) => !accepted(tag))).toEqual([]);
  });

  it('has a row of the same name for every frame type', () => {
    const rows = [...FRAME_RULES].map(([type, rule]) => [rule.name, type]);

    expect(Object.fromEntries(rows)).toEqual(FrameType);
  });
});

describe('frameName', () => {
  it.each([
    [0x20, 'SEND'],
    [0x8a, '0x8a'],
    [0x00, '0x00'],
  ])('calls type %d %s', (type, name) => {
    expect(frameName(type)).toBe(name);
  });
});
