/**
 * The greetings, HELLO and WELCOME: each side tells the other its limits and sends data of its application.
 */
import {
  Capability,
  encodeFrame,
  type Frame,
  type FrameType,
  type Meta,
} from '../../wire/index.js';
import { type Limits, limitsFromMeta, limitsToMeta } from '../flow/limits.js';

/** The contents of one side's HELLO or WELCOME. */
export interface Greeting {
  readonly limits: Limits;
  /** The software of the side that sends the greeting, for logs. */
  readonly agent: string;
  /** Connect data (HELLO) or accept data (WELCOME). */
  readonly data: Buffer;
  /** Whether this side can continue connections on further sockets. */
  readonly canResume: boolean;
  /** HELLO: the connection to continue, and how many frames of the listener have arrived on it. */
  readonly resume?: Meta['resume'];
  /** WELCOME: the token with which the dialer can continue this connection on a later socket. */
  readonly token?: Meta['token'];
  /** WELCOME: the connection continues, and this number of the dialer's frames has arrived on it. */
  readonly resumed?: Meta['resumed'];
  /** WELCOME: why the connection that HELLO names does not continue. */
  readonly code?: Meta['code'];
}

/** The largest body of HELLO and WELCOME, in octets. So an unknown peer cannot make this side hold much memory. */
export const MAX_GREETING = 16 * 1024;
/** The octets of that body that are reserved for the fields. */
const GREETING_FIELDS = 1024;
/** The largest connect data and accept data, in octets. */
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

/** The RESUME of HELLO, for the connection that the dialer wants to continue. Undefined if that has no token. */
export function resumptionOf(
  connection: { readonly token: Meta['token']; readonly received: number } | undefined,
): Meta['resume'] {
  if (connection?.token === undefined) return undefined;
  return { token: connection.token.token, received: connection.received };
}

/** The token of WELCOME if both sides can resume and the token has a lifetime above 0. [IC-16.1] [IC-17.3] */
export function tokenInForce(own: Greeting, welcome: Greeting): Meta['token'] {
  const isInForce = own.canResume && welcome.canResume && (welcome.token?.ttl ?? 0) > 0;
  return isInForce ? welcome.token : undefined;
}
