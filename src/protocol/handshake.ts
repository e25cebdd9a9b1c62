/**
 * HELLO and WELCOME: one round trip in which each side tells its limits and shows the other its data.
 * The dialer speaks first; the listener writes nothing before it has seen a valid preface.
 */
import { encodeFrame, type Frame, type FrameType, type Meta } from '../wire/index.js';
import { type Limits, limitsFromMeta, limitsToMeta } from './limits.js';

/** What one side tells the other at the start. */
export interface Greeting {
  readonly limits: Limits;
  /** Who is speaking, for logs. */
  readonly agent: string;
  /** Connect data (HELLO) or accept data (WELCOME). */
  readonly data: Buffer;
}

/** Octets of a HELLO's or WELCOME's body: what a stranger may make us hold. */
export const MAX_GREETING = 16 * 1024;
/** What the fields of a greeting take of it, at most. */
const GREETING_FIELDS = 1024;
/** Octets of connect data and accept data. */
export const MAX_CONNECT_DATA = MAX_GREETING - GREETING_FIELDS;

export function encodeGreeting(
  type: typeof FrameType.HELLO | typeof FrameType.WELCOME,
  greeting: Greeting,
): Buffer {
  // No capabilities are offered: a resume would need RESUME here and a TOKEN in WELCOME.
  const meta: Meta = { ...limitsToMeta(greeting.limits), caps: 0, agent: greeting.agent };
  return encodeFrame({ type, meta, payload: greeting.data });
}

export function readGreeting(frame: Frame): Greeting {
  return {
    limits: limitsFromMeta(frame.meta),
    agent: frame.meta.agent ?? '',
    data: Buffer.from(frame.payload),
  };
}
