// The fields of a frame's meta, as types.

/**
 * The fields of a frame's meta. `FIELD_RULES` has the tag, the kind and the range of each field. `FRAME_RULES` lists the
 * fields that each frame may have.
 */
export interface Meta {
  /** Milliseconds that are left until the message, or the opening of the session, times out. At least 1. */
  readonly deadline?: number;
  /** Payload octets of a fragmented message, item or response: the sum of all its frames. */
  readonly total?: number;
  /** The session's name. */
  readonly name?: string;
  /** Idempotency key. */
  readonly key?: Buffer;
  /** A number of `Code`, or a code of the application. */
  readonly code?: number;
  /** A text for people and logs. It is exactly what the peer sent: escape it before you show it. */
  readonly text?: string;
  /** The sender may try again after this number of milliseconds. `NEVER_RETRY`: another try is useless. */
  readonly retryAfter?: number;
  /** Entries beside the payload, in the order in which they were sent. Names may repeat. */
  readonly metadata?: readonly (readonly [name: string, value: string])[];
  /** The largest frame body that the sender of this frame accepts, in octets. */
  readonly maxFrame?: number;
  /** The largest payload of a message, item or response that the sender of this frame accepts, in octets. */
  readonly maxMessage?: number;
  /** Milliseconds of silence until the sender of this frame ends the socket; 0 = never. */
  readonly idle?: number;
  /** Bits of `Capability`. */
  readonly caps?: number;
  /**
   * Credit for the whole connection: how many sessions the receiver of this frame may open, and how many message bytes it
   * may send.
   */
  readonly connectionCredit?: { readonly opens: number; readonly bytes: number };
  /**
   * Credit for one session: the highest message id, the number of message bytes, and the number of items of each message
   * that the receiver of this frame may send.
   */
  readonly sessionCredit?: {
    readonly messages: number;
    readonly bytes: number;
    readonly items: number;
  };
  /** The software of the sender, for logs. */
  readonly agent?: string;
  /**
   * Asks to continue the connection with this token. `received`: how many sequenced frames have arrived at the dialer.
   */
  readonly resume?: { readonly token: Buffer; readonly received: number };
  /**
   * With this token, the dialer can resume the connection within `ttl` milliseconds after the loss of its socket.
   */
  readonly token?: { readonly token: Buffer; readonly ttl: number };
  /** The connection continues. The value says how many sequenced frames have arrived at the listener. */
  readonly resumed?: number;
  /** The largest meta that the sender of this frame accepts, in octets. Without the field: `DEFAULT_META_SIZE`. */
  readonly maxMeta?: number;
}

/** A meta without fields. Shared and frozen. */
export const EMPTY_META: Meta = Object.freeze({});

/** A {@link Meta} that the decoder is still filling. */
export type MetaDraft = {
  -readonly [Field in keyof Meta]: Meta[Field];
} & { metadata?: [name: string, value: string][] };
