/**
 * How failures cross the wire, both ways, in one place: what a handler threw becomes a REJECT at the
 * server, and that REJECT an exception at the client.
 *
 * Nest's filters run before us and leave little of the error: a plain `Error` arrives here as
 * `{ status: 'error', message: 'Internal server error' }`, `new RpcException('text')` as
 * `{ status: 'error', message: 'text' }`, `new RpcException(object)` as the object, and what a custom
 * filter gives to `throwError` as it is.
 */
import { types } from 'node:util';
import { Code, cutText, isInterconnectError, printable } from '../../endpoint/index.js';
import type { Metadata, Outcome } from '../../endpoint/index.js';
import { INTERNAL_ERROR_MESSAGE, NO_HANDLER_MESSAGE } from './interconnect.constants.js';
import {
  detailsOf,
  InterconnectException,
  isHandlerCode,
  isRejection,
} from './interconnect.exception.js';

/** What `message.reject` is called with. */
export interface Rejection {
  readonly code: number;
  readonly reason: string;
  readonly data?: Buffer;
  readonly metadata?: Metadata;
  /** The caller learns nothing but "Internal server error": the server's log has to say more. */
  readonly isMasked: boolean;
}

type RejectedOutcome = Extract<Outcome, { accepted: false }>;

/** Marks a REJECT whose payload is what an `RpcException` carried, and says in which form. */
const CARRIED = 'rpc-exception';
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

/** For what Nest's filters let through: the errors of the Observable a handler gives back. */
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
 * For what a handler threw past every filter: a filter that throws itself, or a function that was given
 * to `addHandler` directly. Nobody meant such an error for the caller.
 */
export function toRejectionOfThrown(error: unknown): Rejection {
  return hasGetError(error) ? toRejection(error) : masked();
}

/** The client's side of the two above. */
export function toException(outcome: RejectedOutcome): InterconnectException {
  const { code, reason, data } = outcome;
  const error = readCarried(outcome);
  if (error !== undefined) return new InterconnectException(code, reason, undefined, { error });
  return new InterconnectException(code, reason, data.length > 0 ? data : undefined, {});
}

/**
 * What a call that got no outcome fails with: the core's error, unless it was the other side that
 * refused the session. That is a rejection like any other, and for an unknown pattern it has Nest's words.
 */
export function toCallError(error: unknown): unknown {
  if (!isInterconnectError(error) || error.code !== 'IC_ERR_SESSION_REJECTED') return error;
  const code = error.status ?? Code.SESSION_REFUSED;
  const reason = code === Code.NO_SUCH_SESSION ? NO_HANDLER_MESSAGE : (error.reason ?? '');
  const data = error.data !== undefined && error.data.length > 0 ? error.data : undefined;
  return new InterconnectException(code, reason, data, { cause: error });
}

/**
 * What Nest's TCP client fails with are plain objects. An application that comes from there reads their fields, and
 * gives them on as JSON: with `encoding: 'json'` an exception shows the same fields, and is the same JSON.
 */
export function asTcpError(error: unknown): unknown {
  if (!(error instanceof InterconnectException)) return error;
  const carried = error.getError();
  const fields = typeof carried === 'string' ? { status: 'error', message: carried } : carried;
  const shown = isMaskedError(error) ? { status: 'error', message: error.reason } : fields;
  for (const [key, value] of Object.entries(shown)) {
    // What an exception can do is not the other side's to replace.
    if (METHODS.has(key)) continue;
    // These two stand in the text of every error; the others are fields that programs read.
    const isWords = (key === 'message' || key === 'name') && typeof value === 'string';
    const field: unknown = isWords ? printable(value) : value;
    Object.defineProperty(error, key, { value: field, enumerable: true, writable: true });
  }
  // Nest keeps what it carries in a field that one of these may have replaced.
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
  return {
    code: Code.FAILED,
    reason: cutText(text),
    data: Buffer.from(text, 'utf8'),
    metadata: { [CARRIED]: 'text' },
    isMasked: false,
  };
}

function carryObject(value: object): Rejection {
  const message = 'message' in value && typeof value.message === 'string' ? value.message : '';
  const reason = cutText(message === '' ? NAMELESS : message);
  const json = stringify(value);
  if (json === undefined) return { code: Code.FAILED, reason, isMasked: false };
  return {
    code: Code.FAILED,
    reason,
    data: Buffer.from(json, 'utf8'),
    metadata: { [CARRIED]: 'json' },
    isMasked: false,
  };
}

function readCarried({ metadata, data }: RejectedOutcome): string | object | undefined {
  if (metadata[CARRIED] === 'text') return data.toString('utf8');
  return metadata[CARRIED] === 'json' ? parse(data.toString('utf8')) : undefined;
}

/** `undefined` for what JSON has no form for (a circle, say): the reason still arrives. */
function stringify(value: object): string | undefined {
  try {
    return JSON.stringify(value, encodeSpecial);
  } catch {
    return undefined;
  }
}

/** The other side chose these bytes: whatever they are, the caller gets an exception and not a crash. */
function parse(json: string): object | undefined {
  try {
    const value: unknown = JSON.parse(json, decodeSpecial);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Reads from `this`, because `value` has been through `toJSON`, which makes an array of numbers of a Buffer. */
function encodeSpecial(this: Record<string, unknown>, key: string, value: unknown): unknown {
  const original = this[key];
  if (types.isUint8Array(original)) {
    const { buffer, byteOffset, byteLength } = original;
    return { type: 'Buffer', data: Buffer.from(buffer, byteOffset, byteLength).toString('base64') };
  }
  if (types.isNativeError(original)) return { name: original.name, message: original.message };
  return typeof value === 'bigint' ? value.toString() : value;
}

/** Leaves out the keys by which a later merge into another object would reach a prototype. */
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

/** The form Nest's own filter gives to an error without an object of its own: these two keys, no other. */
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
