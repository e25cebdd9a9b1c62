// The values of a meta's fields.

/**
 * The fields of a frame's meta. `FIELD_RULES` has the tag, the kind and the range of each; `FRAME_RULES` says on which
 * frame it may stand.
 */
export interface Meta {
  /** Milliseconds left until the message or the opening times out; at least 1. */
  readonly deadline?: number;
  /** Payload octets of the whole fragmented unit. */
  readonly total?: number;
  /** The session's name. */
  readonly name?: string;
  /** Idempotency key. */
  readonly key?: Buffer;
  /** One of `Code`, or an application's own. */
  readonly code?: number;
  /** For people and logs. The peer's words are unchanged: escape them before they are shown. */
  readonly text?: string;
  /** Milliseconds after which another try makes sense, or `NEVER_RETRY`. */
  readonly retryAfter?: number;
  /** Entries beside the payload, in the order in which they were sent. Names may repeat. */
  readonly metadata?: readonly (readonly [name: string, value: string])[];
  /** The largest body the sender of this frame accepts. */
  readonly maxFrame?: number;
  /** The largest message the sender of this frame accepts in one piece. */
  readonly maxMessage?: number;
  /** Milliseconds of silence until the sender of this frame ends the socket; 0 = never. */
  readonly idle?: number;
  /** Bits of `Capability`. */
  readonly caps?: number;
  /**
   * The number of sessions that the receiver of this frame may open, and of message bytes that it may send, on the whole
   * connection.
   */
  readonly connectionCredit?: { readonly opens: number; readonly bytes: number };
  /**
   * The highest message id, the message bytes and the items per message that the receiver of this
   * frame may send.
   */
  readonly sessionCredit?: {
    readonly messages: number;
    readonly bytes: number;
    readonly items: number;
  };
  /** The software of the sender, for logs. */
  readonly agent?: string;
  /**
   * Asks to continue the connection of this token. `received`: the number of sequenced frames that have arrived.
   */
  readonly resume?: { readonly token: Buffer; readonly received: number };
  /**
   * With this token the connection can be resumed within `ttl` milliseconds after its socket is
   * lost.
   */
  readonly token?: { readonly token: Buffer; readonly ttl: number };
  /** The connection continues. The value is the number of sequenced frames that have arrived. */
  readonly resumed?: number;
  /** The largest meta the sender of this frame accepts; `DEFAULT_META_SIZE` if absent. */
  readonly maxMeta?: number;
}

/** A meta without fields. Shared and frozen. */
export const EMPTY_META: Meta = Object.freeze({});

/** A {@link Meta} while it is read. */
export type MetaDraft = {
  -readonly [Field in keyof Meta]: Meta[Field];
} & { metadata?: [name: string, value: string][] };
