/** The errors of calls that got no response, or a response that their caller cannot take. */
import { inspect } from 'node:util';
import { InterconnectError, messageOf, printable, quote } from '../../endpoint/index.js';
import { Cancellation } from './cancellation.js';
import { UnfitValue } from '../common/codec.js';
import { toCallError } from '../common/error-mapping.js';
import type { Call } from './call.js';

/** Fails a call without an outcome. A caller who has unsubscribed is not told; one who aborted a signal of its own is. */
export function fail({ caller, signal }: Call, error: unknown): void {
  if (signal?.aborted === true && signal instanceof Cancellation) return;
  caller.fail(toCallError(error));
}

/** A pattern in a sentence. JSON would throw for a circle or a bigint. */
export function describePattern(pattern: unknown): string {
  return typeof pattern === 'string'
    ? quote(pattern, 256)
    : printable(inspect(pattern, { depth: 2 }), 256);
}

/** The caller's mistake, found before anything was sent. */
export function refused(message: string, cause?: unknown): InterconnectError {
  return new InterconnectError('IC_ERR_OPTION', message, { executed: 'no', cause });
}

export function unencodable(pattern: unknown, cause: unknown): InterconnectError {
  const what = `The data for ${describePattern(pattern)}`;
  const verb = cause instanceof UnfitValue ? 'is ' : 'cannot be encoded: ';
  return refused(`${what} ${verb}${messageOf(cause)}`, cause);
}

export function unfitItem(pattern: unknown, cause: Error): InterconnectError {
  const message = `An item of the data for ${describePattern(pattern)} is ${cause.message}`;
  // The items before this one may have started the handler.
  return new InterconnectError('IC_ERR_OPTION', message, { executed: 'maybe', cause });
}

export function unexpectedStream(pattern: unknown): InterconnectError {
  return new InterconnectError(
    'IC_ERR_UNEXPECTED_STREAM',
    `The response of ${describePattern(pattern)} has more than one value, and request() gives one. Use send(), which ` +
      'emits each.',
    { executed: 'yes' },
  );
}

/** The response is a stream that ended without a value, and the caller takes exactly one. */
export function emptyStream(pattern: unknown): InterconnectError {
  return new InterconnectError(
    'IC_ERR_UNEXPECTED_STREAM',
    `The response of ${describePattern(pattern)} is a stream that ended without a value, and request() gives one. Use ` +
      'send(), which completes without a value; firstValueFrom(client.send(…), { defaultValue }) gives a value of yours.',
    { executed: 'yes' },
  );
}

export function undecodable(pattern: unknown, cause: unknown): InterconnectError {
  const message = `The response of ${describePattern(pattern)} cannot be decoded: ${messageOf(cause)}`;
  return new InterconnectError('IC_ERR_OPTION', message, { executed: 'yes', cause });
}
