// Codes: the reasons why a connection, a session or a message was refused or ended. A code is a u16, and its high octet is
// its class. The class says what the other side can do. All arithmetic with classes is in this file.

/**
 * Codes of CLOSE, GOAWAY, WELCOME, END and REJECT.
 *
 * - 01xx: a fault that ends the connection for good
 * - 02xx: the life of sockets and connections
 * - 03xx: the session
 * - 0400 to 047f: the message was not processed, and another try can help
 * - 0480 to 04ff: the message was not processed, and another try is hopeless
 * - 05xx: the message was processed, perhaps in part
 * - 06xx: for a library's own use; such a code is never sent
 * - 8000 to bfff: the application's own; the message was processed
 * - c000 to ffff: the application's own; the message was not processed
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
  /** Too many useless frames. */
  CALM: 0x0109,

  /** The peer sent no proof of its identity, or a wrong one. */
  UNAUTHENTICATED: 0x0201,
  /** The peer is known and not allowed to connect. */
  FORBIDDEN: 0x0202,
  /** There is no room for another connection now. */
  OVERLOADED: 0x0203,
  /** The process is shutting down. */
  DRAINING: 0x0204,
  /** The connection to resume is unknown: it never existed, or it has ended. */
  RESUME_UNKNOWN: 0x0205,
  /** The connection to resume is known, but frames that have to be repeated are lost. */
  RESUME_GAP: 0x0206,
  /** Another socket has resumed this connection. */
  SUPERSEDED: 0x0207,
  /** No octets arrived within the idle time. */
  IDLE: 0x0209,
  /** The peer does not read. */
  STALLED: 0x020a,
  /** The handshake was not finished in time. */
  HANDSHAKE_TIMEOUT: 0x020b,
  /** A fault of this side's library. */
  INTERNAL: 0x020d,

  /** No application serves sessions of this name. */
  NO_SUCH_SESSION: 0x0301,
  /** The application serves this session, but this peer is not allowed to open it. */
  SESSION_FORBIDDEN: 0x0302,
  /** Too many sessions are open. */
  SESSION_LIMIT: 0x0303,
  /** The application refused the session. */
  SESSION_REFUSED: 0x0304,
  /** The application failed while it judged or served the session. */
  SESSION_FAILED: 0x0305,
  /** The session was unused for too long. */
  SESSION_IDLE: 0x0306,
  /** The session was neither accepted nor rejected in time. */
  SESSION_TIMEOUT: 0x0307,

  /** There is no capacity for the message now. */
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
  /** The message exceeds the receiver's size limit. */
  TOO_LARGE: 0x0483,
  /** The receiver cannot read the content of the message, or does not take content of its kind. */
  INVALID: 0x0484,
  /** The application rejected the message, and did nothing for it. */
  REFUSED: 0x0486,

  /** The handler failed. */
  FAILED: 0x0501,
  /** The deadline passed while the handler ran. */
  DEADLINE: 0x0502,
  /** The sender cancelled while the handler ran. */
  CANCELLED_RUNNING: 0x0503,
  /** A fault of the receiver's library while the message was handled. */
  MESSAGE_INTERNAL: 0x0504,
  /** The response exceeds the size limit of the message's sender. */
  REPLY_TOO_LARGE: 0x0505,
} as const;

/** From this code on, codes are the application's own. */
export const FIRST_APPLICATION_CODE = 0x8000;

/** Whether the number is a code of the application's own. */
export function isApplicationCode(code: number): boolean {
  return Number.isInteger(code) && code >= FIRST_APPLICATION_CODE && code <= 0xffff;
}

/**
 * Returns whether a message was processed, judged by the code of its REJECT. With REFUSED, and with a code from 0xc000
 * on, the handler itself states that it did nothing.
 */
export function executedBy(code: number): 'no' | 'yes' | 'maybe' {
  // The application may have kept the message in a queue of its own. The protocol cannot see whether its work had begun.
  if (code === Code.DEADLINE || code === Code.CANCELLED_RUNNING) return 'maybe';
  const group = code >>> 8;
  if (group === 0x04 || group >= 0xc0) return 'no';
  return group === 0x05 || group >= 0x80 ? 'yes' : 'maybe';
}

/** Whether a CLOSE of this code ends the connection, and not only the socket. [IC-12.15] [IC-13.1] */
export function endsConnection(code: number): boolean {
  return (
    code >>> 8 <= 0x01 ||
    code === Code.UNAUTHENTICATED ||
    code === Code.FORBIDDEN ||
    isApplicationCode(code)
  );
}

/** Whether REJECT may bear this code. OK, the codes of the connection (classes 01 and 02) and class 06 are not allowed. */
export function canReject(code: number): boolean {
  const group = code >>> 8;
  return group > 0x02 && group !== 0x06;
}

const NAMES = new Map<number, string>(Object.entries(Code).map(([name, code]) => [code, name]));

/** `NO_SUCH_SESSION`, or `0x9001` for a code without a name. */
export function codeName(code: number): string {
  return NAMES.get(code) ?? `0x${code.toString(16).padStart(4, '0')}`;
}
