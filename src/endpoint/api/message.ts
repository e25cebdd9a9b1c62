/** The `Message` of the API: a message of the other side, as its handler sees it. */
import { type AbortReason, type IncomingMessage } from '../../protocol/index.js';
import {
  Code,
  EMPTY_META,
  encodeMeta,
  FrameType,
  MAX_TEXT,
  type Meta,
  quote,
  EMPTY,
} from '../../wire/index.js';
import { type Bytes, type Metadata, toBuffer, toEntries, toMetadata } from '../common/bytes.js';
import { checkCode, checkReason } from '../common/codes.js';
import { InterconnectError } from '../common/errors.js';
import { ItemSource } from '../stream/item-source.js';
import { isItems, type Items } from '../stream/items.js';
import { MessageBody } from '../stream/message-body.js';
import { ReplyStream } from '../stream/reply-stream.js';
import type { Session } from './session.js';

/** The options of a settlement, beside its payload. */
export interface SettleOptions {
  /** Entries beside the payload; see `Metadata` for their limits. */
  metadata?: Metadata | undefined;
}

/** The code, reason and data of a rejection; see `Message.reject`. */
export interface ItemsRejection extends SettleOptions {
  readonly code: number;
  readonly reason: string;
  readonly data?: Bytes | undefined;
}

/** The options of a streamed response. */
export interface ItemsSettleOptions extends SettleOptions {
  /** Ends the response at once, as if the source had failed with the signal's reason. */
  signal?: AbortSignal | undefined;
  /**
   * Makes the rejection of the message if the source fails. Without this function, the message is rejected FAILED, and
   * `handlerError` of the connection reports the error.
   */
  toRejection?: ((error: unknown) => ItemsRejection) | undefined;
}

/**
 * One message. Settle it once: by `accept`, `respond` or `reject`. If the message is not settled within the sender's
 * timeout, and no streamed response has begun, both sides get a timeout. Until its settlement the message occupies one of
 * the session's places, even after a timeout or a cancel. So settle every message when its work has ended, also one-way
 * messages.
 *
 * A second settlement throws `IC_ERR_ALREADY_SETTLED`. A settlement after the timeout, or after the connection was
 * lost, does nothing; in these cases `signal` has already aborted.
 */
export class Message {
  /** The session in which the message came. */
  readonly session: Session;
  /**
   * The payload. The handler owns the bytes. If the request is a stream, these are the bytes before the first item:
   * usually none.
   */
  readonly data: Buffer;
  /** Whether the request is a stream. If so, read `body`. */
  readonly streaming: boolean;
  /** True if the sender wants no outcome. Settling then only tells this side that the work is done. */
  readonly oneWay: boolean;
  readonly #incoming: IncomingMessage;
  #answered = false;
  #rejection: { readonly code: number; readonly reason: string } | undefined;
  /** Whether `respond` has refused a response because it was larger than the sender takes. */
  #isTooLarge = false;
  /** The metadata as it arrived. The handler may want it longer than the machine keeps it. */
  readonly #entries: IncomingMessage['metadata'];
  #metadata: Metadata | undefined;
  #controller: AbortController | undefined;
  #abortError: InterconnectError | undefined;
  #body: MessageBody | undefined;
  #reply: ReplyStream | undefined;

  /** @internal */
  constructor(session: Session, incoming: IncomingMessage) {
    this.session = session;
    this.data = incoming.data;
    this.streaming = incoming.requestItems !== undefined;
    this.oneWay = incoming.oneWay;
    this.#incoming = incoming;
    this.#entries = incoming.metadata;
    incoming.abortListener = this;
  }

  /** The number of the message in its session and direction, from 1. */
  get id(): number {
    return this.#incoming.id;
  }

