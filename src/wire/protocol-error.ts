/**
 * The peer broke the wire protocol, or this side was about to.
 *
 * `message` is a full sentence with the numbers in it. It may be shown to the peer and logged, so
 * it never contains payload octets or tokens. Words that came from the peer go through `quote`.
 */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
  /** What to tell the peer in CLOSE; one of `Code`. [IC-1.3] */
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}
