/** Who calls, and what he is told where there is no answer. */
import type { ReadPacket } from '@nestjs/microservices';
import { inspect } from 'node:util';
import { InterconnectError, messageOf, printable, quote } from '../../endpoint/index.js';
import { Cancellation } from './cancellation.js';
import { UnfitValue } from '../common/codec.js';
import { toCallError } from '../common/error-mapping.js';

/** Where the one outcome of a call goes. */
export interface Caller {
  /** Takes the values of an answer that is a stream; without it, a stream of more than one is a failure. */
  next?(value: unknown): void;
  /** After the last value of a stream whose acceptance had no value of its own; the stream may have had no value at all. */
  complete?(): void;
  /** With the one value, or that of a stream's acceptance. */
  succeed(value: unknown): void;
  fail(error: unknown): void;
}

/** What is asked of the other side. */
export interface Call {
  readonly packet: ReadPacket<unknown>;
  /** Unless the packet's record says otherwise. */
  readonly oneWay: boolean;
  /** What the handler returned is of no interest. */
  readonly isEvent: boolean;
  readonly signal: AbortSignal | undefined;
  readonly caller: Caller;
}

/** With what there is where there is no outcome. Who has unsubscribed is told nothing; who aborted his own signal is. */
export function fail({ caller, signal }: Call, error: unknown): void {
  if (signal?.aborted === true && signal instanceof Cancellation) return;
  caller.fail(toCallError(error));
}

/** A pattern in a sentence. Not by JSON alone, which throws for a circle or a bigint. */
export function describePattern(pattern: unknown): string {
  return typeof pattern === 'string'
    ? quote(pattern, 256)
    : printable(inspect(pattern, { depth: 2 }), 256);
}

/** The caller's mistake: nothing was sent. */
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
  // What came before it may have started the handler.
  return new InterconnectError('IC_ERR_OPTION', message, { executed: 'maybe', cause });
}

export function unexpectedStream(pattern: unknown): InterconnectError {
  return new InterconnectError(
    'IC_ERR_UNEXPECTED_STREAM',
    `The answer of ${describePattern(pattern)} has more than one value, and request() gives one. Use send(), which ` +
      'emits each.',
    { executed: 'yes' },
  );
}

/** The answer is a stream that ended without a value, and the caller takes exactly one. */
export function emptyStream(pattern: unknown): InterconnectError {
  return new InterconnectError(
    'IC_ERR_UNEXPECTED_STREAM',
    `The answer of ${describePattern(pattern)} is a stream that ended without a value, and request() gives one. Use ` +
      'send(), which completes without a value; firstValueFrom(client.send(…), { defaultValue }) gives a value of yours.',
    { executed: 'yes' },
  );
}

export function undecodable(pattern: unknown, cause: unknown): InterconnectError {
  const message = `The answer of ${describePattern(pattern)} cannot be decoded: ${messageOf(cause)}`;
  return new InterconnectError('IC_ERR_OPTION', message, { executed: 'yes', cause });
}
