/** One message of a `FakeInterconnectClient`, and its response. */
import { isObservable, lastValueFrom, Subject, takeUntil } from 'rxjs';
import type { Observable } from 'rxjs';
import { Code, EMPTY, InterconnectError, UnreadableSource } from '../endpoint/index.js';
import type { Bytes, Items, Metadata, Outcome, SendOptions } from '../endpoint/index.js';
import { toBuffer } from '../nest/common/bytes.js';
import { encodeAnswer, UnfitValue } from '../nest/common/codec.js';
import type { Codec } from '../nest/common/codec.js';
import { toRejectionOfThrown } from '../nest/common/error-mapping.js';
import { NO_HANDLER_MESSAGE } from '../nest/common/interconnect.constants.js';
import { isInterconnectRecord } from '../nest/common/interconnect.record.js';
import {
  decodeItems,
  EncodedItems,
  exhaust,
  isStream,
  UnfitItem,
} from '../nest/common/item-stream.js';
import type { EncodeItem } from '../nest/common/item-stream.js';
import { DEFAULT_QUEUED_BYTES, ValueBudget } from '../nest/server/value-budget.js';
import { ValueQueue } from '../nest/server/value-queue.js';

/** One message that the code under test sent. */
export interface FakeCall {
  /** The pattern as on the wire: Nest's JSON of a pattern that is an object. */
  readonly pattern: string;
  /**
   * The payload that a handler would get: bytes, or with `encoding: 'json'` the value. If the request is a stream, an async
   * iterable of these. Only the reply may read it, and only once. As with a handler, the items that it leaves are dropped.
   */
  readonly data: unknown;
  readonly metadata: Metadata;
  readonly timeout: number | undefined;
  readonly oneWay: boolean;
  readonly idempotent: boolean;
  /** The signal of `ctx.getSignal()`. It aborts when the code under test cancels, by unsubscribing or by its own signal. */
  readonly signal: AbortSignal;
}

/** The other side of a fake client. */
export interface FakeServer {
  readonly replies: ReadonlyMap<string, (call: FakeCall) => unknown>;
  readonly calls: FakeCall[];
  readonly codec: Codec | undefined;
}

export class FakeExchange {
  private readonly pattern: string;
  /** Whether the message was emitted. Then the reply's values are ignored. */
  private readonly isEvent: boolean;
  private readonly server: FakeServer;
  private readonly options: SendOptions;
  private readonly controller = new AbortController();
  /** A failure of the code under test: its request cannot be read, or it does not take an item. */
  private failure: { readonly error: unknown } | undefined;

  constructor(pattern: string, isEvent: boolean, server: FakeServer, options: SendOptions) {
    this.pattern = pattern;
    this.isEvent = isEvent;
    this.server = server;
    this.options = options;
  }

  /** Does the same as `session.send`. */
  async run(data: Bytes | Items): Promise<Outcome> {
    const { signal } = this.options;
    if (signal?.aborted === true) throw cancelled('no');
    let cancel = () => {};
    const isCancelled = new Promise<never>((_, reject) => {
      cancel = () => {
        const error = cancelled('maybe');
        this.controller.abort(error);
        reject(error);
      };
    });
    signal?.addEventListener('abort', cancel, { once: true });
    try {
      return await Promise.race([this.answer(data), isCancelled]);
    } finally {
      signal?.removeEventListener('abort', cancel);
      // After the response, the rest of the request is not read.
      if (data instanceof EncodedItems) data.return().catch(() => undefined);
    }
  }

  private async answer(data: Bytes | Items): Promise<Outcome> {
    const { codec, replies, calls } = this.server;
    const { metadata = {}, timeout, oneWay = false, idempotent = false } = this.options;
    const { signal } = this.controller;
    if (data instanceof EncodedItems) await beginning(data);
    const given = data instanceof EncodedItems ? this.bodyOf(data) : toBuffer(data as Bytes);
    const value = codec === undefined ? given : await this.decode(given, codec);
    const call = {
      pattern: this.pattern,
      data: value,
      metadata,
      timeout,
      oneWay,
      idempotent,
      signal,
    };
    calls.push(call);
    const reply = replies.get(this.pattern);
    if (reply === undefined) {
      return { ...rejected(Code.NO_SUCH_SESSION, NO_HANDLER_MESSAGE), executed: 'no' };
    }
    let outcome: Outcome;
    try {
      outcome = await this.outcomeOf(await reply(call));
    } catch (error) {
      outcome = this.rejectionOf(error);
    }
    if (this.failure !== undefined) throw this.failure.error;
    return outcome;
  }

  private decode(given: Buffer | AsyncIterable<Buffer>, codec: Codec): unknown {
    if (Buffer.isBuffer(given)) return codec.decode(given, this.pattern);
    return decodeItems(given, (item) => codec.decode(item, this.pattern));
  }

