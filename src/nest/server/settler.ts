import type { MessageHandler } from '@nestjs/microservices';
import { EMPTY } from '../../endpoint/index.js';
import type { Bytes, Message, Metadata } from '../../endpoint/index.js';
import { describeType, isBytes } from '../common/bytes.js';
import { encodeAnswer } from '../common/codec.js';
import type { Codec } from '../common/codec.js';
import { isInterconnectRecord } from '../common/interconnect.record.js';
import type { InterconnectRecord } from '../common/interconnect.record.js';
import { EncodedItems, exhaust, isStream } from '../common/item-stream.js';
import type { EncodeItem } from '../common/item-stream.js';
import { isPromiseLike } from '../common/promises.js';
import type { SparingLog } from '../common/sparing-log.js';
import { hasSeveral, isNothing, pairOf, streamsOf } from './event-results.js';
import type { HandlerLimit } from './handler-limit.js';
import { Rejections } from './rejections.js';
import type { RejectedStream } from './rejections.js';
import type { ValueBudgets } from './value-budget.js';
import { ValueQueue } from './value-queue.js';

const MANY_RESULTS =
  'is one of several handlers of its event, whose results together have no form as bytes. Emit the event, return ' +
  "nothing, or set encoding: 'json' on both sides.";

/** A response that is a stream. */
export interface StreamedResult extends RejectedStream {
  readonly items: AsyncIterableIterator<Bytes>;
  readonly metadata?: Metadata | undefined;
}

/** The parts that all settlers of a server share. */
export interface SettlerEnvironment {
  readonly codec: Codec | undefined;
  readonly log: SparingLog;
  readonly budgets: ValueBudgets;
}

/**
 * Settles the messages of one pattern with the results of its handler. `rejections` settles those that failed.
 *
 * | the result                          | the caller of `send()` gets  | emitted, or one-way                    |
 * | ----------------------------------- | ---------------------------- | -------------------------------------- |
 * | nothing, `null`                     | ACCEPT, empty                | ACCEPT, empty                          |
 * | bytes, or with a codec any value    | ACCEPT with the bytes        | ACCEPT, empty                          |
 * | a record                            | ACCEPT, with its metadata    | ACCEPT, empty                          |
 * | a stream                            | ITEM for each, then ACCEPT   | is read to its end, then ACCEPT, empty |
 * | that of several handlers, as a pair | with a codec ACCEPT with the | each stream is read to its end, then   |
 * |                                     | pair, and else REJECT        | ACCEPT, empty                          |
 * | anything else                       | REJECT FAILED                | ACCEPT, empty                          |
 *
 * A handler may have settled the message itself, through the context: then nothing is sent. A message that has timed out
 * keeps its place in the session until its handler has ended and the message is settled here.
 */
export class Settler {
  /** Whether the messages were emitted. Then the results of the handler are not sent. */
  readonly isEmitted: boolean;
  readonly rejections: Rejections;
  private readonly pattern: string;
  private readonly handler: MessageHandler;
  private readonly codec: Codec | undefined;
  private readonly log: SparingLog;
  private readonly budgets: ValueBudgets;

  constructor(
    pattern: string,
    handler: MessageHandler,
    isEmitted: boolean,
    { codec, log, budgets }: SettlerEnvironment,
  ) {
    this.pattern = pattern;
    this.handler = handler;
    this.isEmitted = isEmitted;
    this.codec = codec;
    this.log = log;
    this.budgets = budgets;
    const isEvent = isEmitted || handler.isEventHandler === true;
    this.rejections = new Rejections(pattern, log, isEvent);
  }

  /**
   * Settles the message with the handler's value. Calls `done` when the message is settled: at once, unless a serializer
   * gives a promise, or the value is a stream.
   */
  settle(message: Message, value: unknown, done: () => void, limit?: HandlerLimit): void {
    const { handler } = this;
    const hasPair = hasSeveral(handler);
    if (this.isEmitted || hasPair) {
      const isUnsent = this.isEmitted || message.oneWay || this.isVoid(value);
      const sent = isUnsent ? undefined : pairOf(handler, value);
      return this.exhaust(message, streamsOf(handler, value), sent, done, limit);
    }
    const record = isInterconnectRecord(value) ? value : undefined;
    const given: unknown = record === undefined ? value : record.data;
    if (!isStream(given)) return this.respond(message, given, record, done);
    if (message.oneWay) return this.exhaust(message, [given], undefined, done, limit);
    let items: EncodedItems;
    try {
      items = new EncodedItems(given, this.encodeItem);
    } catch (error) {
      this.rejections.rejectUnsendable(message, error);
      return done();
    }
    this.stream(message, { items, isFiltered: false, metadata: record?.metadata, limit }, done);
  }

