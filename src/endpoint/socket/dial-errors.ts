/** The reasons why there is no connection: of one attempt, and of a whole round through all addresses. */
import type { Failure } from '../../protocol/index.js';
import { Code, isApplicationCode } from '../../wire/index.js';
import { errorOf, InterconnectError, isInterconnectError } from '../common/errors.js';
import { messageOf, systemCodeOf, tame } from '../common/words.js';

/** The address of the other side: a TCP address, or a Unix socket. */
export interface Address {
  /** Name or address. Default `localhost`. */
  host?: string | undefined;
  /** 1 … 65,535; required without `path`. */
  port?: number | undefined;
  /** A Unix socket, instead of host and port. */
  path?: string | undefined;
}

/** @internal One attempt at one address, or one round of attempts at all of them, that brought no connection. */
export interface DialFailure {
  /** The error for the caller. */
  readonly error: InterconnectError;
  /** The error's text without the address and the final period, for a sentence of another error. */
  readonly reason: string;
  /**
   * True if waiting cannot help: one side refused the other or its certificate, or an option is wrong. A round is
   * lasting if this holds for every address.
   */
  readonly isLasting: boolean;
  /** The other side has refused this side, or speaks another protocol. */
  readonly isRefusal: boolean;
}

/** Returns the text of an address. */
function nameOf({ host = 'localhost', port, path }: Address): string {
  if (path !== undefined) return path;
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** @internal Returns the text of several addresses. */
export function namesOf(addresses: readonly Address[]): string {
  const names = addresses.slice(0, MOST_NAMES).map(nameOf);
  const rest = addresses.length - names.length;
  return rest > 0 ? `${names.join(', ')} and ${rest} more` : names.join(', ');
}

/**
 * @internal There was no socket, or the socket ended before the handshake did. `stage`: `encrypting` during the TLS
 * handshake, `encrypted` after it, `plain` without TLS.
 */
export function noSocket(
  address: Address,
  cause: Error,
  stage: 'plain' | 'encrypting' | 'encrypted',
): DialFailure {
  // Node's text may quote names in the other side's certificate.
  tame(cause);
  // Node tried several addresses of one name, and puts their reasons inside.
  const causes: unknown[] =
    'errors' in cause && Array.isArray(cause.errors) ? cause.errors : [cause];
  const reason = withoutPeriod(causes.map(messageOf).join('; ')) || messageOf(cause);
  const message = `No connection to ${nameOf(address)}: ${reason}.${explanationOf(cause, stage)}`;
  const error = new InterconnectError('IC_ERR_CONNECT', message, { cause });
  return failed(error, reason, isTlsFault(cause));
}

/** @internal TLS is established, and its result is not acceptable. `fault`: the end of a sentence. */
export function badTls(address: Address, fault: string): DialFailure {
  const reason = `the socket ${fault}`;
  const message = `No connection to ${nameOf(address)}: ${reason}.`;
  return failed(new InterconnectError('IC_ERR_CONNECT', message), reason, true);
}

/** @internal An option that is a function threw, or its promise rejected. */
export function optionFailed(address: Address, cause: unknown): DialFailure {
  // The function's value is invalid, and would be invalid at the next attempt too.
  if (isInterconnectError(cause) && cause.code === 'IC_ERR_OPTION') {
    return failed(cause, withoutPeriod(cause.message), true);
  }
  const reason = `the function in the options failed: ${withoutPeriod(messageOf(cause))}`;
  const message = `No connection to ${nameOf(address)}: ${reason}.`;
  return failed(new InterconnectError('IC_ERR_CONNECT', message, { cause }), reason, false);
}

/** @internal The time of the attempt was over. `stage`: how far the attempt had come. */
export function tooLate(address: Address, stage: string, handshakeTimeout: number): DialFailure {
  const reason = `${stage} within the handshakeTimeout of ${handshakeTimeout} ms`;
  const message = `No connection to ${nameOf(address)}: ${reason}.`;
  return failed(new InterconnectError('IC_ERR_HANDSHAKE_TIMEOUT', message), reason, false);
}

/** @internal The handshake ended without a connection. */
export function noWelcome(address: Address, failure: Failure): DialFailure {
  const isRejected = failure.kind === 'connection-rejected';
  const reason = withoutPeriod(failure.message);
  const message = isRejected ? failure.message : `${nameOf(address)}: ${failure.message}`;
  const error = errorOf({ ...failure, message });
  return failed(error, reason, isDecision(error));
}

/** @internal Returns the failure of a round. `failures`: one for each address. */
export function roundOf(
  addresses: readonly Address[],
  failures: readonly DialFailure[],
): DialFailure {
  const [first] = failures;
  if (failures.length === 1 && first !== undefined) return first;
  const reasons = failures.map(
    ({ reason }, index) => `${nameOf(addresses[index] ?? {})}: ${reason}`,
  );
  const reason = reasons.join('; ');
  // An error from the other side itself says more than a port without a listener.
  const telling = failures.toSorted((one, other) => rankOf(one) - rankOf(other))[0]?.error;
  const cause = new AggregateError(
    failures.map(({ error }) => error),
    reason,
  );
  const error = new InterconnectError(
    telling?.code ?? 'IC_ERR_CONNECT',
    `No connection to any of ${failures.length} addresses. ${reason}.`,
    { cause, status: telling?.status, reason: telling?.reason, data: telling?.data },
  );
  const isLasting = failures.every((each) => each.isLasting);
  return { error, reason, isLasting, isRefusal: failures.every((each) => each.isRefusal) };
}

/** @internal The signal of the options has aborted. */
export function cancelledError(): InterconnectError {
  return new InterconnectError(
    'IC_ERR_CANCELLED',
    'The attempt to connect was aborted by its signal.',
  );
}

/** @internal Returns the error for a socket that was closed for an unknown reason. */
export function socketClosed(): Error {
  return new Error('the socket was closed');
}

function failed(error: InterconnectError, reason: string, isLasting: boolean): DialFailure {
  return { error, reason, isLasting, isRefusal: isRefusal(error) };
}

/** A side that is not authenticated twice in a row will not be at the third time. */
function isRefusal({ code, status }: InterconnectError): boolean {
  if (code === 'IC_ERR_PROTOCOL') return true;
  return status === Code.UNAUTHENTICATED || status === Code.FORBIDDEN || status === Code.VERSION;
}

/** Whether the other side made a decision, rather than reporting its current state. */
function isDecision(error: InterconnectError): boolean {
  return isRefusal(error) || isApplicationCode(error.status ?? Code.OK);
}

/** Whether TLS failed because one side does not accept the other. Node has no common mark for these codes. */
function isTlsFault(cause: Error): boolean {
  const code = systemCodeOf(cause);
  if (typeof code !== 'string' || code.includes('INTERNAL_ERROR')) return false;
  return /^(ERR_SSL_|ERR_TLS_|CERT_|CRL_|UNABLE_TO_|(DEPTH_ZERO_)?SELF_SIGNED_|HOSTNAME_MISMATCH|INVALID_(CA|PURPOSE)|PATH_LENGTH)/u.test(
    code,
  );
}

/** Returns sentences on how a client certificate may be the cause. */
function explanationOf(cause: Error, stage: 'plain' | 'encrypting' | 'encrypted'): string {
  const code = String(systemCodeOf(cause));
  if (process.env['NODE_TLS_REJECT_UNAUTHORIZED'] === '0' && isTlsFault(cause)) {
    return ' NODE_TLS_REJECT_UNAUTHORIZED=0 has no effect here: set tls.rejectUnauthorized to false if you must.';
  }
  if (/ALERT_(CERTIFICATE_REQUIRED|NO_CERTIFICATE)/u.test(code)) {
    return ' The server wants a client certificate.';
  }
  if (/ALERT_(\w*CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)/u.test(code)) {
    return ' The server refuses the client certificate.';
  }
  if (cause.message.includes('alert')) return ' Does it want a client certificate?';
  // A server may refuse the certificate after TLS is established at this side, and Node's servers send no alert then.
  const isEnd = stage === 'encrypted' || (stage === 'encrypting' && BROKEN.has(code));
  if (!isEnd || isTlsFault(cause)) return '';
  return ' A TLS server that refuses the client certificate, or misses one, can end the connection in this way.';
}

function rankOf({ error: { code } }: DialFailure): number {
  const rank = TELLING.indexOf(code);
  return rank < 0 ? TELLING.length : rank;
}

/** @internal Removes the final period of a sentence that becomes part of another one. */
export function withoutPeriod(text: string): string {
  return text.trim().replace(/\.$/u, '');
}

const TELLING: readonly string[] = [
  'IC_ERR_OPTION',
  'IC_ERR_CONNECTION_REJECTED',
  'IC_ERR_PROTOCOL',
  'IC_ERR_HANDSHAKE_TIMEOUT',
];
/** The codes of a socket that the other side has ended. */
const BROKEN: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE']);
/** The largest number of addresses in a sentence. */
const MOST_NAMES = 3;
