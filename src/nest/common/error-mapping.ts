/**
 * The way of failures over the wire: the server makes a REJECT of a handler's error, and the client makes an exception of that
 * REJECT.
 *
 * Nest's filters run before this code and change the error. A plain `Error` arrives here as
 * `{ status: 'error', message: 'Internal server error' }`, `new RpcException('text')` as
 * `{ status: 'error', message: 'text' }`, and `new RpcException(object)` as the object. A value that a custom filter gives to
 * `throwError` arrives unchanged.
 */
import { types } from 'node:util';
import { Code, cutText, executedOf, isInterconnectError, printable } from '../../endpoint/index.js';
import type { Metadata, Outcome } from '../../endpoint/index.js';
import { INTERNAL_ERROR_MESSAGE, NO_HANDLER_MESSAGE } from './interconnect.constants.js';
import {
  detailsOf,
  InterconnectException,
  isHandlerCode,
  isRejection,
} from './interconnect.exception.js';
import { checkedText } from './json.js';
import type { JsonLimits } from './json.js';

/** The arguments of `message.reject`. */
export interface Rejection {
  readonly code: number;
  readonly reason: string;
  readonly data?: Buffer;
  readonly metadata?: Metadata;
  /** Octets of the exception's details that do not travel, because they are too many; 0 = none. */
  readonly leftOut?: number;
  /** The caller gets only "Internal server error", so the server's log must say more. */
  readonly isMasked: boolean;
}

type RejectedOutcome = Extract<Outcome, { accepted: false }>;

/** The metadata entry that marks a REJECT with the value of an `RpcException` as payload, and names its form. */
const CARRIED = 'rpc-exception';
/** The most octets of the value of an `RpcException` that travel. */
export const MAX_DETAILS = 64 * 1024;
/** The limits of that value as JSON. */
const DETAILS: JsonLimits = { depth: 64, values: MAX_DETAILS };
/** A text has neither values nor depth. */
const NO_LIMITS: JsonLimits = { depth: Infinity, values: Infinity };
/** Nest's text for an `RpcException` that has no message of its own. */
const NAMELESS = 'Rpc Exception';

const METHODS: ReadonlySet<string> = new Set([
  'constructor',
  'getError',
  'initMessage',
  'stack',
  'toJSON',
  'toString',
]);

/** The rejection for an error that Nest's filters gave: one of the Observable that a handler returned. */
export function toRejection(error: unknown): Rejection {
  const carried = hasGetError(error) ? error.getError() : error;

  if (isRejection(carried) && isHandlerCode(carried.code)) {
    const { code, message, data } = carried;
    const details = detailsOf(carried);
    if (details !== undefined) return { ...carryObject(details), code, reason: cutText(message) };
    return { code, reason: cutText(message), ...(data && { data }), isMasked: false };
  }
  if (isNestError(carried)) {
    return carried.message === INTERNAL_ERROR_MESSAGE ? masked() : carryText(carried.message);
  }
  if (typeof carried === 'string') return carryText(carried);
  if (typeof carried === 'object' && carried !== null) return carryObject(carried);
  return masked();
}

/**
 * The rejection for an error that no filter has seen: that of a filter that throws itself, or that of a function that was
 * given to `addHandler` directly. Such an error is not meant for the caller.
 */
export function toRejectionOfThrown(error: unknown): Rejection {
  return hasGetError(error) ? toRejection(error) : masked();
}

/** The client's exception for a rejection. */
export function toException(outcome: RejectedOutcome): InterconnectException {
  const { code, reason, data } = outcome;
  const executed = executedOf(outcome);
  const error = readCarried(outcome);
  if (error !== undefined) {
    return new InterconnectException(code, reason, undefined, { error, executed });
  }
  return new InterconnectException(code, reason, data.length > 0 ? data : undefined, { executed });
}

/**
 * The error of a call without an outcome. It is the core's error, unless the other side refused the session. That is a
 * rejection, and for an unknown pattern it has Nest's words.
 */
export function toCallError(error: unknown): unknown {
  if (!isInterconnectError(error) || error.code !== 'IC_ERR_SESSION_REJECTED') return error;
  const code = error.status ?? Code.SESSION_REFUSED;
  const reason = code === Code.NO_SUCH_SESSION ? NO_HANDLER_MESSAGE : (error.reason ?? '');
  const data = error.data !== undefined && error.data.length > 0 ? error.data : undefined;
  const { executed } = error;
  return new InterconnectException(code, reason, data, { cause: error, executed });
}

/**
 * Nest's TCP client fails with plain objects. An application that comes from there reads their fields, and passes them on as
 * JSON. So with `encoding: 'json'` an exception has the same fields and the same JSON.
 */
