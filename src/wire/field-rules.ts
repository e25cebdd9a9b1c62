// The table of the meta's fields: the tag, the kind and the range of each field. `FRAME_RULES` lists the fields that each
// frame may have, and `meta.ts` checks that.

import { codeName } from './codes.js';
import {
  Capability,
  MAX_AGENT,
  MAX_FRAME_SIZE,
  MAX_KEY,
  MAX_METADATA_ENTRIES,
  MAX_NAME,
  MAX_TEXT,
  MIN_FRAME_SIZE,
  MIN_META_SIZE,
  NEVER_RETRY,
  Tag,
} from './constants.js';
import type { Meta, MetaDraft } from './meta-fields.js';
import { quote } from './printable.js';
import { tagName } from './tag-name.js';
import type { FieldRange, TlvReader } from './tlv-reader.js';
import type { TlvWriter } from './tlv-writer.js';

/** The wire forms that a value of this type can have. */
type KindOf<Value> = Value extends number
  ? 'u16' | 'u32' | 'u64'
  : Value extends string
    ? 'text'
    : Value extends Buffer
      ? 'octets'
      : Value extends readonly unknown[]
        ? 'entries'
        : 'u32s' | 'tokenAndU32';

/**
 * One field. The range limits a number itself; of a text or a key, the length in octets; of METADATA, the number of
 * entries; of a credit and of a token, each number in the field.
 */
export interface FieldRule<Value> extends FieldRange {
  readonly kind: KindOf<Value>;
  /** Returns the field as a word of a trace. The word never contains a key, a token, or the contents of metadata. */
  show(value: Value): string;
}

type FieldRules = { readonly [Name in keyof Meta]-?: FieldRule<NonNullable<Meta[Name]>> };

const MAX_U16 = 0xffff;
const MAX_U32 = 0xffffffff;
const MAX_U64 = Number.MAX_SAFE_INTEGER;

/** One row per field, in the order of the tags. */
export const FIELD_RULES: FieldRules = {
  deadline: {
    tag: Tag.DEADLINE,
    kind: 'u32',
    min: 1,
    max: MAX_U32,
    show: (ms) => `deadline=${ms}ms`,
  },
  total: { tag: Tag.TOTAL, kind: 'u64', min: 0, max: MAX_U64, show: (bytes) => `total=${bytes}` },
  name: {
    tag: Tag.NAME,
    kind: 'text',
    min: 1,
    max: MAX_NAME,
    show: (name) => `name=${quote(name)}`,
  },
  key: { tag: Tag.KEY, kind: 'octets', min: 1, max: MAX_KEY, show: (key) => `key=${key.length}B` },
  code: {
    tag: Tag.CODE,
    kind: 'u16',
    min: 0,
    max: MAX_U16,
    show: (code) => `code=${codeName(code)}`,
  },
  text: {
    tag: Tag.TEXT,
    kind: 'text',
    min: 0,
    max: MAX_TEXT,
    show: (words) => `text=${quote(words)}`,
  },
  retryAfter: {
    tag: Tag.RETRY_AFTER,
    kind: 'u32',
    min: 0,
    max: MAX_U32,
    show: (ms) => (ms === NEVER_RETRY ? 'retryAfter=never' : `retryAfter=${ms}ms`),
  },
  metadata: {
    tag: Tag.METADATA,
    kind: 'entries',
    min: 1,
    max: MAX_METADATA_ENTRIES,
    show: (entries) => `metadata=${entries.length}`,
  },
  maxFrame: {
    tag: Tag.MAX_FRAME,
    kind: 'u32',
    min: MIN_FRAME_SIZE,
    max: MAX_FRAME_SIZE,
    show: (bytes) => `maxFrame=${bytes}`,
  },
  maxMessage: {
    tag: Tag.MAX_MESSAGE,
    kind: 'u64',
    min: 0,
    max: MAX_U64,
    show: (bytes) => `maxMessage=${bytes}`,
  },
  idle: { tag: Tag.IDLE, kind: 'u32', min: 0, max: MAX_U32, show: (ms) => `idle=${ms}ms` },
  caps: {
    tag: Tag.CAPS,
    kind: 'u32',
    min: 0,
    max: MAX_U32,
    show: (caps) => `caps=${capsName(caps)}`,
  },
  connectionCredit: {
    tag: Tag.CONNECTION_CREDIT,
    kind: 'u32s',
    min: 0,
    max: MAX_U32,
    show: ({ opens, bytes }) => `opens=${opens} bytes=${bytes}`,
  },
  sessionCredit: {
    tag: Tag.SESSION_CREDIT,
    kind: 'u32s',
    min: 0,
    max: MAX_U32,
    show: ({ messages, bytes, items }) =>
      `messages=${messages} sessionBytes=${bytes} items=${items}`,
  },
  agent: {
    tag: Tag.AGENT,
    kind: 'text',
    min: 0,
    max: MAX_AGENT,
    show: (agent) => `agent=${quote(agent)}`,
  },
  resume: {
    tag: Tag.RESUME,
    kind: 'tokenAndU32',
    min: 0,
    max: MAX_U32,
    show: ({ received }) => `resume received=${received}`,
  },
  token: {
    tag: Tag.TOKEN,
    kind: 'tokenAndU32',
    min: 0,
    max: MAX_U32,
    show: ({ ttl }) => `ttl=${ttl}ms`,
  },
  resumed: {
    tag: Tag.RESUMED,
    kind: 'u32',
    min: 0,
    max: MAX_U32,
    show: (received) => `resumed received=${received}`,
  },
  maxMeta: {
    tag: Tag.MAX_META,
    kind: 'u16',
    min: MIN_META_SIZE,
    max: MAX_U16,
    show: (bytes) => `maxMeta=${bytes}`,
  },
};

