/** The option `authorize` of a server: which peer may call which pattern. */
import type { Session } from '../../endpoint/index.js';

/** A peer that wants to call a pattern: what the option `authorize` gets. */
export interface InterconnectAccess {
  /** The registered pattern. Each pattern has one spelling, so that a list of names cannot be passed by. */
  readonly pattern: string;
  /** The extras of the handler's decorator: `@MessagePattern('import', { roles: ['admin'] })`. Of several handlers, all extras. */
  readonly extras: Readonly<Record<string, unknown>>;
  /**
   * Who the caller is: the principal that `authenticate` gave to `handshake.accept`, or the name of a verified certificate, or
   * empty.
   */
  readonly identity: string;
  /**
   * The session that the caller opens for the pattern, with its data, its metadata and its `connection`. It is neither accepted
   * nor rejected yet.
   */
  readonly session: Session;
}

/**
 * The decision: `true` allows the pattern. `false` refuses it in the same words as an unknown pattern, so that the caller does not
 * learn that it exists. `'forbidden'` refuses it with `Code.SESSION_FORBIDDEN`.
 */
export type InterconnectAccessDecision = boolean | 'forbidden';

/** The option `authorize` of a server. If it throws or rejects, the answer is `false`, and the error is logged. */
export type InterconnectAuthorize = (
  access: InterconnectAccess,
) => InterconnectAccessDecision | PromiseLike<InterconnectAccessDecision>;