export function asTcpError(error: unknown): unknown {
  if (!(error instanceof InterconnectException)) return error;
  const carried = error.getError();
  const fields = typeof carried === 'string' ? { status: 'error', message: carried } : carried;
  const shown = isMaskedError(error) ? { status: 'error', message: error.reason } : fields;
  for (const [key, value] of Object.entries(shown)) {
    // The other side must not replace methods of the exception.
    if (METHODS.has(key)) continue;
    // The text of every error has these two. Programs read the other fields.
    const isWords = (key === 'message' || key === 'name') && typeof value === 'string';
    const field: unknown = isWords ? printable(value) : value;
    Object.defineProperty(error, key, { value: field, enumerable: true, writable: true });
  }
  // Nest keeps the carried value in a field that one of these entries may have replaced.
  Object.defineProperty(error, 'getError', { value: () => carried });
  return Object.defineProperty(error, 'toJSON', { value: () => shown });
}

function isMaskedError({ code, reason }: InterconnectException): boolean {
  return (
    (code === Code.FAILED && reason === INTERNAL_ERROR_MESSAGE) || reason === NO_HANDLER_MESSAGE
  );
}

function masked(): Rejection {
  return { code: Code.FAILED, reason: INTERNAL_ERROR_MESSAGE, isMasked: true };
}

function carryText(text: string): Rejection {
  return carry('text', cutText(text), text);
}

function carryObject(value: object): Rejection {
  const message = 'message' in value && typeof value.message === 'string' ? value.message : '';
  const reason = cutText(message === '' ? NAMELESS : message);
  const json = stringify(value);
  if (json === undefined) return { code: Code.FAILED, reason, isMasked: false };
  return carry('json', reason, json);
}

/** A rejection with details, which are left out if they are too many. The reason then still arrives. */
function carry(form: 'text' | 'json', reason: string, details: string): Rejection {
  const length = Buffer.byteLength(details, 'utf8');
  if (length > MAX_DETAILS) {
    return { code: Code.FAILED, reason, leftOut: length, isMasked: false };
  }
  return {
    code: Code.FAILED,
    reason,
    data: Buffer.from(details, 'utf8'),
    metadata: { [CARRIED]: form },
    isMasked: false,
  };
}

/** The other side chose these octets. What is malformed, or exceeds a limit, stays bytes: the exception's `data`. */
function readCarried({ metadata, data }: RejectedOutcome): string | object | undefined {
  const form = metadata[CARRIED];
  if ((form !== 'text' && form !== 'json') || data.length > MAX_DETAILS) return undefined;
  try {
    const text = checkedText(data, form === 'text' ? NO_LIMITS : DETAILS);
    return form === 'text' ? text : parse(text);
  } catch {
    return undefined;
  }
}

/** `undefined` for a value without a form in JSON, such as a circle. The reason still arrives. */
function stringify(value: object): string | undefined {
  try {
    return JSON.stringify(value, encodeSpecial);
  } catch {
    return undefined;
  }
}

function parse(json: string): object | undefined {
  const value: unknown = JSON.parse(json, decodeSpecial);
  return typeof value === 'object' && value !== null ? value : undefined;
}

/** Reads from `this`, because `toJSON` has already made an array of numbers of a Buffer in `value`. */
function encodeSpecial(this: Record<string, unknown>, key: string, value: unknown): unknown {
  const original = this[key];
  if (types.isUint8Array(original)) {
    const { buffer, byteOffset, byteLength } = original;
    return { type: 'Buffer', data: Buffer.from(buffer, byteOffset, byteLength).toString('base64') };
  }
  if (types.isNativeError(original)) return { name: original.name, message: original.message };
  return typeof value === 'bigint' ? value.toString() : value;
}

/** Leaves out the keys that would reach a prototype if the result were merged into another object. */
function decodeSpecial(key: string, value: unknown): unknown {
  if (key === '__proto__') return undefined;
  if (typeof value !== 'object' || value === null) return value;
  if (key === 'constructor' && Object.hasOwn(value, 'prototype')) return undefined;
  if ('type' in value && value.type === 'Buffer' && 'data' in value) {
    return typeof value.data === 'string' ? Buffer.from(value.data, 'base64') : value;
  }
  return value;
}

/** An `RpcException`, also one from another copy of Nest. */
function hasGetError(error: unknown): error is { getError(): unknown } {
  return (
    typeof error === 'object' &&
    error !== null &&
    'getError' in error &&
    typeof error.getError === 'function'
  );
}

/** The form that Nest's own filter gives to an error without an object: these two keys, and no other. */
function isNestError(error: unknown): error is { status: 'error'; message: string } {
  return (
    typeof error === 'object' &&
    error !== null &&
    'status' in error &&
    error.status === 'error' &&
    'message' in error &&
    typeof error.message === 'string' &&
    Object.keys(error).length === 2
  );
}