  /** The entries that the sender put beside the payload. The object has no prototype. */
  get metadata(): Metadata {
    return (this.#metadata ??= toMetadata(this.#entries));
  }

  /** Whether `accept`, `respond` or `reject` was called. The handler has ended then. */
  get answered(): boolean {
    return this.#answered;
  }

  /**
   * The code and the reason with which this side rejected the message, for tracing and logs. Undefined if the message is
   * not rejected. If the response is a stream, the value is known when the stream has ended.
   */
  get rejection(): { readonly code: number; readonly reason: string } | undefined {
    return this.#rejection;
  }

  /** Whether the message has an outcome: this side's, or the timeout. */
  get settled(): boolean {
    return this.#incoming.isSettled;
  }

  /**
   * Milliseconds until the message times out. `undefined`: the message has no timeout, or the first item of its
   * response has left.
   */
  get remaining(): number | undefined {
    const { deadline } = this.#incoming;
    return deadline === Infinity ? undefined : this.session.context.timeLeft(deadline);
  }

  /**
   * Aborts when the sender has cancelled, when the time is over, or when the connection is gone. The result of further
   * work would reach no caller. Once a streamed response has begun, only the sender's clock counts, and the sender
   * cancels. The signal is created at the first access.
   */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.abortError !== undefined) this.#controller.abort(this.abortError);
    }
    return this.#controller.signal;
  }

  /**
   * The request item by item, in one loop: `for await (const item of message.body)`. A request that is no stream is one
   * item, or no item if it is empty. A sender that is far ahead waits until the handler takes items. Unread items are
   * dropped when the message is settled. If the message is no longer wanted, the loop throws the reason of `signal`.
   */
  get body(): AsyncIterable<Buffer> {
    this.#body ??= new MessageBody(this.#incoming, this.data, () => this.abortError);
    return this.#body.items;
  }

  /** Accepts without data: the message was received and processed. */
  accept(): void {
    this.#settle(FrameType.ACCEPT, EMPTY_META, EMPTY);
  }

  /**
   * Accepts with data. The bytes are not copied. The connection owns them from this call on: do not change them.
   * @throws IC_ERR_OPTION if the data is not bytes, IC_ERR_TOO_LARGE if the data exceeds the other side's
   * `maxMessageSize`; the message must still be settled then.
   */
  respond(data: Bytes, options?: SettleOptions): void;
  /**
   * Responds with a stream (see `Items`), and accepts after the last item. Resolves when the connection has taken all
   * items, or when the response is no longer wanted. The promise never rejects. If the source fails, the message is
   * rejected, by default with FAILED, and `handlerError` of the connection reports the error.
   */
  respond(items: Items, options?: ItemsSettleOptions): Promise<void>;
  respond(data: Bytes | Items, options?: ItemsSettleOptions): void | Promise<void> {
    if (isItems(data)) return this.#stream(data, options);
    this.#settle(FrameType.ACCEPT, metaOf(options), this.#payload(data));
  }

  /**
   * Rejects the message. `code` is `Code.REFUSED` (the default: the message was not processed), `Code.FAILED` (it was),
   * `Code.DEADLINE` (the handler took too long: the sender gets a timeout, as if the message's own time were over) or
   * an application's own (0x8000–0xbfff: the message was processed, 0xc000–0xffff: it was not). `reason` is for people,
   * at most 1024 bytes; `data` is for the sender's application. If `respond` has thrown IC_ERR_TOO_LARGE before, FAILED
   * becomes `Code.REPLY_TOO_LARGE`: this tells the sender that a larger `maxMessageSize` of its own would help.
   */
  reject(code: number = Code.REFUSED, reason = '', data?: Bytes, options?: SettleOptions): void {
    const given = rejectionMeta(code, reason, options);
    const isTooLarge = this.#isTooLarge && code === Code.FAILED;
    // [IC-6.41]
    const meta = isTooLarge ? { ...given, code: Code.REPLY_TOO_LARGE } : given;
    this.#settle(FrameType.REJECT, meta, data === undefined ? EMPTY : this.#payload(data));
  }

  /** @internal The error of `signal` and `body`: why the message is no longer wanted. Undefined if it is still wanted. */
  get abortError(): InterconnectError | undefined {
    const { abortReason } = this.#incoming;
    if (abortReason !== undefined) this.#abortError ??= errorFor(abortReason);
    return this.#abortError;
  }

  /**
   * @internal Whether the handler of this message still waits for its turn. If the time of the message is over meanwhile, the
   * sender learns that no handler ran.
   */
  get waitsForTurn(): boolean {
    return this.#incoming.isKeptForLater;
  }

  /** @internal */
  set waitsForTurn(waits: boolean) {
    this.#incoming.isKeptForLater = waits;
  }

  /** @internal */
  onAbort(): void {
    this.#controller?.abort(this.abortError);
    this.#body?.wake();
    void this.#reply?.stop();
  }

  /**
   * @internal Rejects with a code of the library. FAILED becomes REPLY_TOO_LARGE if the handler failed because its
   * response was too large.
   */
  refuse(code: number, reason: string): void {
    if (this.#answered) return;
    const isTooLarge = this.#isTooLarge && code === Code.FAILED;
    const meta: Meta = isTooLarge
      ? { code: Code.REPLY_TOO_LARGE, text: 'The response exceeds what the sender takes.' }
      : { code, text: reason };
    this.#settle(FrameType.REJECT, meta, EMPTY);
  }

  #settle(type: number, meta: Meta, payload: Buffer): void {
    this.#answer();
    this.#end(type, meta, payload);
  }

  #end(type: number, meta: Meta, payload: Buffer): void {
    if (type === FrameType.REJECT) {
      this.#rejection = { code: meta.code ?? Code.FAILED, reason: meta.text ?? '' };
    }
    this.#incoming.settle(type, meta === EMPTY_META ? EMPTY : encodeMeta(meta), payload);
    this.#body?.wake();
  }

  #stream(items: Items, options: ItemsSettleOptions = {}): Promise<void> {
    const meta = metaOf(options);
    this.#checkUnanswered();
    const source = new ItemSource(items);
    this.#answered = true;
    const { context } = this.session;
    const incoming = this.#incoming;
    this.#reply = new ReplyStream(
      {
        incoming,
        peerMaxMessageSize: context.peerMaxMessageSize,
        turns: context.turns,
        settle: (type, fields, payload) => this.#end(type, fields, payload),
        report: (error) => context.reportHandlerError(error),
        rejectionOf: (error) => this.#rejectionOf(error, options.toRejection),
      },
      source,
      meta,
      options.signal,
    );
    return this.#reply.done;
  }

  /**
   * Returns the rejection for an error of the source. The application's `toRejection` makes it. If this function fails
   * too, or returns more than a frame holds, the rejection is FAILED.
   */
  #rejectionOf(
    error: unknown,
    toRejection: ItemsSettleOptions['toRejection'],
  ): { meta: Meta; payload: Buffer } {
    let cause = error;
    try {
      if (toRejection !== undefined) {
        const { code, reason, data, ...options } = toRejection(error);
        const payload = data === undefined ? EMPTY : this.#payload(data);
        return { meta: rejectionMeta(code, reason, options), payload };
      }
    } catch (thrown) {
      cause = thrown;
    }
    this.session.context.reportHandlerError(cause);
    return { meta: { code: Code.FAILED, text: 'The handler failed.' }, payload: EMPTY };
  }

  #answer(): void {
    this.#checkUnanswered();
    this.#answered = true;
  }

  #checkUnanswered(): void {
    if (this.#answered) {
      throw new InterconnectError(
        'IC_ERR_ALREADY_SETTLED',
        `Message ${this.id} of session ${quote(this.session.name, 256)} is settled already. Settle a message once.`,
      );
    }
  }

  #payload(data: Bytes): Buffer {
    const payload = toBuffer(data, 'The data of a settlement');
    const limit = this.session.context.peerMaxMessageSize;
    if (payload.length <= limit) return payload;
    this.#isTooLarge = true;
    throw new InterconnectError(
      'IC_ERR_TOO_LARGE',
      `A response of ${payload.length} bytes exceeds the ${limit} bytes that the other side takes. ` +
        `Respond in parts, or raise maxMessageSize there.`,
    );
  }
}

function metaOf(options: SettleOptions | undefined): Meta {
  if (options?.metadata === undefined) return EMPTY_META;
  return { metadata: toEntries(options.metadata) };
}

function rejectionMeta(code: number, reason: string, options: SettleOptions | undefined): Meta {
  checkCode(code, MESSAGE_CODES, 'message.reject');
  return { ...metaOf(options), code, text: checkReason(reason, MAX_TEXT) };
}

function errorFor(reason: AbortReason): InterconnectError {
  switch (reason) {
    case 'timeout':
      return new InterconnectError('IC_ERR_TIMEOUT', 'The message was not settled in time.');
    case 'cancelled':
      return new InterconnectError('IC_ERR_CANCELLED', 'The sender cancelled the message.');
    case 'lost':
      return new InterconnectError(
        'IC_ERR_CONNECTION_LOST',
        'The session or its connection is gone.',
      );
    case 'too-large':
      return new InterconnectError('IC_ERR_TOO_LARGE', 'An item of the message is too large.');
  }
}

const MESSAGE_CODES = [Code.REFUSED, Code.FAILED, Code.DEADLINE];
