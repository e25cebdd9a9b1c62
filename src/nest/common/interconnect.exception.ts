import { RpcException } from '@nestjs/microservices';
import { Code, printable } from '../../endpoint/index.js';
import type { Bytes, Executed } from '../../endpoint/index.js';
import { toBuffer } from './bytes.js';

const REJECTION = Symbol.for('nestjs-interconnect.rejection');
const DETAILS = Symbol.for('nestjs-interconnect.rejection-details');

/** What `getError()` of an `InterconnectException` gives when that carries nothing else. */
export interface InterconnectRejection {
  /** One of `Code`, or the application's own. */
  readonly code: number;
  /** The reason, in words. */
  readonly message: string;
  /** The bytes that came with it. */
  readonly data?: Buffer;
}

/** What a client knows beside code, reason and data. @internal */
export interface RejectionOrigin {
  readonly cause?: unknown;
  /** What the handler's `RpcException` carried, for `getError()`. */
  readonly error?: string | object;
}

/**
 * A message was rejected. Thrown by a handler it becomes REJECT with this code, reason and data;
 * a client's `send()` and `emit()` fail with it for every REJECT, whatever the handler threw.
 *
 * It is an `RpcException`: `getError()` gives what the handler's `RpcException` carried, and a gateway
 * may simply let it pass.
 */
export class InterconnectException extends RpcException {
  /** For logs: what `instanceof` says is what counts. */
  override readonly name = 'InterconnectException';
  /** One of `Code`, or the application's own from 0x8000 to 0xffff. */
  readonly code: number;
  /**
   * The reason, in words; empty if none were given. More than 1024 bytes of UTF-8 do not arrive. What the other side
   * said stands here as it came. In `message`, its controls and other invisible characters are escaped.
   */
  readonly reason: string;
  /** What the handler added for the caller's code; it belongs to who catches this. */
  readonly data: Buffer | undefined;

  /**
   * @param code `Code.REFUSED`, `Code.FAILED`, or one of your own: 0x8000 to 0xbfff say that the
   * message was processed all the same, 0xc000 to 0xffff that it was not. One of the library's, passed on
   * from another service, reaches the caller as FAILED, with the first code in `getError()`.
   * @param data Not copied.
   * @throws RangeError for a number that is no code (`404`, say).
   */
  constructor(code: number, reason?: string, data?: Bytes);
  /** @internal */
  constructor(code: number, reason: string, data: Bytes | undefined, origin: RejectionOrigin);
  constructor(code: number, reason = '', data?: Bytes, origin?: RejectionOrigin) {
    // A newer peer may send codes that this version does not know, hence only what is thrown here is judged.
    if (origin === undefined) assertCode(code);
    const bytes = data === undefined ? undefined : toBuffer(data);
    super(origin?.error ?? createRejection(code, reason, bytes));
    this.message = reason === '' ? `The message was rejected: ${describeCode(code)}.` : reason;
    // The other side's words.
    if (origin !== undefined) this.message = printable(this.message);
    this.code = code;
    this.reason = reason;
    this.data = bytes;
    if (origin?.cause !== undefined) this.cause = origin.cause;
  }

  /** Whether the handler ran, as far as the code tells. */
  get executed(): Executed {
    return executedOf(this.code);
  }
}

/**
 * Recognises what Nest makes of a thrown `InterconnectException`: its exception filter passes on
 * `getError()` alone. By brand, so that an application's own `{ code, message }` is not taken for one.
 */
export function isRejection(error: unknown): error is InterconnectRejection {
  return typeof error === 'object' && error !== null && REJECTION in error;
}

/** A rejection whose `getError()` at the caller gives `details`: what a filter throws in place of another error. */
export function rejectionWithDetails(code: number, message: string, details: object): object {
  const rejection = createRejection(code, message, undefined);
  return Object.defineProperty(rejection, DETAILS, { value: details });
}

/** The details of the above. */
export function detailsOf(rejection: object): object | undefined {
  return (rejection as { readonly [DETAILS]?: object })[DETAILS];
}

/** The codes a handler may reject with. All others are the library's, so that a code's origin is known. */
export function isApplicationCode(code: number): boolean {
  return code === Code.REFUSED || code === Code.FAILED || code >= 0x8000;
}

function createRejection(code: number, message: string, data: Buffer | undefined): object {
  const rejection = { code, message, ...(data !== undefined && { data }) };
  return Object.defineProperty(rejection, REJECTION, { value: true });
}

function assertCode(code: number): void {
  const known: readonly number[] = Object.values(Code);
  const isOwn = Number.isInteger(code) && code >= 0x8000 && code <= 0xffff;
  if (isOwn || (known.includes(code) && code !== Code.OK)) return;
  throw new RangeError(
    `${code} is no code to reject with: use Code.REFUSED, Code.FAILED, or one of your own from 0x8000 to 0xffff.`,
  );
}

function describeCode(code: number): string {
  const hex = `0x${code.toString(16).padStart(4, '0')}`;
  const name = Object.entries(Code).find(([, value]) => value === code)?.[0];
  return name === undefined ? `code ${hex}` : `${name} (${hex})`;
}

/** What only a handler gives, it has given; else the class of the code tells, if it is assigned. */
function executedOf(code: number): Executed {
  if (isApplicationCode(code)) return 'yes';
  const group = code >>> 8;
  if (group === 0x05) return 'yes';
  // Refused with the connection or the session, or never given to a handler.
  return group >= 0x01 && group <= 0x04 ? 'no' : 'maybe';
}
