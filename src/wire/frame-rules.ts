// The table of frame types: the legal forms of each. The header check, the meta decoder, the trace and the tests all read
// this table, so each rule is written down once.

import { Flag, FrameType, Tag } from './constants.js';

/** The numbers that are legal in the session field or the id field of a header. */
export type NumberRule = 'zero' | 'nonzero' | 'any';

/** The shape of one frame type. Rules that tie several fields together are in `checkHeader`. */
export interface FrameRule {
  readonly name: string;
  /** Flags that may be set. */
  readonly flags: number;
  /** Flags that must be set. */
  readonly requiredFlags: number;
  readonly session: NumberRule;
  readonly id: NumberRule;
  /** Fields that the meta may contain. If the list is empty, the frame has no meta, and no ignorable fields either. */
  readonly tags: readonly number[];
  /** Fields that the meta must contain. */
  readonly requiredTags: readonly number[];
  /** `credit`: four octets in the form for items, and eight in the other forms. */
  readonly payload: 'none' | 'any' | 'credit';
}

const CONNECTION = { flags: 0, requiredFlags: 0, session: 'zero', id: 'zero' } as const;
const SESSION = { flags: 0, requiredFlags: 0, session: 'nonzero', id: 'zero' } as const;
const MESSAGE = { flags: 0, requiredFlags: 0, session: 'nonzero', id: 'nonzero' } as const;
const BARE = { tags: [], requiredTags: [], payload: 'none' } as const;

// [IC-6.4] [IC-6.8]
const LIMITS = [Tag.MAX_FRAME, Tag.CONNECTION_CREDIT, Tag.SESSION_CREDIT] as const;
const GREETING = [...LIMITS, Tag.MAX_MESSAGE, Tag.IDLE, Tag.CAPS, Tag.AGENT, Tag.MAX_META] as const;
const REASON = [Tag.CODE, Tag.TEXT, Tag.RETRY_AFTER] as const;

/** One row for each frame type of this version. */
export const FRAME_RULES: ReadonlyMap<number, FrameRule> = new Map<number, FrameRule>([
  [
    FrameType.HELLO,
    {
      name: 'HELLO',
      ...CONNECTION,
      tags: [...GREETING, Tag.RESUME],
      requiredTags: LIMITS,
      payload: 'any',
    },
  ],
  [
    FrameType.WELCOME,
    {
      name: 'WELCOME',
      ...CONNECTION,
      tags: [...GREETING, ...REASON, Tag.TOKEN, Tag.RESUMED],
      requiredTags: LIMITS,
      payload: 'any',
    },
  ],
  [FrameType.PING, { name: 'PING', ...CONNECTION, ...BARE, id: 'any' }],
  [FrameType.PONG, { name: 'PONG', ...CONNECTION, ...BARE, id: 'any' }],
  [
    FrameType.CREDIT,
    {
      name: 'CREDIT',
      flags: Flag.REPLY,
      requiredFlags: 0,
      session: 'any',
      id: 'any',
      tags: [],
      requiredTags: [],
      payload: 'credit',
    },
  ],
  [
    FrameType.GOAWAY,
    { name: 'GOAWAY', ...CONNECTION, tags: REASON, requiredTags: [], payload: 'none' },
  ],
  [
    FrameType.CLOSE,
    { name: 'CLOSE', ...CONNECTION, tags: REASON, requiredTags: [], payload: 'any' },
  ],
  [
    FrameType.OPEN,
    {
      name: 'OPEN',
      ...SESSION,
      tags: [Tag.DEADLINE, Tag.NAME, Tag.METADATA, Tag.SESSION_CREDIT],
      // [IC-6.17]
      requiredTags: [Tag.NAME],
      payload: 'any',
    },
  ],
  [
    FrameType.OPENED,
    {
      name: 'OPENED',
      ...SESSION,
      tags: [Tag.METADATA, Tag.SESSION_CREDIT],
      requiredTags: [],
      payload: 'any',
    },
  ],
  [FrameType.END, { name: 'END', ...SESSION, tags: REASON, requiredTags: [], payload: 'any' }],
  [
    FrameType.SEND,
    {
      name: 'SEND',
      ...MESSAGE,
      flags: Flag.MORE | Flag.ONEWAY | Flag.STREAM,
      tags: [Tag.DEADLINE, Tag.TOTAL, Tag.KEY, Tag.METADATA],
      requiredTags: [],
      payload: 'any',
    },
  ],
  [
    FrameType.FRAG,
    {
      name: 'FRAG',
      ...MESSAGE,
      flags: Flag.MORE | Flag.REPLY,
      tags: [],
      requiredTags: [],
      payload: 'any',
    },
  ],
  [
    FrameType.ITEM,
    {
      name: 'ITEM',
      ...MESSAGE,
      flags: Flag.MORE | Flag.REPLY | Flag.END,
      tags: [Tag.TOTAL, Tag.METADATA],
      requiredTags: [],
      payload: 'any',
    },
  ],
  [
    FrameType.ACCEPT,
    {
      name: 'ACCEPT',
      ...MESSAGE,
      flags: Flag.MORE | Flag.REPLY | Flag.STREAM,
      requiredFlags: Flag.REPLY,
      tags: [Tag.TOTAL, Tag.METADATA],
      requiredTags: [],
      payload: 'any',
    },
  ],
  [
    FrameType.REJECT,
    {
      name: 'REJECT',
      ...MESSAGE,
      flags: Flag.MORE | Flag.REPLY,
      requiredFlags: Flag.REPLY,
      tags: [...REASON, Tag.TOTAL, Tag.METADATA],
      requiredTags: [Tag.CODE],
      payload: 'any',
    },
  ],
  [FrameType.CANCEL, { name: 'CANCEL', ...MESSAGE, ...BARE }],
]);

/** `SEND`, or `0x8a` for a type without a name. */
export function frameName(type: number): string {
  return FRAME_RULES.get(type)?.name ?? `0x${type.toString(16).padStart(2, '0')}`;
}
