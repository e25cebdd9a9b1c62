/**
 * HELLO and WELCOME: one round trip in which each side tells its limits and shows the other its data.
 * The dialer speaks first; the listener writes nothing before it has seen a valid preface.
 */
import {
  Capability,
  encodeFrame,
  type Frame,
  type FrameType,
  type Meta,
} from '../../wire/index.js';
import { type Limits, limitsFromMeta, limitsToMeta } from '../flow/limits.js';

/** What one side tells the other at the start. */
export interface Greeting {
  readonly limits: Limits;
  /** Who is speaking, for logs. */
  readonly agent: string;
  /** Connect data (HELLO) or accept data (WELCOME). */
  readonly data: Buffer;
  /** Whether it offers to continue connections on further sockets. */
  readonly canResume: boolean;
  /** HELLO: which connection to continue, and how many frames of the other side have arrived. */
  readonly resume?: Meta['resume'];
  /** WELCOME: with what this connection can be continued. */
  readonly token?: Meta['token'];
  /** WELCOME: the connection continues; so many frames of the dialer have arrived. */
  readonly resumed?: Meta['resumed'];
  /** WELCOME: why it does not. */
  readonly code?: Meta['code'];
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
  const { limits, agent, data, canResume, resume, token, resumed, code } = greeting;
  const meta: Meta = {
    ...limitsToMeta(limits),
    caps: canResume ? Capability.RESUME : 0,
    agent,
    ...(resume && { resume }),
    ...(token && { token }),
    ...(resumed !== undefined && { resumed }),
    ...(code !== undefined && { code }),
  };
  return encodeFrame({ type, meta, payload: data });
}

export function readGreeting({ meta, payload }: Frame): Greeting {
  const { agent = '', caps = 0, resume, token, resumed, code } = meta;
  return {
    limits: limitsFromMeta(meta),
    agent,
    data: Buffer.from(payload),
    canResume: (caps & Capability.RESUME) !== 0,
    resume,
    token,
    resumed,
    code,
  };
}

/** What HELLO says of the connection that a dialer comes back to; nothing where it cannot be resumed. */
export function resumptionOf(
  connection: { readonly token: Meta['token']; readonly received: number } | undefined,
): Meta['resume'] {
  if (connection?.token === undefined) return undefined;
  return { token: connection.token.token, received: connection.received };
}

/** With what a WELCOME's connection can be resumed: where both sides can, and for some time. [IC-16.1] [IC-17.3] */
export function tokenInForce(own: Greeting, welcome: Greeting): Meta['token'] {
  const isInForce = own.canResume && welcome.canResume && (welcome.token?.ttl ?? 0) > 0;
  return isInForce ? welcome.token : undefined;
}
