import { Code, ProtocolError } from '../../wire/index.js';

/** The error to throw if the other side breaks a rule. It ends the connection with the code PROTOCOL. */
export function violation(message: string): ProtocolError {
  return new ProtocolError(Code.PROTOCOL, message);
}

/**
 * The same as `violation`, for a text with one number in it: `An item before message`, 7 and ` is complete.` give "An
 * item before message 7 is complete."
 *
 * Call this function in code that runs for each message, instead of writing the number into a text there. If two branches
 * of a function write the same number into a text, the optimizing compiler makes the string of the number in front of both
 * branches, and so at each call. That cost a tenth of the throughput.
 */
export function violationOf(before: string, id: number, after: string): ProtocolError {
  return violation(`${before} ${id}${after}`);
}

/** The same as `violationOf`, if a message or an item exceeds the credit of its receiver: the code is FLOW. */
export function beyondCredit(before: string, id: number, after: string): ProtocolError {
  return new ProtocolError(Code.FLOW, `${before} ${id}${after}`);
}
