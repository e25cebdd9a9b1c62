/**
 * The peer broke the wire protocol, or this side was about to break it.
 *
 * `message` is a full sentence with the numbers. The peer and the logs may show the message, so it never contains payload
 * octets or tokens. Text from the peer goes through `quote`.
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
