/** Errors of the operating system, and how to say them to a person. */

import { getSystemErrorMap, types } from 'node:util';

/** What `node:fs` and `node:net` throw: an error with a code such as `ENOENT`. */
export type SystemError = NodeJS.ErrnoException & { readonly code: string };

export function isSystemError(error: unknown): error is SystemError {
  return types.isNativeError(error) && 'syscall' in error && 'code' in error;
}

/** `EACCES: permission denied`, without the call and the path that the message has as well. */
export function describeSystemError(error: SystemError): string {
  const [code, text] = getSystemErrorMap().get(error.errno ?? 0) ?? [error.code, error.message];
  return `${code}: ${text}`;
}

/** Something the user can put right. Its message is all that is printed: no stack trace. */
export class UserError extends Error {
  override readonly name = 'UserError';
}
