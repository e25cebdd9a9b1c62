import { Code, ProtocolError } from '../../wire/index.js';

/** The error to throw when the other side breaks a rule: it ends the connection with the code PROTOCOL. */
export function violation(message: string): ProtocolError {
  return new ProtocolError(Code.PROTOCOL, message);
}

/**
 * The same, for a text with one number in it: `An item before message`, 7, `is complete.` gives "An item before message
 * 7 is complete."
 *
 * A function that runs for each message calls this one instead of writing the text itself. If two branches of a function
 * write the same number into a text, the optimizing compiler turns the number into a string in front of both branches,
 * and so at each call: that cost a tenth of the throughput.
 */
export function violationOf(before: string, id: number, after: string): ProtocolError {
  return violation(`${before} ${id}${after}`);
}

/** The error to throw when a message or an item exceeds the credit of its receiver. */
export function beyondCredit(before: string, id: number, after: string): ProtocolError {
  return new ProtocolError(Code.FLOW, `${before} ${id}${after}`);
}
