// The fields of the meta: what they are as values, how each is written and how each is read. Which
// field may stand on which frame is `FRAME_RULES`' business, and `meta.ts` sees to it.

import {
  MAX_AGENT,
  MAX_FRAME_SIZE,
  MAX_KEY,
  MAX_NAME,
  MAX_TEXT,
  MIN_FRAME_SIZE,
  MIN_META_SIZE,
  Tag,
} from './constants.js';
import type { TlvReader } from './tlv-reader.js';
import type { TlvWriter } from './tlv-writer.js';

/** The fields of a frame's meta. Which may stand on which frame is said in `FRAME_RULES`. */
export interface Meta {
  /** Milliseconds left until the message or the opening times out; at least 1. */
  readonly deadline?: number;
  /** Payload octets of the whole fragmented unit. */
  readonly total?: number;
  /** The session's name. */
  readonly name?: string;
  /** Idempotency key. */
  readonly key?: Buffer;
  /** One of `Code`, or an application's own. */
  readonly code?: number;
  /** For people and logs. Comes from the peer as it was sent: escape it before it is shown. */
  readonly text?: string;
  /** Milliseconds after which another try makes sense, or `NEVER_RETRY`. */
  readonly retryAfter?: number;
  /** What travels beside the payload, in the order it was sent; names may repeat. */
  readonly metadata?: readonly (readonly [name: string, value: string])[];
  /** The largest body the sender of this frame accepts. */
  readonly maxFrame?: number;
  /** The largest message the sender of this frame accepts in one piece. */
  readonly maxMessage?: number;
  /** Milliseconds of silence until the sender of this frame gives the peer up; 0 = never. */
  readonly idle?: number;
  /** Bits of `Capability`. */
  readonly caps?: number;
  /**
   * How many sessions the receiver of this frame may open, and message bytes it may send, on the
   * whole connection.
   */
  readonly connectionCredit?: { readonly opens: number; readonly bytes: number };
  /**
   * The highest message id, the message bytes and the items per message that the receiver of this
   * frame may send.
   */
  readonly sessionCredit?: {
    readonly messages: number;
    readonly bytes: number;
    readonly items: number;
  };
  /** Who is speaking, for logs. */
  readonly agent?: string;
  /**
   * Asks to continue the connection this token belongs to; `received` sequenced frames have
   * arrived.
   */
  readonly resume?: { readonly token: Buffer; readonly received: number };
  /**
   * With this token the connection can be resumed within `ttl` milliseconds after its socket is
   * lost.
   */
  readonly token?: { readonly token: Buffer; readonly ttl: number };
  /** The connection continues; so many sequenced frames have arrived. */
  readonly resumed?: number;
  /** The largest meta the sender of this frame accepts; `DEFAULT_META_SIZE` if absent. */
  readonly maxMeta?: number;
}

/** A meta without fields. Shared and frozen. */
export const EMPTY_META: Meta = Object.freeze({});

/** A {@link Meta} in the making. */
export type MetaDraft = {
  -readonly [Field in keyof Meta]: Meta[Field];
} & { metadata?: [name: string, value: string][] };

const MAX_U32 = 0xffffffff;

