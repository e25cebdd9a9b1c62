/** What one side allows the other: told once, in HELLO or WELCOME, and in force for the whole connection. */
import { Code, type Meta, ProtocolError } from '../wire/index.js';

export interface Limits {
  /** Octets of one frame's body. */
  readonly maxFrame: number;
  /** Octets of one frame's metadata fields. */
  readonly maxMeta: number;
  /** Octets of one message's payload. */
  readonly maxMessage: number;
  /** Milliseconds of silence after which this side gives the other up; 0 = never. */
  readonly idle: number;
  /** Sessions that the other side may have open at once. */
  readonly sessions: number;
  /** Octets of messages that this side holds for its handlers, over all sessions. */
  readonly connectionBytes: number;
  /** Unsettled messages in one session. */
  readonly messages: number;
  /** Octets on their way in one session. */
  readonly sessionBytes: number;
  /** Items on their way in one stream. */
  readonly items: number;
}

export const DEFAULT_LIMITS: Limits = {
  maxFrame: 64 * 1024,
  maxMeta: 8 * 1024,
  maxMessage: 16 * 1024 * 1024,
  idle: 30_000,
  sessions: 1024,
  connectionBytes: 64 * 1024 * 1024,
  messages: 256,
  sessionBytes: 4 * 1024 * 1024,
  items: 32,
};

export function limitsToMeta(limits: Limits): Meta {
  return {
    maxFrame: limits.maxFrame,
    maxMessage: limits.maxMessage,
    idle: limits.idle,
    connectionCredit: { opens: limits.sessions, bytes: limits.connectionBytes },
    sessionCredit: {
      messages: limits.messages,
      bytes: limits.sessionBytes,
      items: limits.items,
    },
    maxMeta: limits.maxMeta,
  };
}

/** Reads the peer's limits; what it leaves out has the default. */
export function limitsFromMeta(meta: Meta): Limits {
  const { connectionCredit, sessionCredit, maxFrame } = meta;
  if (connectionCredit === undefined || sessionCredit === undefined || maxFrame === undefined) {
    throw new ProtocolError(Code.META, 'The handshake lacks MAX_FRAME or the initial credit.');
  }
  return {
    maxFrame,
    maxMeta: meta.maxMeta ?? DEFAULT_LIMITS.maxMeta,
    maxMessage: meta.maxMessage ?? DEFAULT_LIMITS.maxMessage,
    idle: meta.idle ?? 0,
    sessions: connectionCredit.opens,
    connectionBytes: connectionCredit.bytes,
    messages: sessionCredit.messages,
    sessionBytes: sessionCredit.bytes,
    items: sessionCredit.items,
  };
}
