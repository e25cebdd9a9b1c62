import { describe, expect, it } from '@jest/globals';
import { Code, EMPTY_META, Tag } from '../../src/wire/index.js';
import type { Meta } from '../../src/wire/index.js';
import {
  FIELD_RULES,
  type FieldRule,
  describeFields,
  readField,
  writeFields,
} from '../../src/wire/field-rules.js';
import type { MetaDraft } from '../../src/wire/meta-fields.js';
import { TlvReader } from '../../src/wire/tlv-reader.js';
import { TlvWriter } from '../../src/wire/tlv-writer.js';
import { refusalOf } from '../support/codec/collect.js';

type Name = keyof Meta;
/** A row whose kind is not known to the compiler. */
type Rule = Omit<FieldRule<unknown>, 'kind'> & { readonly kind: string };

const rows = Object.entries(FIELD_RULES) as unknown as [Name, Rule][];
const token = Buffer.alloc(32, 1);

/** The numbers beside the tag for the kinds that have several of them, in the order of the wire. */
const PARTS: Partial<Record<Name, readonly string[]>> = {
  connectionCredit: ['opens', 'bytes'],
  sessionCredit: ['messages', 'bytes', 'items'],
  resume: ['received'],
  token: ['ttl'],
};

function integer(octets: number, value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes.subarray(8 - octets);
}

/** A number or length as a value of the kind, and the octets of that value. */
function sample(name: Name, { kind }: Rule, size: number): { value: unknown; octets: Buffer } {
  switch (kind) {
    case 'u16':
      return { value: size, octets: integer(2, size) };
    case 'u32':
      return { value: size, octets: integer(4, size) };
    case 'u64':
      return { value: size, octets: integer(8, size) };
    case 'text':
      return { value: 'x'.repeat(size), octets: Buffer.alloc(size, 'x') };
    case 'octets':
      return { value: Buffer.alloc(size, 7), octets: Buffer.alloc(size, 7) };
    case 'u32s': {
      const parts = PARTS[name]!.map((part) => [part, size] as const);
      return {
        value: Object.fromEntries(parts),
        octets: Buffer.concat(parts.map(() => integer(4, size))),
      };
    }
    case 'tokenAndU32': {
      const [part] = PARTS[name]!;
      return {
        value: { token, [part!]: size },
        octets: Buffer.concat([token, integer(4, size)]),
      };
    }
    default:
      throw new Error(`No sample for the kind ${kind}.`);
  }
}

/** The field as octets: tag, length, value. */
function field(tag: number, value: Buffer): Buffer {
  return Buffer.concat([Buffer.from([tag]), integer(2, value.length), value]);
}

function read(bytes: Buffer): MetaDraft {
  const meta: MetaDraft = {};
  const reader = new TlvReader(bytes, 0, bytes.length);
  while (reader.next()) readField(reader, meta);
  return meta;
}

function write(meta: Meta): Buffer {
  const out = new TlvWriter();
  writeFields(out, meta);
  return out.take();
}

/** The largest number that the octets of a kind can hold. Texts and keys have no such number. */
const LARGEST: Readonly<Record<string, number>> = {
  u16: 0xffff,
  u32: 0xffffffff,
  u64: Number.MAX_SAFE_INTEGER,
  u32s: 0xffffffff,
  tokenAndU32: 0xffffffff,
};

function hasForm({ kind }: Rule, size: number): boolean {
  return size >= 0 && size <= (LARGEST[kind] ?? Infinity);
}

describe('FIELD_RULES', () => {
  it('has one row per tag, in the order of the tags', () => {
    const tags = rows.map(([, { tag }]) => tag);

    expect(tags).toEqual(Object.values(Tag).toSorted((one, other) => one - other));
  });

  const plain = rows.filter(([name]) => name !== 'metadata');

  it.each(plain)('agrees with the writer and the reader about %s', (name, rule) => {
    for (const size of [rule.min, rule.max]) {
      const { value, octets } = sample(name, rule, size);
      const bytes = field(rule.tag, octets);

      expect(write({ [name]: value })).toEqual(bytes);
      expect(read(bytes)).toEqual({ [name]: value });
    }
  });

  it.each(plain)('gives the bounds that writer and reader keep for %s', (name, rule) => {
    for (const size of [rule.min - 1, rule.max + 1].filter((each) => hasForm(rule, each))) {
      const { value, octets } = sample(name, rule, size);

      expect(refusalOf(() => write({ [name]: value }))?.code).toBe(Code.META);
      expect(refusalOf(() => read(field(rule.tag, octets)))?.code).toBe(Code.META);
    }
  });

  it('agrees with the writer and the reader about metadata, whose field repeats', () => {
    const entry = field(FIELD_RULES.metadata.tag, Buffer.from('\x01nv'));
    const meta: Meta = {
      metadata: [
        ['n', 'v'],
        ['n', 'v'],
      ],
    };

    expect(write(meta)).toEqual(Buffer.concat([entry, entry]));
    expect(read(Buffer.concat([entry, entry]))).toEqual(meta);
  });

  it('has a word of a trace for every field', () => {
    const values = plain.map(([name, rule]) => [name, sample(name, rule, rule.min).value]);
    const meta: Meta = { ...Object.fromEntries(values), metadata: [['n', 'v']] };

    expect([...describeFields(EMPTY_META)]).toEqual([]);
    expect([...describeFields(meta)]).toEqual([
      'deadline=1ms',
      'total=0',
      'name="x"',
      'key=1B',
      'code=OK',
      'text=""',
      'retryAfter=0ms',
      'metadata=1',
      'maxFrame=16384',
      'maxMessage=0',
      'idle=0ms',
      'caps=none',
      'opens=0 bytes=0',
      'messages=0 sessionBytes=0 items=0',
      'agent=""',
      'resume received=0',
      'ttl=0ms',
      'resumed received=0',
      'maxMeta=2048',
    ]);
  });
});

describe('readField', () => {
  it('refuses a tag without a row, as a fault of this side', () => {
    expect(() => read(field(0x1d, Buffer.alloc(2, 0xff)))).toThrow(
      new Error('FIELD_RULES has no row for the field 0x1d.'),
    );
  });
});
