import { Code, ProtocolError } from '../../wire/index.js';

/** The other side broke a rule; the connection ends with PROTOCOL. */
export function violation(message: string): never {
  throw new ProtocolError(Code.PROTOCOL, message);
}