// `writeFields` and `readField` name each field, instead of walking over the rows. We measured a walk that gets and sets
// fields by a computed name and calls the function of their kind: for the fields of a message, the decoder was slower by a
// quarter and the encoder by a half [Node 20.20]. Both functions take the ranges from the rows.
// `test/wire/field-rules.spec.ts` checks that both functions agree with each row.

/** Writes all fields in the order of their tags. */
export function writeFields(out: TlvWriter, meta: Meta): void {
  const rules = FIELD_RULES;
  if (meta.deadline !== undefined) out.u32(rules.deadline, meta.deadline);
  if (meta.total !== undefined) out.u64(rules.total, meta.total);
  if (meta.name !== undefined) out.text(rules.name, meta.name);
  if (meta.key !== undefined) out.octets(rules.key, meta.key);
  if (meta.code !== undefined) out.u16(rules.code, meta.code);
  if (meta.text !== undefined) out.text(rules.text, meta.text);
  if (meta.retryAfter !== undefined) out.u32(rules.retryAfter, meta.retryAfter);
  for (const [name, value] of meta.metadata ?? []) out.entry(Tag.METADATA, name, value);
  if (meta.maxFrame !== undefined) out.u32(rules.maxFrame, meta.maxFrame);
  if (meta.maxMessage !== undefined) out.u64(rules.maxMessage, meta.maxMessage);
  if (meta.idle !== undefined) out.u32(rules.idle, meta.idle);
  if (meta.caps !== undefined) out.u32(rules.caps, meta.caps);
  if (meta.connectionCredit !== undefined) {
    const { opens, bytes } = meta.connectionCredit;
    out.u32s(rules.connectionCredit, opens, bytes);
  }
  if (meta.sessionCredit !== undefined) {
    const { messages, bytes, items } = meta.sessionCredit;
    out.u32s(rules.sessionCredit, messages, bytes, items);
  }
  if (meta.agent !== undefined) out.text(rules.agent, meta.agent);
  if (meta.resume !== undefined) {
    out.tokenAndU32(rules.resume, meta.resume.token, meta.resume.received);
  }
  if (meta.token !== undefined) out.tokenAndU32(rules.token, meta.token.token, meta.token.ttl);
  if (meta.resumed !== undefined) out.u32(rules.resumed, meta.resumed);
  if (meta.maxMeta !== undefined) out.u16(rules.maxMeta, meta.maxMeta);
}

/**
 * Reads the field at which `reader` stands into `meta`.
 *
 * @throws ProtocolError if the field is malformed.
 * @throws Error if no row has this tag. The caller must check the tag first.
 */
export function readField(reader: TlvReader, meta: MetaDraft): void {
  const rules = FIELD_RULES;
  switch (reader.tag) {
    case Tag.DEADLINE:
      meta.deadline = reader.u32(rules.deadline);
      break;
    case Tag.TOTAL:
      meta.total = reader.u64();
      break;
    case Tag.NAME:
      meta.name = reader.text(rules.name);
      break;
    case Tag.KEY:
      meta.key = reader.octets(rules.key);
      break;
    case Tag.CODE:
      meta.code = reader.u16(rules.code);
      break;
    case Tag.TEXT:
      meta.text = reader.text(rules.text);
      break;
    case Tag.RETRY_AFTER:
      meta.retryAfter = reader.u32(rules.retryAfter);
      break;
    case Tag.METADATA:
      (meta.metadata ??= []).push(reader.entry());
      break;
    case Tag.MAX_FRAME:
      meta.maxFrame = reader.u32(rules.maxFrame);
      break;
    case Tag.MAX_MESSAGE:
      meta.maxMessage = reader.u64();
      break;
    case Tag.IDLE:
      meta.idle = reader.u32(rules.idle);
      break;
    case Tag.CAPS:
      meta.caps = reader.u32(rules.caps);
      break;
    case Tag.CONNECTION_CREDIT:
      reader.expectLength(8);
      meta.connectionCredit = { opens: reader.u32At(0), bytes: reader.u32At(4) };
      break;
    case Tag.SESSION_CREDIT:
      reader.expectLength(12);
      meta.sessionCredit = {
        messages: reader.u32At(0),
        bytes: reader.u32At(4),
        items: reader.u32At(8),
      };
      break;
    case Tag.AGENT:
      meta.agent = reader.text(rules.agent);
      break;
    case Tag.RESUME: {
      const [token, received] = reader.tokenAndU32();
      meta.resume = { token, received };
      break;
    }
    case Tag.TOKEN: {
      const [token, ttl] = reader.tokenAndU32();
      meta.token = { token, ttl };
      break;
    }
    case Tag.RESUMED:
      meta.resumed = reader.u32(rules.resumed);
      break;
    case Tag.MAX_META:
      meta.maxMeta = reader.u16(rules.maxMeta);
      break;
    default:
      throw new Error(`FIELD_RULES has no row for the field ${tagName(reader.tag)}.`);
  }
}

/** Yields a word of a trace for each field that the meta has, in the order of the tags. */
export function* describeFields(meta: Meta): Generator<string> {
  for (const [name, rule] of Object.entries<{ show(value: unknown): string }>(FIELD_RULES)) {
    const value: unknown = Reflect.get(meta, name);
    if (value !== undefined) yield rule.show(value);
  }
}

/** `RESUME`, `none` if no bit is set, or `RESUME+0x80000000` if bits without a name are set. */
function capsName(caps: number): string {
  const names = (caps & Capability.RESUME) !== 0 ? ['RESUME'] : [];
  const others = (caps & ~Capability.RESUME) >>> 0;
  return [...names, ...(others === 0 ? [] : [`0x${others.toString(16)}`])].join('+') || 'none';
}
