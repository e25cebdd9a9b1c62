import { Code, ProtocolError } from '../../wire/index.js';

/** The error to throw when the other side breaks a rule: it ends the connection with the code PROTOCOL. */
export function violation(message: string): ProtocolError {
  return new ProtocolError(Code.PROTOCOL, message);
}