  private async *bodyOf(items: EncodedItems): AsyncGenerator<Buffer> {
    const { signal } = this.controller;
    try {
      for await (const item of items) yield toBuffer(item);
    } catch (error) {
      signal.throwIfAborted();
      this.failure ??= { error };
      throw error;
    }
    // After an abort, the end of the items is not the end of the request.
    signal.throwIfAborted();
  }

  private async outcomeOf(result: unknown): Promise<Outcome> {
    if (this.isEvent) return this.exhausted(result);
    if (isObservable(result)) return this.observe(result);
    const record = isInterconnectRecord(result) ? result : undefined;
    const value: unknown = record === undefined ? result : record.data;
    if (isStream(value))
      return this.deliver(new EncodedItems(value, this.encode), record?.metadata);
    return accepted(toBuffer(await this.encode(value)), record?.metadata);
  }

  /** Reads the reply to an event to its end and drops the values, as a server does. */
  private async exhausted(result: unknown): Promise<Outcome> {
    const value: unknown = isInterconnectRecord(result) ? result.data : result;
    if (isObservable(value)) await lastValueFrom(value, { defaultValue: undefined });
    else if (isStream(value)) await exhaust(value, this.controller.signal);
    return accepted(EMPTY);
  }

  /** Treats a record or a stream that an Observable emits alone as the whole response, as a server does. */
  private async observe(source: Observable<unknown>): Promise<Outcome> {
    const observed = await observe(source, this.encode);
    return observed instanceof ValueQueue ? this.deliver(observed) : this.outcomeOf(observed.whole);
  }

  /** Delivers the items at the pace of their reader. */
  private async deliver(
    items: AsyncIterableIterator<Bytes>,
    metadata?: Metadata,
  ): Promise<Outcome> {
    const { signal } = this.controller;
    const end = () => void items.return?.().catch(() => undefined);
    signal.addEventListener('abort', end, { once: true });
    // The call was cancelled while the reply was made.
    if (signal.aborted) end();
    for await (const item of items) {
      try {
        await this.options.onItem?.(toBuffer(item));
      } catch (error) {
        this.failure = { error };
        this.controller.abort(cancelled('maybe'));
        break;
      }
    }
    return { ...accepted(EMPTY, metadata), streamed: true };
  }

  private readonly encode: EncodeItem = (value) =>
    encodeAnswer(value, this.server.codec, this.pattern);

  private rejectionOf(error: unknown): Outcome {
    if (error instanceof UnreadableSource) {
      return rejected(
        Code.FAILED,
        `The reply to "${this.pattern}" cannot be sent: ${error.message}`,
      );
    }
    if (error instanceof UnfitItem || error instanceof UnfitValue) {
      return rejected(Code.FAILED, `The reply to "${this.pattern}" is, or has, ${error.message}`);
    }
    const { code, reason, data, metadata } = toRejectionOfThrown(error);
    return rejected(code, reason, data, metadata);
  }
}

/** Resolves with a queue of the values at the first value, or with a record or stream that was the only value. */
function observe(
  source: Observable<unknown>,
  encode: EncodeItem,
): Promise<ValueQueue | { readonly whole: unknown }> {
  const stopped = new Subject<void>();
  const queue = new ValueQueue(encode, () => stopped.next(), {
    budget: new ValueBudget(DEFAULT_QUEUED_BYTES),
    maxItemSize: Infinity,
  });
  return new Promise((resolve) => {
    let held: { readonly whole: unknown } | undefined;
    const queued = (): ValueQueue => {
      if (held !== undefined) queue.push(held.whole);
      held = undefined;
      resolve(queue);
      return queue;
    };
    let isFirst = true;
    source.pipe(takeUntil(stopped)).subscribe({
      next(value) {
        if (isFirst && (isStream(value) || isInterconnectRecord(value))) held = { whole: value };
        else queued().push(value);
        isFirst = false;
      },
      complete() {
        if (held === undefined) queued().complete();
        else resolve(held);
      },
      error: (error: unknown) => queued().fail(error),
    });
  });
}

/** @throws UnreadableSource before anything is sent, as `session.send` does. */
async function beginning(items: EncodedItems): Promise<void> {
  let fault: UnreadableSource | undefined;
  items.begin((error) => (fault = error));
  await Promise.resolve();
  if (fault !== undefined) throw fault;
}

function accepted(data: Buffer, metadata: Metadata = {}): Outcome & { accepted: true } {
  return { accepted: true, data, metadata };
}

function rejected(
  code: number,
  reason: string,
  data: Buffer = EMPTY,
  metadata: Metadata = {},
): Outcome & { accepted: false } {
  return { accepted: false, code, reason, data, metadata };
}

function cancelled(executed: 'no' | 'maybe'): InterconnectError {
  return new InterconnectError('IC_ERR_CANCELLED', 'The call was cancelled.', { executed });
}
