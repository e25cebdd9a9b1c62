// Why something was refused, closed or rejected: u16, the high octet says what the other side can
// do about it.

/**
 * Codes of CLOSE, GOAWAY, WELCOME, END and REJECT.
 *
 * - 01xx: a fault that ends the connection for good
 * - 02xx: the life of sockets and connections
 * - 03xx: the session
 * - 040x, 048x: the message was not processed and may be tried again, or is hopeless
 * - 05xx: the message was processed, perhaps in part
 * - 06xx: never on the wire
 * - 8000–bfff, c000–ffff: the application's own; the message was processed, was not processed
 */
// [IC-13.3]
export const Code = {
  /** Nothing went wrong. */
  OK: 0x0000,

  /** A frame broke a rule of the protocol. */
  PROTOCOL: 0x0101,
  /** A frame's body exceeds the limit. */
  FRAME_SIZE: 0x0102,
  /** A frame's meta is malformed, or lacks a required field. */
  META: 0x0103,
  /** More was sent than the credit allowed. */
  FLOW: 0x0104,
  /** The frame is not allowed now. */
  STATE: 0x0105,
  /** The sides have no protocol version in common. */
  VERSION: 0x0106,
  /** A type, flag or tag that must be understood is unknown. */
  UNSUPPORTED: 0x0107,
  /** Too many frames without use. */
  CALM: 0x0109,

  /** Who the peer is was not shown, or not believed. */
  UNAUTHENTICATED: 0x0201,
  /** The peer is known and not allowed to connect. */
  FORBIDDEN: 0x0202,
  /** No room for another connection now. */
  OVERLOADED: 0x0203,
  /** The process is shutting down. */
  DRAINING: 0x0204,
  /** The connection to resume is not known (any more). */
  RESUME_UNKNOWN: 0x0205,
  /** The connection to resume is known, but frames between the two counts are lost. */
  RESUME_GAP: 0x0206,
  /** Another socket has resumed this connection. */
  SUPERSEDED: 0x0207,
  /** Nothing was heard for the idle time. */
  IDLE: 0x0209,
  /** The peer does not take what is written to it. */
  STALLED: 0x020a,
  /** The handshake was not finished in time. */
  HANDSHAKE_TIMEOUT: 0x020b,
  /** A fault of this side's library. */
  INTERNAL: 0x020d,

  /** Nobody serves a session of this name. */
  NO_SUCH_SESSION: 0x0301,
  /** The session exists; the peer may not open it. */
  SESSION_FORBIDDEN: 0x0302,
  /** Too many sessions are open. */
  SESSION_LIMIT: 0x0303,
  /** The application refused the session. */
  SESSION_REFUSED: 0x0304,
  /** The application failed while it judged or served the session. */
  SESSION_FAILED: 0x0305,
  /** Unused for too long. */
  SESSION_IDLE: 0x0306,
  /** The session was neither accepted nor rejected in time. */
  SESSION_TIMEOUT: 0x0307,

  /** No capacity for the message now. */
  BUSY: 0x0401,
  /** The deadline passed before the handler ran. */
  EXPIRED: 0x0402,
  /** The sender cancelled before the handler ran. */
  CANCELLED: 0x0403,
  /** The receiver drains and takes nothing new. */
  MESSAGE_DRAINING: 0x0404,
  /** The session ended before the handler ran. */
  SESSION_CLOSED: 0x0405,
  /** The session has no handler for messages. */
  NO_HANDLER: 0x0481,
  /** The sender may not send this message. */
  MESSAGE_FORBIDDEN: 0x0482,
  /** The message is larger than the receiver takes. */
  TOO_LARGE: 0x0483,
  /** The message's content is not what the receiver expects. */
  INVALID: 0x0484,
  /** The application rejected the message. */
  REFUSED: 0x0486,

  /** The handler failed. */
  FAILED: 0x0501,
  /** The deadline passed while the handler ran. */
  DEADLINE: 0x0502,
  /** The sender cancelled while the handler ran. */
  CANCELLED_RUNNING: 0x0503,
  /** A fault of the receiver's library while the message was handled. */
  MESSAGE_INTERNAL: 0x0504,
  /** The response is larger than the sender takes. */
  REPLY_TOO_LARGE: 0x0505,
} as const;

const NAMES = new Map<number, string>(Object.entries(Code).map(([name, code]) => [code, name]));

/** `NO_SUCH_SESSION`, or `0x9001` for a code without a name. */
export function codeName(code: number): string {
  return NAMES.get(code) ?? `0x${code.toString(16).padStart(4, '0')}`;
}
