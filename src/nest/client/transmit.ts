/** Sends a call: makes a message of a session from Nest's packet. */
import type { MsPattern } from '@nestjs/microservices';
import { EMPTY, isInterconnectError } from '../../endpoint/index.js';
import type { Bytes, SendOptions, Session } from '../../endpoint/index.js';
import { responseSinkOf, settle } from './response.js';
import type { ResponseSink } from './response.js';
import { describeType, isBytes } from '../common/bytes.js';
import type { Call, CallSettings } from './call.js';
import { describePattern, fail, refused, unencodable, unfitItem } from './call-errors.js';
import { notBytes } from '../common/codec.js';
import type { Codec } from '../common/codec.js';
import type { PathSource } from './connection-slot.js';
import { isInterconnectRecord } from '../common/interconnect.record.js';
import type { InterconnectRecord } from '../common/interconnect.record.js';
import { EncodedItems, isStream, UnfitItem } from '../common/item-stream.js';
import type { EncodeItem } from '../common/item-stream.js';
import { isPromiseLike } from '../common/promises.js';

/**
 * Sends a call. If there is no connection yet, the message waits in the connection's queue, with its timeout and signal.
 * Never throws: every failure is given to the caller.
 */
export function transmit(
  paths: Pick<PathSource, 'path'>,
  call: Call,
  settings: CallSettings,
): void {
  let body: EncodedItems | undefined;
  try {
    const { packet } = call;
    const record = isInterconnectRecord(packet.data) ? packet.data : undefined;
    const value: unknown = record === undefined ? packet.data : record.data;
    if (isStream(value)) body = bodyOf(call, value, settings);
    const name = nameOf(packet.pattern, settings);
    const session = paths.path().session(name, call.isEvent);
    if (body !== undefined) return sendStream(session, body, record, call, settings.codec);
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
    end(body);
    fail(call, isInterconnectError(error) ? error : unencodable(call.packet.pattern, error));
  }
}

function end(body: EncodedItems | undefined): void {
  body?.return().catch(() => undefined);
}

/**
 * Claims the stream that a call is to send.
 * @throws UnreadableSource if it was read already; IC_ERR_OPTION if such a call sends no stream, which ends it.
 */
function bodyOf(
  { packet: { pattern, data }, isEvent, oneWay }: Call,
  stream: AsyncIterable<unknown>,
  { codec }: CallSettings,
): EncodedItems {
  const encode: EncodeItem = (value) => {
    if (codec !== undefined) return codec.encode(value, pattern);
    if (isBytes(value)) return value;
    throw notBytes(value);
  };
  const items = new EncodedItems(stream, encode);
  const isOneWay = (isInterconnectRecord(data) ? data.oneWay : undefined) ?? oneWay;
  if (!isEvent && !isOneWay) return items;
  end(items);
  const what = `The data for ${describePattern(pattern)} is a stream`;
  throw refused(
    `${what}, which emit() and oneWay do not send, because they do not report how far it came. Use send().`,
  );
}

function send(
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
  // Made at the first item, because most responses have none.
  let response: ResponseSink | undefined;
  const onItem = (item: Buffer) => (response ??= responseSinkOf(call, codec)).take(item);
  session
    .send(data, toItemOptions(call, record, onItem))
    .then(
      (outcome) =>
        response === undefined ? settle(call, outcome, codec) : response.settle(outcome),
      onFailure,
    );
}

/** Sends a stream as the request. It has no timeout while it makes progress, unless the record gives one. */
function sendStream(
  session: Pick<Session, 'send'>,
  items: EncodedItems,
  record: InterconnectRecord<unknown> | undefined,
  call: Call,
  codec: Codec | undefined,
): void {
  const { pattern } = call.packet;
  const response = responseSinkOf(call, codec);
  const onItem = (item: Buffer) => response.take(item);
  session.send(items, { ...toSendOptions(call, record), onItem }).then(
    (outcome) => response.settle(outcome),
    (error: unknown) => fail(call, error instanceof UnfitItem ? unfitItem(pattern, error) : error),
  );
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

/** One object literal in the common case, because nearly every message needs such an object. */
function toItemOptions(
  call: Call,
  record: InterconnectRecord<unknown> | undefined,
  onItem: NonNullable<SendOptions['onItem']>,
): SendOptions {
  const { packet, signal } = call;
  const isPlain = record === undefined && packet.metadata === undefined;
  if (isPlain) return signal === undefined ? { onItem } : { signal, onItem };
  return { ...toSendOptions(call, record), onItem };
}

function toSendOptions(
  { packet, signal }: Call,
  record: InterconnectRecord<unknown> | undefined,
): SendOptions {
  const options: SendOptions = signal === undefined ? {} : { signal };
  if (record === undefined && packet.metadata === undefined) return options;
  // The entries of the record come last, because they are more specific than those that a hook adds to every call.
  options.metadata = { ...packet.metadata, ...record?.metadata };
  if (record?.timeout !== undefined) options.timeout = record.timeout;
  if (record?.idempotent !== undefined) options.idempotent = record.idempotent;
  if (record?.whenOffline !== undefined) options.whenOffline = record.whenOffline;
  return options;
}