  /** Responds with the items, one by one. Calls `done` when the source has ended and the message is settled. */
  stream(message: Message, result: StreamedResult, done: () => void): void {
    const { items, metadata, limit } = result;
    if (message.answered) return this.discard(items, done);
    const options = {
      toRejection: (error: unknown) => this.rejections.ofItems(error, result),
      ...(metadata !== undefined && { metadata }),
      ...(limit !== undefined && { signal: limit.expired }),
    };
    try {
      void message.respond(items, options).finally(done);
    } catch (error) {
      this.rejections.rejectUnsendable(message, error);
      this.discard(items, done);
    }
  }

  /** A queue for the values of an Observable, which `stream()` then sends; `stop` unsubscribes from the Observable. */
  queueFor({ session: { connection } }: Message, stop: () => void): ValueQueue {
    const budget = this.budgets.of(connection);
    const maxItemSize = connection.peerMaxMessageSize;
    return new ValueQueue(this.encodeItem, stop, { budget, maxItemSize });
  }

  /** One value of a stream as bytes. */
  private readonly encodeItem: EncodeItem = (value) =>
    encodeAnswer(value, this.codec, this.pattern);

  private respond(
    message: Message,
    contents: unknown,
    record: InterconnectRecord<unknown> | undefined,
    done: () => void,
  ): void {
    if (message.answered) return done();
    try {
      if (this.codec !== undefined) {
        return this.respondEncoded(message, contents, record, this.codec, done);
      }
      this.respondBinary(message, contents, record);
    } catch (error) {
      this.rejections.rejectUnsendable(message, error);
    }
    done();
  }

  /** Whether several handlers gave nothing. JSON has a form for that, so with a codec the caller gets the pair. */
  private isVoid(value: unknown): boolean {
    return this.codec === undefined && isNothing(this.handler, value);
  }

  /**
   * Reads streams whose values are not sent, because the handler works while they are read. Then it responds with
   * `contents`.
   */
  private exhaust(
    message: Message,
    streams: readonly AsyncIterable<unknown>[],
    contents: unknown,
    done: () => void,
    limit: HandlerLimit | undefined,
  ): void {
    if (streams.length === 0) return this.respond(message, contents, undefined, done);
    // A one-way message has no caller who can give up.
    const signal = message.oneWay && limit === undefined ? undefined : (limit ?? message).signal;
    void Promise.allSettled(streams.map((stream) => exhaust(stream, signal))).then((ends) => {
      if (signal?.aborted === true) this.rejections.rejectUnwanted(message);
      else {
        for (const end of ends) {
          if (end.status === 'rejected') this.rejections.rejectExhausted(message, end.reason);
        }
      }
      this.respond(message, contents, undefined, done);
    });
  }

  /** Ends a stream that has no reader, so that its source closes what it holds open. */
  private discard(items: AsyncIterator<Bytes>, done: () => void): void {
    Promise.resolve(items.return?.())
      .catch((error: unknown) => this.log.error(`source ${this.pattern}`, error))
      .finally(done);
  }

  private respondBinary(
    message: Message,
    contents: unknown,
    record: InterconnectRecord<unknown> | undefined,
  ): void {
    const data = contents ?? EMPTY;
    if (isBytes(data)) return respondWith(message, data, record);
    const what = describeType(data);
    if (hasSeveral(this.handler)) return this.rejections.rejectResult(message, MANY_RESULTS);
    this.rejections.rejectResult(
      message,
      record === undefined
        ? `returned ${what}. Return bytes (Buffer, Uint8Array, ArrayBuffer, DataView), or nothing.`
        : `returned a record of ${what}, which is not bytes.`,
    );
  }

  private respondEncoded(
    message: Message,
    contents: unknown,
    record: InterconnectRecord<unknown> | undefined,
    codec: Codec,
    done: () => void,
  ): void {
    const encoded = codec.encode(contents, this.pattern);
    if (!isPromiseLike(encoded)) {
      respondWith(message, encoded, record);
      return done();
    }
    Promise.resolve(encoded)
      .then((data) => (message.answered ? undefined : respondWith(message, data, record)))
      .catch((error: unknown) => this.rejections.rejectUnsendable(message, error))
      .finally(done);
  }
}

function respondWith(
  message: Message,
  data: Bytes,
  record: InterconnectRecord<unknown> | undefined,
): void {
  const metadata = record?.metadata;
  if (metadata !== undefined) message.respond(data, { metadata });
  else if (data.byteLength === 0) message.accept();
  else message.respond(data);
}
