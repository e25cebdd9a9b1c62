import type { Logger } from '@nestjs/common';
import type { MessageHandler } from '@nestjs/microservices';
import {
  Code,
  UnreadableSource,
  cutText,
  messageOf,
  quote,
  stackOf,
} from '../../endpoint/index.js';
import type { Bytes, ItemsRejection, Message, Metadata } from '../../endpoint/index.js';
import { describeType, isBytes } from '../common/bytes.js';
import { encodeAnswer, UnfitValue } from '../common/codec.js';
import type { Codec } from '../common/codec.js';
import { toRejection, toRejectionOfThrown } from '../common/error-mapping.js';
import type { Rejection } from '../common/error-mapping.js';
import { hasSeveral, isNothing, pairOf, streamsOf } from './event-results.js';
import type { HandlerLimit } from './handler-limit.js';
import { isInterconnectRecord } from '../common/interconnect.record.js';
import type { InterconnectRecord } from '../common/interconnect.record.js';
import { EncodedItems, exhaust, isStream, UnfitItem } from '../common/item-stream.js';
import type { EncodeItem } from '../common/item-stream.js';
import { lineOf, logError } from '../common/log-lines.js';
import { isPromiseLike } from '../common/promises.js';
import type { ValueBudgets } from './value-budget.js';
import { QueueOverflow, ValueQueue } from './value-queue.js';

const EMPTY = Buffer.alloc(0);

const MANY_RESULTS =
  'is one of several of its event, whose results are no bytes together. Emit the event, return nothing, or set ' +
  "encoding: 'json' on both sides.";

/** Goes to nobody, but until it is sent the message keeps its place in the session. */
const ABANDONED: Rejection = {
  code: Code.FAILED,
  reason: 'Nobody waits for the result any more.',
  isMasked: false,
};

/** An answer that is a stream. */
export interface StreamedResult {
  readonly items: AsyncIterableIterator<Bytes>;
  /** Its errors have been through Nest's filters: those of an Observable have, those of an async iterable have not. */
  readonly isFiltered: boolean;
  readonly metadata?: Metadata | undefined;
  /** Ends it at once when it is over. */
  readonly limit: HandlerLimit | undefined;
}

/** What the settlers of a server have in common. */
export interface SettlerEnvironment {
  readonly codec: Codec | undefined;
  readonly logger: Logger;
  readonly budgets: ValueBudgets;
}

/**
 * Settles the messages of one pattern, each with what came of its handler. A handler may have settled it
 * itself, through the context: then nothing is sent. After a timeout there is no outcome to give any more,
 * but the message keeps its place until it is told that the handler has ended.
 */
export class Settler {
  private readonly pattern: string;
  private readonly handler: MessageHandler;
  /** Whether its messages were emitted: then what the handler gives is not sent. */
  readonly isEmitted: boolean;
  /** Whether nobody may look at a failure but the log. */
  private readonly isEvent: boolean;
  private readonly codec: Codec | undefined;
  private readonly logger: Logger;
  private readonly budgets: ValueBudgets;

  constructor(
    pattern: string,
    handler: MessageHandler,
    isEmitted: boolean,
    { codec, logger, budgets }: SettlerEnvironment,
  ) {
    this.pattern = pattern;
    this.handler = handler;
    this.isEmitted = isEmitted;
    this.isEvent = isEmitted || handler.isEventHandler === true;
    this.codec = codec;
    this.logger = logger;
    this.budgets = budgets;
  }

  /**
   * With the handler's value. Calls `done` when the message is settled; at once, unless a serializer takes its time,
   * or the value is a stream.
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
    if (!isStream(given)) return this.answer(message, given, record, done);
    if (message.oneWay) return this.exhaust(message, [given], undefined, done, limit);
    let items: EncodedItems;
    try {
      items = new EncodedItems(given, this.encodeItem);
    } catch (error) {
      this.refuseUnsendable(message, error);
      return done();
    }
    this.stream(message, { items, isFiltered: false, metadata: record?.metadata, limit }, done);
  }

  /** With the items, one by one. Calls `done` when the source has ended, and the message is settled. */
  stream(message: Message, result: StreamedResult, done: () => void): void {
    const { items, metadata, limit } = result;
    if (message.answered) return this.discard(items, done);
    const options = {
      toRejection: (error: unknown) => this.rejectionOf(error, result),
      ...(metadata !== undefined && { metadata }),
      ...(limit !== undefined && { signal: limit.expired }),
    };
    try {
      void message.respond(items, options).finally(done);
    } catch (error) {
      this.refuseUnsendable(message, error);
      this.discard(items, done);
    }
  }

