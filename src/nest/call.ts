/** One call of a client: from a packet of Nest's to a message of a session, and back from its outcome. */
import type { MsPattern, ReadPacket } from '@nestjs/microservices';
import { inspect } from 'node:util';
import { InterconnectError, isInterconnectError } from '../endpoint/index.js';
import type { Bytes, Outcome, SendOptions, Session } from '../endpoint/index.js';
import { describeType, isBytes } from './bytes.js';
import { Cancellation } from './cancellation.js';
import { notBytes, UnfitValue } from './codec.js';
import type { Codec } from './codec.js';
import type { CallPath } from './connection-slot.js';
import { toCallError, toException } from './error-mapping.js';
import { isInterconnectRecord } from './interconnect.record.js';
import type { InterconnectRecord } from './interconnect.record.js';
import { isPromiseLike } from './promises.js';

const EMPTY = Buffer.alloc(0);

/** Where the one outcome of a call goes. */
export interface Caller {
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

/** How calls become messages. */
export interface CallSettings {
  readonly codec: Codec | undefined;
  /** Nest's form of a pattern that is no string. */
  normalize(pattern: MsPattern): unknown;
}

/** Sends it over an open connection. Never throws: every failure is the call's. */
export function transmit(open: CallPath, call: Call, settings: CallSettings): void {
  try {
    const { packet } = call;
    const record = isInterconnectRecord(packet.data) ? packet.data : undefined;
    const value: unknown = record === undefined ? packet.data : record.data;
    const session = open.session(nameOf(packet.pattern, settings));
    if (settings.codec === undefined) {
      return send(session, toBytes(packet.pattern, value), record, call, undefined);
    }
    const bytes = settings.codec.encode(value, packet.pattern);
    if (!isPromiseLike(bytes)) return send(session, bytes, record, call, settings.codec);
    bytes.then(
      (later) => send(session, later, record, call, settings.codec),
      (error: unknown) => fail(call, unencodable(packet.pattern, error)),
    );
  } catch (error) {
    fail(call, isInterconnectError(error) ? error : unencodable(call.packet.pattern, error));
  }
}

/** With what there is where there is no outcome. Who has unsubscribed is told nothing; who aborted his own signal is. */
export function fail({ caller, signal }: Call, error: unknown): void {
  if (signal?.aborted === true && signal instanceof Cancellation) return;
  caller.fail(toCallError(error));
}

/** For texts. Not by JSON alone, which throws for a circle or a bigint. */
export function describePattern(pattern: unknown): string {
  return typeof pattern === 'string' ? JSON.stringify(pattern) : inspect(pattern, { depth: 2 });
}

/** The caller's mistake: nothing was sent. */
export function refused(message: string, cause?: unknown): InterconnectError {
  return new InterconnectError('IC_ERR_OPTION', message, { executed: 'no', cause });
}

function send(
  session: Pick<Session, 'send'>,
  data: Bytes,
  record: InterconnectRecord<unknown> | undefined,
  call: Call,
  codec: Codec | undefined,
): void {
  const onFailure = (error: unknown) => fail(call, error);
  const options = toSendOptions(call, record);
  if (record?.oneWay ?? call.oneWay) {
    session
      .send(data, { ...options, oneWay: true })
      .then(() => call.caller.succeed(EMPTY), onFailure);
  } else {
    session.send(data, options).then((outcome) => settle(call, outcome, codec), onFailure);
  }
}

/** A deserializer, or a subclass's `serializeResponse`, may throw: the call's failure, not an unhandled rejection. */
function settle(call: Call, outcome: Outcome, codec: Codec | undefined): void {
  const { caller, packet } = call;
  if (!outcome.accepted) return caller.fail(toException(outcome));
  if (codec === undefined || call.isEvent) return succeed(caller, outcome.data);
  try {
    const value = codec.decode(outcome.data, packet.pattern);
    if (!isPromiseLike(value)) return succeed(caller, value);
    value.then(
      (later) => succeed(caller, later),
      (error: unknown) => caller.fail(undecodable(packet.pattern, error)),
    );
  } catch (error) {
    caller.fail(undecodable(packet.pattern, error));
  }
}

function succeed(caller: Caller, value: unknown): void {
  try {
    caller.succeed(value);
  } catch (error) {
    caller.fail(error);
  }
}

function nameOf(pattern: unknown, settings: CallSettings): string {
  if (typeof pattern === 'string') return pattern;
  const route = settings.normalize(pattern as MsPattern);
  if (typeof route === 'string') return route;
  if (typeof route === 'boolean' || typeof route === 'bigint') return String(route);
  throw refused(`A pattern is a string, a number or an object: this is ${describeType(pattern)}.`);
}

function toBytes(pattern: unknown, data: unknown): Bytes {
  if (isBytes(data)) return data;
  throw unencodable(pattern, notBytes(data));
}

function unencodable(pattern: unknown, cause: unknown): InterconnectError {
  const what = `The data for ${describePattern(pattern)}`;
  const verb = cause instanceof UnfitValue ? 'is ' : 'cannot be encoded: ';
  return refused(`${what} ${verb}${messageOf(cause)}`, cause);
}

function undecodable(pattern: unknown, cause: unknown): InterconnectError {
  const message = `The answer of ${describePattern(pattern)} cannot be decoded: ${messageOf(cause)}`;
  return new InterconnectError('IC_ERR_OPTION', message, { executed: 'yes', cause });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function toSendOptions(
  { packet, signal }: Call,
  record: InterconnectRecord<unknown> | undefined,
): SendOptions {
  const options: SendOptions = signal === undefined ? {} : { signal };
  if (record === undefined && packet.metadata === undefined) return options;
  // The call's own entries come last: they are more specific than what a hook gives to every call.
  options.metadata = { ...packet.metadata, ...record?.metadata };
  if (record?.timeout !== undefined) options.timeout = record.timeout;
  if (record?.idempotent !== undefined) options.idempotent = record.idempotent;
  return options;
}
