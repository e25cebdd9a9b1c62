/**
 * The peer broke the wire protocol, or this side was about to.
 *
 * `message` is a full sentence with the numbers. The peer may see it, and it may be logged, so it never contains payload
 * octets or tokens. Words from the peer go through `quote`.
 */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
  /** The code for the CLOSE that the peer gets; one of `Code`. [IC-1.3] */
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}