  /** For the values of an Observable, to be streamed; `stop` unsubscribes from it. */
  queueFor({ session: { connection } }: Message, stop: () => void): ValueQueue {
    const budget = this.budgets.of(connection);
    const maxItemSize = connection.peerMaxMessageSize;
    return new ValueQueue(this.encodeItem, stop, { budget, maxItemSize });
  }

  /** One value of a stream as bytes. */
  private readonly encodeItem: EncodeItem = (value) =>
    encodeAnswer(value, this.codec, this.pattern);

  /** With an error that Nest's filters let through. */
  reject(message: Message, error: unknown): void {
    this.rejectWith(message, toRejection(error), error);
  }

  /** With an error that nobody meant for the caller. */
  rejectThrown(message: Message, error: unknown): void {
    this.rejectWith(message, toRejectionOfThrown(error), error);
  }

  /** Its bytes are not what the deserializer, or the encoding, makes a value of. */
  rejectUndecodable(message: Message, error: unknown): void {
    const reason = `The payload for "${this.pattern}" cannot be decoded: ${messageOf(error)}`;
    this.logger.warn(lineOf(reason));
    this.send(message, { code: Code.REFUSED, reason: cutText(reason), isMasked: false });
  }

  /** Its handler did not ask for streams. */
  refuseStream(message: Message): void {
    const reason =
      `The pattern "${this.pattern}" takes no stream as its request. Send bytes, or give its handler the extra ` +
      '{ stream: true }.';
    this.logger.warn(lineOf(reason));
    this.send(message, { code: Code.REFUSED, reason: cutText(reason), isMasked: false });
  }

  /** The handler has taken longer than its own limit. */
  rejectExpired(message: Message, timeout: number): void {
    if (message.answered) return;
    this.send(message, this.expired(`did not settle within its ${timeout} ms.`));
  }

  /** For results that are the handler's mistake: said to both sides. */
  refuse(message: Message, what: string): void {
    this.send(message, this.blame(what));
  }

  /** Nobody waits any more. */
  abandon(message: Message): void {
    this.send(message, ABANDONED);
  }

  /** The handler's mistake: said to both sides. */
  private blame(what: string): Rejection {
    const reason = `The handler of "${this.pattern}" ${what}`;
    this.logger.error(lineOf(reason));
    return { code: Code.FAILED, reason: cutText(reason), isMasked: false };
  }

  /** What a caller takes for a timeout, as it takes that of the message. */
  private expired(what: string): Rejection {
    const reason = `The handler of "${this.pattern}" ${what}`;
    this.logger.warn(lineOf(reason));
    return { code: Code.DEADLINE, reason: cutText(reason), isMasked: false };
  }

