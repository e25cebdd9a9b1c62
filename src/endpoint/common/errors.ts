/** The one error class of the library. Tell errors apart by `code`, never by their text. */
import type { Executed, Failure, FailureKind } from '../../protocol/index.js';
import { printable } from '../../wire/index.js';
import { isObject, MAX_MESSAGE, messageOf } from './words.js';

export type { Executed };

/**
 * The kinds of errors. The codes are a part of the API and do not change.
 *
 * | code | meaning |
 * | --- | --- |
 * | `IC_ERR_OPTION` | a bad option or argument: the text names the value, the limit and the remedy |
 * | `IC_ERR_LISTEN` | the listener could not bind; `cause` is the system's error |
 * | `IC_ERR_CONNECT` | no socket to the other side; `cause` is the system's error, or an `AggregateError` for several addresses |
 * | `IC_ERR_OFFLINE` | there has been no connection for longer than `whenOffline` allows; `cause` is the error of the last attempt |
 * | `IC_ERR_HANDSHAKE_TIMEOUT` | the connection was not established in time |
 * | `IC_ERR_CONNECTION_REJECTED` | the other side refused: see `status`, `reason`, `data` |
 * | `IC_ERR_CONNECTION_LOST` | the connection ended without being closed in order, and could not be resumed |
 * | `IC_ERR_IDLE_TIMEOUT` | the other side fell silent, or reads nothing |
 * | `IC_ERR_PROTOCOL` | one side broke the protocol; the connection is closed |
 * | `IC_ERR_CLOSED` | the connection was closed, by either side |
 * | `IC_ERR_DRAINING` | the other side is shutting down and takes nothing new |
 * | `IC_ERR_SESSION_REJECTED` | the other side refused the session: see `status`, `reason`, `data` |
 * | `IC_ERR_SESSION_CLOSED` | the session has ended |
 * | `IC_ERR_TIMEOUT` | the message or the session was neither accepted nor rejected in time |
 * | `IC_ERR_CANCELLED` | a signal of this side aborted the message or the attempt to connect |
 * | `IC_ERR_QUEUE_FULL` | too many messages already wait for the other side |
 * | `IC_ERR_TOO_LARGE` | a message is larger than its receiver takes |
 * | `IC_ERR_ALREADY_SETTLED` | accept, respond or reject was called a second time |
 * | `IC_ERR_REJECTED` | a stream ended with a rejection: see `status`, `reason`, `data` |
 * | `IC_ERR_UNEXPECTED_STREAM` | the response is a stream, and `send` had no `onItem` |
 */
export type ErrorCode =
  | 'IC_ERR_OPTION'
  | 'IC_ERR_LISTEN'
  | 'IC_ERR_CONNECT'
  | 'IC_ERR_OFFLINE'
  | 'IC_ERR_HANDSHAKE_TIMEOUT'
  | 'IC_ERR_CONNECTION_REJECTED'
  | 'IC_ERR_CONNECTION_LOST'
  | 'IC_ERR_IDLE_TIMEOUT'
  | 'IC_ERR_PROTOCOL'
  | 'IC_ERR_CLOSED'
  | 'IC_ERR_DRAINING'
  | 'IC_ERR_SESSION_REJECTED'
  | 'IC_ERR_SESSION_CLOSED'
  | 'IC_ERR_TIMEOUT'
  | 'IC_ERR_CANCELLED'
  | 'IC_ERR_QUEUE_FULL'
  | 'IC_ERR_TOO_LARGE'
  | 'IC_ERR_ALREADY_SETTLED'
  | 'IC_ERR_REJECTED'
  | 'IC_ERR_UNEXPECTED_STREAM';

/** The details of an `InterconnectError`, beside its code and message. */
export interface InterconnectErrorDetails {
  /** Whether the other side's handler ran. Default `'no'`. */
  readonly executed?: Executed | undefined;
  /** The wire code that the other side gave. */
  readonly status?: number | undefined;
  /** The other side's reason, for people. */
  readonly reason?: string | undefined;
  /** The other side's bytes. */
  readonly data?: Buffer | undefined;
  /** The error that caused this one, often an error of the system. */
  readonly cause?: unknown;
}

/**
 * The class of every error that this library throws, rejects with or emits. Its `message` is one line of at most 4096
 * characters. Control characters and other invisible characters in it are escaped (`\n`, `\u001b`), because the text
 * may quote the other side. `reason` and `data` are unchanged.
 */
