import { RpcException } from '@nestjs/microservices';
import { Code, executedBy, isApplicationCode, printable } from '../../endpoint/index.js';
import type { Bytes, Executed } from '../../endpoint/index.js';
import { toBuffer } from './bytes.js';

const REJECTION = Symbol.for('nestjs-interconnect.rejection');
const DETAILS = Symbol.for('nestjs-interconnect.rejection-details');

/** The value of `getError()` of an `InterconnectException` that carries nothing else. */
export interface InterconnectRejection {
  /** One of `Code`, or the application's own. */
  readonly code: number;
  /** The reason, in words. */
  readonly message: string;
  /** The bytes that came with it. */
  readonly data?: Buffer;
}

/** What a client knows besides code, reason and data. @internal */
export interface RejectionOrigin {
  readonly cause?: unknown;
  /** The value that the handler's `RpcException` carried, for `getError()`. */
  readonly error?: string | object;
  /** Whether the handler ran. */
  readonly executed: Executed;
}

/**
 * A message was rejected. If a handler throws this exception, the caller gets REJECT with its code, reason and data.
 * A client's `send()` and `emit()` fail with this exception for every REJECT, whatever the handler threw.
 *
 * It is an `RpcException`: `getError()` gives the value that the handler's `RpcException` carried, and a gateway
 * may simply let it pass.
 */
export class InterconnectException extends RpcException {
  /** For logs. To recognise the class, use `instanceof`. */
  override readonly name = 'InterconnectException';
  /** One of `Code`, or the application's own from 0x8000 to 0xffff. */
  readonly code: number;
  /**
   * The reason, in words; empty if there is none. At most 1024 bytes of UTF-8 arrive. The other side's words are unchanged
   * here. In `message`, controls and other invisible characters are escaped.
   */
  readonly reason: string;
  /** Bytes that the handler added for the caller's code. The code that catches the exception owns them. */
  readonly data: Buffer | undefined;
  readonly #executed: Executed;

  /**
   * @param code `Code.FAILED`, `Code.REFUSED`, or one of your own. FAILED and 0x8000 to 0xbfff say that the message was
   * processed all the same. REFUSED and 0xc000 to 0xffff say that it was not: throw them before you do anything. If the code is one of the library's, from another
   * service, the caller gets FAILED, with the first code in `getError()`.
   * @param data Not copied.
   * @throws RangeError for a number that is no code (`404`, say).
   */
  constructor(code: number, reason?: string, data?: Bytes);
  /** @internal */
  constructor(code: number, reason: string, data: Bytes | undefined, origin: RejectionOrigin);
  constructor(code: number, reason = '', data?: Bytes, origin?: RejectionOrigin) {
    // A newer peer may send codes that this version does not know, so only the codes of this side are checked.
    if (origin === undefined) assertCode(code);
    const bytes = data === undefined ? undefined : toBuffer(data);
    super(origin?.error ?? createRejection(code, reason, bytes));
    this.message = reason === '' ? `The message was rejected: ${describeCode(code)}.` : reason;
    // The words are the other side's.
    if (origin !== undefined) this.message = printable(this.message);
    this.code = code;
    this.reason = reason;
    this.data = bytes;
    this.#executed = origin?.executed ?? executedBy(code);
    if (origin?.cause !== undefined) this.cause = origin.cause;
  }

  /**
   * Whether the handler processed the message. `'no'`: the server refused the message before the handler, or the handler
   * rejected the message with REFUSED or a code from 0xc000, which say that it did nothing. `'maybe'`: this side cannot know.
   */
  get executed(): Executed {
    return this.#executed;
  }
}

/**
 * Recognises a thrown `InterconnectException` after Nest's exception filter, which passes on the value of `getError()`
 * alone. A brand marks that value, so that an application's own `{ code, message }` is not mistaken for it.
 */
export function isRejection(error: unknown): error is InterconnectRejection {
  return typeof error === 'object' && error !== null && REJECTION in error;
}

/** A rejection that a filter throws in place of another error. At the caller, `getError()` gives `details`. */
export function rejectionWithDetails(code: number, message: string, details: object): object {
  const rejection = createRejection(code, message, undefined);
  return Object.defineProperty(rejection, DETAILS, { value: details });
}

/** The details of a rejection that `rejectionWithDetails()` made. */
export function detailsOf(rejection: object): object | undefined {
  return (rejection as { readonly [DETAILS]?: object })[DETAILS];
}

/** Whether a handler may reject with this code. All others are the library's, so that a code tells its origin. */
export function isHandlerCode(code: number): boolean {
  return code === Code.REFUSED || code === Code.FAILED || isApplicationCode(code);
}

function createRejection(code: number, message: string, data: Buffer | undefined): object {
  const rejection = { code, message, ...(data !== undefined && { data }) };
  return Object.defineProperty(rejection, REJECTION, { value: true });
}

function assertCode(code: number): void {
  const known: readonly number[] = Object.values(Code);
  if (isApplicationCode(code) || (known.includes(code) && code !== Code.OK)) return;
  throw new RangeError(
    `${code} is not a code of a rejection. Use Code.REFUSED, Code.FAILED, or one of your own from 0x8000 to 0xffff.`,
  );
}

function describeCode(code: number): string {
  const hex = `0x${code.toString(16).padStart(4, '0')}`;
  const name = Object.entries(Code).find(([, value]) => value === code)?.[0];
  return name === undefined ? `code ${hex}` : `${name} (${hex})`;
}