  private answer(
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
      this.refuseUnsendable(message, error);
    }
    done();
  }

  /** Several handlers gave nothing. In JSON, which has a form for that, the caller gets the pair all the same. */
  private isVoid(value: unknown): boolean {
    return this.codec === undefined && isNothing(this.handler, value);
  }

  /** Nobody wants the values of the streams, but the handler's work is in making them. Then it answers with `contents`. */
  private exhaust(
    message: Message,
    streams: readonly AsyncIterable<unknown>[],
    contents: unknown,
    done: () => void,
    limit: HandlerLimit | undefined,
  ): void {
    if (streams.length === 0) return this.answer(message, contents, undefined, done);
    // Nobody waits for a one-way message from the start, so that there is no one who could stop to.
    const signal = message.oneWay && limit === undefined ? undefined : (limit ?? message).signal;
    void Promise.allSettled(streams.map((stream) => exhaust(stream, signal))).then((ends) => {
      if (signal?.aborted === true) this.abandon(message);
      else for (const end of ends) this.rejectFailed(message, end);
      this.answer(message, contents, undefined, done);
    });
  }

  private rejectFailed(message: Message, end: PromiseSettledResult<void>): void {
    if (end.status === 'fulfilled') return;
    if (end.reason instanceof UnreadableSource) this.refuseUnsendable(message, end.reason);
    else this.rejectThrown(message, end.reason);
  }

  /** A stream that nobody reads: what it holds open is closed. */
  private discard(items: AsyncIterator<Bytes>, done: () => void): void {
    Promise.resolve(items.return?.())
      .catch((error: unknown) => logError(this.logger, error))
      .finally(done);
  }

  /** For the end of a stream that did not come to its own. */
  private rejectionOf(error: unknown, { isFiltered, limit }: StreamedResult): ItemsRejection {
    if (error instanceof UnfitItem) return this.blame(`gave a stream with ${error.message}`);
    if (error instanceof QueueOverflow) {
      return this.blame(
        'returned an Observable that is faster than its caller: of such values, more than the ' +
          `${error.limit} bytes of maxQueuedBytes would wait on this connection. Return an async iterable or a Readable, ` +
          'which can be held back, or raise maxQueuedBytes at this server.',
      );
    }
    if (limit !== undefined && error === limit.expired.reason) {
      return this.expired(`did not end its stream within its ${limit.timeout} ms.`);
    }
    const rejection = isFiltered ? toRejection(error) : toRejectionOfThrown(error);
    this.report(rejection, error);
    return rejection;
  }

  private respondBinary(
    message: Message,
    contents: unknown,
    record: InterconnectRecord<unknown> | undefined,
  ): void {
    const data = contents ?? EMPTY;
    if (isBytes(data)) return respond(message, data, record);
    const what = describeType(data);
    if (hasSeveral(this.handler)) return this.refuse(message, MANY_RESULTS);
    this.refuse(
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
      respond(message, encoded, record);
      return done();
    }
    Promise.resolve(encoded)
      .then((data) => (message.answered ? undefined : respond(message, data, record)))
      .catch((error: unknown) => this.refuseUnsendable(message, error))
      .finally(done);
  }

  /** A response over the peer's limit, or metadata that does not fit: the caller must not wait for the timeout. */
  private refuseUnsendable(message: Message, error: unknown): void {
    const isUnfit = error instanceof UnfitValue;
    const what = isUnfit ? error.message : `what cannot be sent: ${messageOf(error)}`;
    this.refuse(message, `returned ${what}`);
  }

  private rejectWith(message: Message, rejection: Rejection, error: unknown): void {
    this.report(rejection, error);
    this.send(message, rejection);
  }

  private send(message: Message, { code, reason, data, metadata }: Rejection): void {
    if (message.answered) return;
    try {
      message.reject(code, reason, data, metadata && { metadata });
    } catch (error) {
      this.logger.error(
        lineOf(`The rejection of "${this.pattern}" cannot be sent: ${messageOf(error)}`),
      );
      message.reject(Code.FAILED, reason);
    }
  }

  /**
   * A message's failure is its caller's to log, unless he was not told what it is. An event's caller
   * may not be listening at all, so its failures are always logged here.
   */
  private report(rejection: Rejection, error: unknown): void {
    if (error instanceof Error && rejection.isMasked) {
      this.logger.error(
        lineOf(`The handler of "${this.pattern}" failed: ${messageOf(error)}`),
        stackOf(error),
      );
    } else if (this.isEvent) {
      this.logger.error(
        lineOf(`The event handler of "${this.pattern}" failed: ${rejection.reason}`),
      );
    } else if (rejection.isMasked) {
      // Nest has logged the error itself, unless it was an HttpException, of which this is all there is.
      this.logger.warn(
        lineOf(
          `The handler of "${this.pattern}" failed with no RpcException: its caller was told ` +
            `${quote(rejection.reason, 256)} only.`,
        ),
      );
    }
  }
}

function respond(
  message: Message,
  data: Bytes,
  record: InterconnectRecord<unknown> | undefined,
): void {
  const metadata = record?.metadata;
  if (metadata !== undefined) message.respond(data, { metadata });
  else if (data.byteLength === 0) message.accept();
  else message.respond(data);
}