export class InterconnectError extends Error {
  /** The kind of the error; stable across versions. */
  readonly code: ErrorCode;
  /**
   * Whether the other side's handler ran. `'no'`: it did not run and will not, so sending again is safe. `'maybe'`:
   * this is unknown. `'yes'`: it ran, but its outcome is lost. For a rejection, the code of the rejection decides: with
   * REFUSED, or with a code from 0xc000 on, a handler says that it did nothing.
   */
  readonly executed: Executed;
  /** The wire code that the other side gave (see `Code`); undefined if it gave none. */
  readonly status: number | undefined;
  /** The other side's reason, for people. */
  readonly reason: string | undefined;
  /** The other side's data; the bytes belong to the receiver of the error. */
  readonly data: Buffer | undefined;

  constructor(code: ErrorCode, message: string, details: InterconnectErrorDetails = {}) {
    const { cause } = details;
    super(printable(message, MAX_MESSAGE), cause === undefined ? undefined : { cause });
    this.code = code;
    this.executed = details.executed ?? 'no';
    this.status = details.status;
    this.reason = details.reason;
    this.data = details.data;
    Object.defineProperty(this, BRAND, { value: true });
  }

  static {
    // The name stands on the prototype: a constructor sets it too late for the first line of the stack.
    this.prototype.name = 'InterconnectError';
  }
}

/** Whether `error` is an `InterconnectError`, also one of another copy of this package. */
export function isInterconnectError(error: unknown): error is InterconnectError {
  return isObject(error) && BRAND in error;
}

/** @internal A bad option or argument. */
export function optionError(message: string): InterconnectError {
  return new InterconnectError('IC_ERR_OPTION', message);
}

/** @internal The error of a call on a connection that is closed. */
export function closedError(): InterconnectError {
  return new InterconnectError('IC_ERR_CLOSED', 'The connection is closed. Connect again.');
}

/** @internal Node refused a value in `tls`: a key, a certificate, a version. */
export function tlsError(cause: unknown): InterconnectError {
  const message = `The tls options are not usable: ${messageOf(cause)}.`;
  return new InterconnectError('IC_ERR_OPTION', message, { cause });
}

/** @internal Returns the public error for a failure that the protocol reports. */
export function errorOf(failure: Failure): InterconnectError {
  return new InterconnectError(CODES[failure.kind], failure.message, {
    executed: failure.executed,
    status: failure.code,
    reason: failure.reason,
    data: failure.data,
    cause: failure.cause,
  });
}

/**
 * @internal Returns the failure for an error: pending calls fail with the code and the details of this error, and with
 * the error as cause.
 */
export function failureOf(error: InterconnectError): Failure {
  const { code, executed, message, status, reason, data } = error;
  return {
    kind: KINDS.get(code) ?? 'connection-lost',
    executed,
    message,
    ...(status !== undefined && { code: status }),
    ...(reason !== undefined && { reason }),
    ...(data !== undefined && { data }),
    cause: error,
  };
}

const BRAND = Symbol.for('nestjs-interconnect.error');

const CODES: Readonly<Record<FailureKind, ErrorCode>> = {
  timeout: 'IC_ERR_TIMEOUT',
  'session-timeout': 'IC_ERR_TIMEOUT',
  cancelled: 'IC_ERR_CANCELLED',
  'queue-full': 'IC_ERR_QUEUE_FULL',
  'too-large': 'IC_ERR_TOO_LARGE',
  draining: 'IC_ERR_DRAINING',
  'unexpected-stream': 'IC_ERR_UNEXPECTED_STREAM',
  'session-rejected': 'IC_ERR_SESSION_REJECTED',
  'session-closed': 'IC_ERR_SESSION_CLOSED',
  'connection-rejected': 'IC_ERR_CONNECTION_REJECTED',
  'connection-lost': 'IC_ERR_CONNECTION_LOST',
  'connection-closed': 'IC_ERR_CLOSED',
  'handshake-timeout': 'IC_ERR_HANDSHAKE_TIMEOUT',
  idle: 'IC_ERR_IDLE_TIMEOUT',
  protocol: 'IC_ERR_PROTOCOL',
  offline: 'IC_ERR_OFFLINE',
  'no-socket': 'IC_ERR_CONNECT',
  'bad-option': 'IC_ERR_OPTION',
};

const KINDS: ReadonlyMap<ErrorCode, FailureKind> = new Map([
  ['IC_ERR_CONNECT', 'no-socket'],
  ['IC_ERR_OFFLINE', 'offline'],
  ['IC_ERR_OPTION', 'bad-option'],
  ['IC_ERR_HANDSHAKE_TIMEOUT', 'handshake-timeout'],
  ['IC_ERR_CONNECTION_REJECTED', 'connection-rejected'],
  ['IC_ERR_PROTOCOL', 'protocol'],
  ['IC_ERR_CANCELLED', 'cancelled'],
]);
