// The numbers of the wire protocol: every identifier and every hard limit.

/** Octets of the preface. Each side sends one preface per socket. */
export const PREFACE_LENGTH = 8;
/** The protocol version that this code speaks. It is the last octet of the preface. */
export const VERSION = 1;

/** Octets of every frame header. */
export const HEADER_LENGTH = 16;
/** The largest body a header can announce: meta and payload together. */
export const MAX_BODY_LENGTH = 0xffffff;
/** The largest meta a header can announce. */
export const MAX_META_LENGTH = 0xffff;
/** The largest session or message id; 31 bits, so that ids stay small integers in V8. */
export const MAX_ID = 0x7fffffff;
/** The least payload of a frame with MORE, in octets. Without this rule a peer could send a message octet by octet. */
export const MIN_FRAGMENT = 4096;

/** The least value of the field MAX_FRAME, in which a peer announces the largest frame body that it accepts. */
export const MIN_FRAME_SIZE = 16_384;
/** The greatest value of the field MAX_FRAME. */
export const MAX_FRAME_SIZE = 0xffffff;
/** The least value of the field MAX_META. The longest name or text fits, together with the other fields of its frame. */
export const MIN_META_SIZE = 2048;
/** The largest meta that a peer accepts if it announces no MAX_META. */
export const DEFAULT_META_SIZE = 8192;

/** The most octets of a session name. The least is one. */
export const MAX_NAME = 1024;
/** The most octets of TEXT. */
export const MAX_TEXT = 1024;
/** The most METADATA entries in one frame. */
export const MAX_METADATA_ENTRIES = 64;
/** The most octets of a METADATA entry's name. The least is one. */
export const MAX_METADATA_NAME = 255;
/** The most octets of AGENT. */
export const MAX_AGENT = 128;
/** The most octets of an idempotency key. The least is one. */
export const MAX_KEY = 64;
/** Octets of a connection token. */
export const TOKEN_LENGTH = 32;
/** The value of RETRY_AFTER that means: do not retry. */
export const NEVER_RETRY = 0xffffffff;

/** Frame types. 0x01 to 0x0f concern the connection, 0x10 to 0x1f a session, 0x20 to 0x7f a message. */
export const FrameType = {
  /** The dialer's limits and connect data. */
  HELLO: 0x01,
  /** The listener's limits and accept data, and either a token or the answer to a resume. */
  WELCOME: 0x02,
  /** Asks for a PONG with the same id. */
  PING: 0x03,
  /** Answers a PING. */
  PONG: 0x04,
  /** Raises limits, which are absolute numbers. The form for the connection also acknowledges sequenced frames. */
  CREDIT: 0x05,
  /** Begins a drain: the peer must not send new messages. */
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
  /** The next piece of a fragmented SEND, ITEM, ACCEPT or REJECT that has the same session, id and REPLY flag. */
  FRAG: 0x21,
  /** One element of a streamed request or response. */
  ITEM: 0x22,
  /** The message's final success, with or without data. */
  ACCEPT: 0x23,
  /** The message's final failure. */
  REJECT: 0x24,
  /** The sender no longer wants the outcome, or stops sending its request. */
  CANCEL: 0x25,
} as const;

/** A receiver ignores an unknown type from this number on. An unknown type below this number is an error. */
export const FIRST_IGNORABLE_TYPE = 0x80;

/** Header flags. The bits above END are reserved and must be zero. */
export const Flag = {
  /** The payload continues in FRAG frames. */
  MORE: 0x01,
  /** The receiver of this frame chose the message id. */
  REPLY: 0x02,
  /** SEND: the sender wants no settlement. */
  ONEWAY: 0x04,
  /** SEND: the request is a stream, so ITEMs follow. ACCEPT: the response is a stream, and this frame ends it. */
  STREAM: 0x08,
  /** ITEM: the last element of a request stream. */
  END: 0x10,
} as const;

/** All flags of this version. */
export const DEFINED_FLAGS = 0x1f;

/**
 * Tags of the fields. `Meta` describes the meaning of each field, and `FIELD_RULES` its kind and its range. The tag 0x00
 * is illegal. The tags 0x04 to 0x06, 0x0c, 0x17 and 0x1b are reserved.
 */
export const Tag = {
  /** Always the first field, so that a replay can overwrite it in place. */
  DEADLINE: 0x01,
  TOTAL: 0x02,
  NAME: 0x03,
  KEY: 0x07,
  CODE: 0x08,
  TEXT: 0x09,
  RETRY_AFTER: 0x0a,
  /** The only tag that may repeat. */
  METADATA: 0x0b,
  MAX_FRAME: 0x10,
  MAX_MESSAGE: 0x11,
  IDLE: 0x12,
  CAPS: 0x13,
  CONNECTION_CREDIT: 0x14,
  SESSION_CREDIT: 0x15,
  AGENT: 0x16,
  RESUME: 0x18,
  TOKEN: 0x19,
  RESUMED: 0x1a,
  MAX_META: 0x1c,
} as const;

/** A receiver skips an unknown tag from this number on. An unknown tag below this number is an error. */
export const FIRST_IGNORABLE_TAG = 0x80;

/** Bits of CAPS. A capability is in force if both sides set its bit. Bits 1 and 2 are reserved. Unknown bits are ignored. */
export const Capability = {
  /** The connection survives its socket. */
  RESUME: 0x01,
} as const;

/** True for the frame types that are counted, acknowledged and replayed on resume. */
export function isSequenced(type: number): boolean {
  return type >= 0x10 && type <= 0x7f;
}

/** An empty buffer. All values without octets share it. */
export const EMPTY = Buffer.alloc(0);