/** Writes all fields in the order of their tags. */
export function writeFields(out: TlvWriter, meta: Meta): void {
  if (meta.deadline !== undefined) out.integer(Tag.DEADLINE, meta.deadline, 1, MAX_U32);
  if (meta.total !== undefined) out.long(Tag.TOTAL, meta.total);
  if (meta.name !== undefined) out.text(Tag.NAME, meta.name, 1, MAX_NAME);
  if (meta.key !== undefined) out.octets(Tag.KEY, meta.key, 1, MAX_KEY);
  if (meta.code !== undefined) out.short(Tag.CODE, meta.code, 0);
  if (meta.text !== undefined) out.text(Tag.TEXT, meta.text, 0, MAX_TEXT);
  if (meta.retryAfter !== undefined) out.integer(Tag.RETRY_AFTER, meta.retryAfter, 0, MAX_U32);
  for (const [name, value] of meta.metadata ?? []) out.entry(Tag.METADATA, name, value);
  if (meta.maxFrame !== undefined) {
    out.integer(Tag.MAX_FRAME, meta.maxFrame, MIN_FRAME_SIZE, MAX_FRAME_SIZE);
  }
  if (meta.maxMessage !== undefined) out.long(Tag.MAX_MESSAGE, meta.maxMessage);
  if (meta.idle !== undefined) out.integer(Tag.IDLE, meta.idle, 0, MAX_U32);
  if (meta.caps !== undefined) out.integer(Tag.CAPS, meta.caps, 0, MAX_U32);
  if (meta.connectionCredit !== undefined) {
    const { opens, bytes } = meta.connectionCredit;
    out.integers(Tag.CONNECTION_CREDIT, opens, bytes);
  }
  if (meta.sessionCredit !== undefined) {
    const { messages, bytes, items } = meta.sessionCredit;
    out.integers(Tag.SESSION_CREDIT, messages, bytes, items);
  }
  if (meta.agent !== undefined) out.text(Tag.AGENT, meta.agent, 0, MAX_AGENT);
  if (meta.resume !== undefined) {
    out.tokenAndInteger(Tag.RESUME, meta.resume.token, meta.resume.received);
  }
  if (meta.token !== undefined) out.tokenAndInteger(Tag.TOKEN, meta.token.token, meta.token.ttl);
  if (meta.resumed !== undefined) out.integer(Tag.RESUMED, meta.resumed, 0, MAX_U32);
  if (meta.maxMeta !== undefined) out.short(Tag.MAX_META, meta.maxMeta, MIN_META_SIZE);
}

/** Reads the field `reader` stands at into `meta`. Its tag must be one of `Tag`. */
export function readField(reader: TlvReader, meta: MetaDraft): void {
  switch (reader.tag) {
    case Tag.DEADLINE:
      meta.deadline = reader.integer(1, MAX_U32);
      break;
    case Tag.TOTAL:
      meta.total = reader.long();
      break;
    case Tag.NAME:
      meta.name = reader.text(1, MAX_NAME);
      break;
    case Tag.KEY:
      meta.key = reader.octets(1, MAX_KEY);
      break;
    case Tag.CODE:
      meta.code = reader.short(0);
      break;
    case Tag.TEXT:
      meta.text = reader.text(0, MAX_TEXT);
      break;
    case Tag.RETRY_AFTER:
      meta.retryAfter = reader.integer(0, MAX_U32);
      break;
    case Tag.METADATA:
      (meta.metadata ??= []).push(reader.entry());
      break;
    case Tag.MAX_FRAME:
      meta.maxFrame = reader.integer(MIN_FRAME_SIZE, MAX_FRAME_SIZE);
      break;
    case Tag.MAX_MESSAGE:
      meta.maxMessage = reader.long();
      break;
    case Tag.IDLE:
      meta.idle = reader.integer(0, MAX_U32);
      break;
    case Tag.CAPS:
      meta.caps = reader.integer(0, MAX_U32);
      break;
    case Tag.CONNECTION_CREDIT:
      reader.expectLength(8);
      meta.connectionCredit = { opens: reader.u32(0), bytes: reader.u32(4) };
      break;
    case Tag.SESSION_CREDIT:
      reader.expectLength(12);
      meta.sessionCredit = {
        messages: reader.u32(0),
        bytes: reader.u32(4),
        items: reader.u32(8),
      };
      break;
    case Tag.AGENT:
      meta.agent = reader.text(0, MAX_AGENT);
      break;
    case Tag.RESUME: {
      const [token, received] = reader.tokenAndInteger();
      meta.resume = { token, received };
      break;
    }
    case Tag.TOKEN: {
      const [token, ttl] = reader.tokenAndInteger();
      meta.token = { token, ttl };
      break;
    }
    case Tag.RESUMED:
      meta.resumed = reader.integer(0, MAX_U32);
      break;
    default:
      meta.maxMeta = reader.short(MIN_META_SIZE);
  }
}
