/** Errors of the operating system, and their descriptions for people. */

import { getSystemErrorMap, types } from 'node:util';

/** An error of `node:fs` or `node:net`, with a code such as `ENOENT`. */
export type SystemError = NodeJS.ErrnoException & { readonly code: string };

export function isSystemError(error: unknown): error is SystemError {
  return types.isNativeError(error) && 'syscall' in error && 'code' in error;
}

/** `EACCES: permission denied`: the message without the call and the path. */
export function describeSystemError(error: SystemError): string {
  const [code, text] = getSystemErrorMap().get(error.errno ?? 0) ?? [error.code, error.message];
  return `${code}: ${text}`;
}

/** An error that the user can correct. Only its message is printed, without a stack trace. */
export class UserError extends Error {
  override readonly name = 'UserError';
}
