// The numbers of the wire protocol: every identifier and every hard limit, and nothing that
// computes with them.

/** Octets of the preface each side sends once per socket. */
export const PREFACE_LENGTH = 8;
/** The protocol version this code speaks; the last octet of the preface. */
export const VERSION = 1;

/** Octets of every frame header. */
export const HEADER_LENGTH = 16;
/** The largest body a header can announce: meta and payload together. */
export const MAX_BODY_LENGTH = 0xffffff;
/** The largest meta a header can announce. */
export const MAX_META_LENGTH = 0xffff;
/** The largest session or message id; 31 bits, so that ids stay small integers in V8. */
export const MAX_ID = 0x7fffffff;
/**
 * Payload octets a frame with MORE carries at least, so that nobody can send a message octet by
 * octet.
 */
export const MIN_FRAGMENT = 4096;

/** Range of MAX_FRAME, the largest body a peer may announce to accept. */
export const MIN_FRAME_SIZE = 16_384;
/** See {@link MIN_FRAME_SIZE}. */
export const MAX_FRAME_SIZE = 0xffffff;
/** The smallest MAX_META a peer may announce: a name or a text, and what stands beside it, always fits. */
export const MIN_META_SIZE = 2048;
/** What holds where a peer announces no MAX_META. */
export const DEFAULT_META_SIZE = 8192;

/** Octets of a session name, at most; at least one. */
export const MAX_NAME = 1024;
/** Octets of TEXT, at most. */
export const MAX_TEXT = 1024;
/** METADATA entries in one frame, at most. */
export const MAX_METADATA_ENTRIES = 64;
/** Octets of a METADATA entry's name, at most; at least one. */
export const MAX_METADATA_NAME = 255;
/** Octets of AGENT, at most. */
export const MAX_AGENT = 128;
/** Octets of an idempotency key, at most; at least one. */
export const MAX_KEY = 64;
/** Octets of a connection token. */
export const TOKEN_LENGTH = 32;
/** RETRY_AFTER's way to say: do not retry. */
export const NEVER_RETRY = 0xffffffff;

/** What a frame is. 0x01–0x0f concern the connection, 0x10–0x1f a session, 0x20–0x7f a message. */
export const FrameType = {
  /** The dialer's limits and connect data. */
  HELLO: 0x01,
  /** The listener's limits and accept data; a token, or the answer to a resume. */
  WELCOME: 0x02,
  /** Asks for a PONG with the same id. */
  PING: 0x03,
  /** Answers a PING. */
  PONG: 0x04,
  /** Raises an absolute limit; the connection's form also acknowledges sequenced frames. */
  CREDIT: 0x05,
  /** Start of a drain: send nothing new. */
  GOAWAY: 0x06,
  /** The last frame of a socket. */
  CLOSE: 0x07,
  /** Opens a session. */
  OPEN: 0x10,
  /** The session is accepted. */
  OPENED: 0x11,
  /** The session is refused, ended (code 0) or aborted. */
  END: 0x12,
  /** A new message. */
  SEND: 0x20,
  /** The next piece of the unit in progress for its (session, id, REPLY). */
  FRAG: 0x21,
  /** One element of a streamed request or response. */
  ITEM: 0x22,
  /** The message's final success, with or without data. */
  ACCEPT: 0x23,
  /** The message's final failure. */
  REJECT: 0x24,
  /** The sender no longer wants the outcome, or gives up its own upload. */
  CANCEL: 0x25,
} as const;

/**
 * Types from here on may be ignored by who does not know them; an unknown type below is an error.
 */
export const FIRST_IGNORABLE_TYPE = 0x80;

/** Header flags. The bits above END are reserved and must be zero. */
export const Flag = {
  /** The unit continues in FRAG frames. */
  MORE: 0x01,
  /** The id was given by the receiver of this frame. */
  REPLY: 0x02,
  /** No settlement is wanted (SEND). */
  ONEWAY: 0x04,
  /** The request is a stream: ITEMs follow (SEND). The answer is a stream, which ends here (ACCEPT). */
  STREAM: 0x08,
  /** Last element of a request stream (ITEM). */
  END: 0x10,
} as const;

/** All flag bits that mean something in this version. */
export const DEFINED_FLAGS = 0x1f;

/** Fields of the meta. 0x00 is no field; 0x04–0x06, 0x0c, 0x17 and 0x1b are reserved. */
export const Tag = {
  /**
   * u32, milliseconds left, at least 1. Always the first field, so that a replay can patch it in
   * place.
   */
  DEADLINE: 0x01,
  /** u64, payload octets of the whole fragmented unit. */
  TOTAL: 0x02,
  /** UTF-8, the session's name. */
  NAME: 0x03,
  /** Opaque idempotency key. */
  KEY: 0x07,
  /** u16, one of `Code`. */
  CODE: 0x08,
  /** UTF-8 for people and logs. */
  TEXT: 0x09,
  /** u32, milliseconds; {@link NEVER_RETRY} = do not retry. */
  RETRY_AFTER: 0x0a,
  /** u8 length of the name, name, value; the only tag that may repeat. */
  METADATA: 0x0b,
  /** u32, the largest body its sender accepts. */
  MAX_FRAME: 0x10,
  /** u64, the largest message its sender accepts in one piece. */
  MAX_MESSAGE: 0x11,
  /** u32, milliseconds of silence until its sender gives the peer up; 0 = never. */
  IDLE: 0x12,
  /** u32, bits of {@link Capability}. */
  CAPS: 0x13,
  /** u32 opens, u32 bytes. */
  CONNECTION_CREDIT: 0x14,
  /** u32 messages, u32 bytes, u32 items. */
  SESSION_CREDIT: 0x15,
  /** UTF-8, who is speaking, for logs. */
  AGENT: 0x16,
  /** Token, u32 count of sequenced frames received. */
  RESUME: 0x18,
  /** Token, u32 milliseconds it stays valid without a socket. */
  TOKEN: 0x19,
  /** u32, count of sequenced frames received: the connection continues. */
  RESUMED: 0x1a,
  /** u16, the largest meta its sender accepts. */
  MAX_META: 0x1c,
} as const;

/** Tags from here on are skipped by who does not know them; an unknown tag below is an error. */
export const FIRST_IGNORABLE_TAG = 0x80;

/**
 * Bits of CAPS. In force is what both sides set; bits 1 and 2 are reserved, unknown bits are
 * ignored.
 */
export const Capability = {
  /** The connection survives its socket. */
  RESUME: 0x01,
} as const;

/** True for the frame types that are counted, acknowledged and replayed on resume. */
export function isSequenced(type: number): boolean {
  return type >= 0x10 && type <= 0x7f;
}

/** A buffer without octets, for every field that has none. */
export const EMPTY = Buffer.alloc(0);
