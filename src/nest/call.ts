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
import { EncodedItems, isStream, UnfitItem } from './item-stream.js';
import { isPromiseLike } from './promises.js';

const EMPTY = Buffer.alloc(0);

/** Where the one outcome of a call goes. */
export interface Caller {
  /** Takes the values of an answer that is a stream; without it, such an answer is a failure. */
  next?(value: unknown): void;
  /** After the last value of a stream, whose acceptance had no value of its own. */
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
    if (isStream(value)) return sendStream(session, value, record, call, settings.codec);
    if (settings.codec === undefined) {
      return send(open, session, toBytes(packet.pattern, value), record, call, undefined);
    }
    const bytes = settings.codec.encode(value, packet.pattern);
    if (!isPromiseLike(bytes)) return send(open, session, bytes, record, call, settings.codec);
    bytes.then(
      (later) => send(open, session, later, record, call, settings.codec),
      (error: unknown) => fail(call, unencodable(packet.pattern, error)),
    );
  } catch (error) {
    fail(call, isInterconnectError(error) ? error : unencodable(call.packet.pattern, error));
  }
}

/** With what there is where there is no outcome. Who has unsubscribed is told nothing; who aborted his own signal is. */
export function fail({ caller, signal, packet }: Call, error: unknown): void {
  if (signal?.aborted === true && signal instanceof Cancellation) return;
  const isStreamed = isInterconnectError(error) && error.code === 'IC_ERR_UNEXPECTED_STREAM';
  caller.fail(isStreamed ? unexpectedStream(packet.pattern) : toCallError(error));
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
  open: CallPath,
  session: Pick<Session, 'send'>,
  data: Bytes,
  record: InterconnectRecord<unknown> | undefined,
  call: Call,
  codec: Codec | undefined,
): void {
  const onFailure = (error: unknown) => fail(call, error);
  if (record?.oneWay ?? call.oneWay) {
    session
      .send(data, { ...toSendOptions(call, record), oneWay: true })
      .then(() => call.caller.succeed(EMPTY), onFailure);
    return;
  }
  if (!takesItems(call)) {
    session
      .send(data, toSendOptions(call, record))
      .then((outcome) => settle(call, outcome, codec), onFailure);
    return;
  }
  // Made when it turns out to be one: most are not.
  let answer: StreamedAnswer | undefined;
  const onItem = (item: Buffer) => (answer ??= new StreamedAnswer(call, codec)).take(item);
  // An answer is expected in its time, a stream or not: only so does the handler learn how much it has.
  const timeout = record?.timeout ?? open.connection.messageTimeout;
  session
    .send(data, toItemOptions(call, record, timeout, onItem))
    .then(
      (outcome) => (answer === undefined ? settle(call, outcome, codec) : answer.settle(outcome)),
      onFailure,
    );
}

/** The body of a request: it may take as long as it makes progress, unless the record says otherwise. */
function sendStream(
  session: Pick<Session, 'send'>,
  source: AsyncIterable<unknown>,
  record: InterconnectRecord<unknown> | undefined,
  call: Call,
  codec: Codec | undefined,
): void {
  const { pattern } = call.packet;
  if (call.isEvent || (record?.oneWay ?? call.oneWay)) {
    const what = `The data for ${describePattern(pattern)} is a stream`;
    throw refused(
      `${what}, which emit() and oneWay do not send: nobody would tell how far it came. Use send().`,
    );
  }
  const items = new EncodedItems(source, (value) => {
    if (codec !== undefined) return codec.encode(value, pattern);
    if (isBytes(value)) return value;
    throw notBytes(value);
  });
  const options = toSendOptions(call, record);
  const answer = new StreamedAnswer(call, codec);
  if (takesItems(call)) options.onItem = (item) => answer.take(item);
  session.send(items, options).then(
    (outcome) => answer.settle(outcome),
    (error: unknown) => fail(call, error instanceof UnfitItem ? unfitItem(pattern, error) : error),
  );
}

/** What an event's handler gives is of no interest, be it a stream. */
function takesItems({ caller, isEvent }: Call): boolean {
  return isEvent || caller.next !== undefined;
}

/** An answer that may be a stream: its values one by one, in their order. */
class StreamedAnswer {
  private readonly call: Call;
  private readonly codec: Codec | undefined;
  private hasItems = false;

  constructor(call: Call, codec: Codec | undefined) {
    this.call = call;
    this.codec = codec;
  }

  /** @throws where the item cannot be decoded: the message is then cancelled. */
  take(item: Buffer): void | Promise<void> {
    this.hasItems = true;
    const { caller, packet, isEvent } = this.call;
    if (isEvent) return;
    if (this.codec === undefined) return caller.next?.(item);
    try {
      const value = this.codec.decode(item, packet.pattern);
      if (!isPromiseLike(value)) return caller.next?.(value);
      return Promise.resolve(value).then(
        (later) => caller.next?.(later),
        (error: unknown) => {
          throw undecodable(packet.pattern, error);
        },
      );
    } catch (error) {
      throw undecodable(packet.pattern, error);
    }
  }

  settle(outcome: Outcome): void {
    const { caller, isEvent } = this.call;
    const isOver = this.hasItems && outcome.accepted && outcome.data.length === 0;
    if (isOver && !isEvent && caller.complete !== undefined) caller.complete();
    else settle(this.call, outcome, this.codec);
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

function unfitItem(pattern: unknown, cause: Error): InterconnectError {
  const message = `An item of the data for ${describePattern(pattern)} is ${cause.message}`;
  // What came before it may have started the handler.
  return new InterconnectError('IC_ERR_OPTION', message, { executed: 'maybe', cause });
}

function unexpectedStream(pattern: unknown): InterconnectError {
  return new InterconnectError(
    'IC_ERR_UNEXPECTED_STREAM',
    `The answer of ${describePattern(pattern)} is a stream, and request() gives one value. Use send(), which emits each.`,
    { executed: 'yes' },
  );
}

function undecodable(pattern: unknown, cause: unknown): InterconnectError {
  const message = `The answer of ${describePattern(pattern)} cannot be decoded: ${messageOf(cause)}`;
  return new InterconnectError('IC_ERR_OPTION', message, { executed: 'yes', cause });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** In one literal where it can be: nearly every message makes one. */
function toItemOptions(
  call: Call,
  record: InterconnectRecord<unknown> | undefined,
  timeout: number,
  onItem: NonNullable<SendOptions['onItem']>,
): SendOptions {
  const { packet, signal } = call;
  const isPlain = record === undefined && packet.metadata === undefined;
  if (isPlain && signal !== undefined) return { signal, timeout, onItem };
  return { ...toSendOptions(call, record), timeout, onItem };
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
