/** The `Session` of the API: a named, ordered channel of a connection, as applications see it. */
import { EventEmitter } from 'node:events';
import {
  type ConnectionMachine,
  type Failure,
  type SessionListener,
  type SessionMachine,
} from '../../protocol/index.js';
import { Code, encodeMeta, MAX_TEXT, quote, EMPTY } from '../../wire/index.js';
import {
  type Bytes,
  type Metadata,
  toBuffer,
  toBufferOrEmpty,
  toEntries,
  toMetadata,
} from '../common/bytes.js';
import { checkCode, checkReason } from '../common/codes.js';
import type { Connection } from './connection.js';
import { closedError, errorOf, type InterconnectError, optionError } from '../common/errors.js';
import { ItemSource } from '../stream/item-source.js';
import { isItems, ItemReader, type Items, ReadOnce } from '../stream/items.js';
import { Message } from './message.js';
import { deadlineOf } from '../common/options.js';
import { patienceOf, type WhenOffline } from '../link/outage.js';
import type { Outcome } from './outcome.js';
import type { SessionContext } from './session-context.js';
import { PendingSend } from './pending-send.js';
import { cancelledBefore } from './send-failures.js';
import { responseOf, StreamingSend } from './streaming-send.js';
import { inspectShort } from '../common/words.js';

/** The options of a message whose response is read as a stream. */
export interface StreamOptions {
  /**
   * Milliseconds until the outcome, including all items; 0 = no limit. Without this option, `messageTimeout` of the
   * endpoint limits the time until the response arrives or its first item arrives. After that, it limits the time between
   * two items. If the request is a stream, the time also begins anew with each item of the request.
   */
  timeout?: number | undefined;
  /** Entries beside the payload; see `Metadata` for their limits. */
  metadata?: Metadata | undefined;
  /** Cancels the message: the `signal` of the other side's handler aborts. */
  signal?: AbortSignal | undefined;
  /** How long the message waits while there is no socket: see `WhenOffline`. Default: the connection's. */
  whenOffline?: WhenOffline | undefined;
}

/** The options of one message. */
export interface SendOptions extends StreamOptions {
  /** True if the sender wants no outcome. Not allowed for streams. */
  oneWay?: boolean | undefined;
  /**
   * True if the handler may run twice without harm. If the connection is lost for good, it may be unknown whether the
   * handler ran. In this case an idempotent message is sent again on the next connection. Any other message fails with
   * `executed: 'maybe'`.
   */
  idempotent?: boolean | undefined;
  /**
   * Takes the items of a streamed response, one after the other: the next item comes when the promise has resolved. If
   * this function throws, or its promise rejects, the message is cancelled. The outcome comes after the last item.
   */
  onItem?: ((item: Buffer) => void | Promise<void>) | undefined;
}

/**
 * `opening`: this side opened the session, and the other side has not accepted or rejected it. `pending`: the other
 * side opened the session, and waits for this side's decision. `closing`: no new message begins, and running messages are
 * still settled.
 */
export type SessionStatus = 'opening' | 'pending' | 'open' | 'closing' | 'closed';

/** The events of a session. Each listener is called synchronously, in the order of the frames. */
export interface SessionEvents {
  /** A message of the other side. Without a listener, the message is rejected with NO_HANDLER. */
  message: [message: Message];
  /** The message was neither accepted nor rejected in time. The sender gets a timeout too. */
  timeout: [message: Message];
  /** The other side accepted the session. */
  open: [];
  /** The session is over. The error says why. If one side ended the session in order, there is no error. */
  close: [error: InterconnectError | undefined];
}

/**
 * One session. The opener gets it from `createSession` or `openSession`. The acceptor gets it from the connection's
 * `'session'`, and must `accept` or `reject` it. Then both ends are alike.
 */
export class Session extends EventEmitter<SessionEvents> {
  /** The connection of the session. */
  readonly connection: Connection;
  /** @internal The services of the connection for the session and its messages. */
  readonly context: SessionContext;
  #machine: SessionMachine;
  #data: Buffer;
  #metadata: Metadata;
  #wasOpen = false;
  #closed: Promise<void> | undefined;
  #resolveClosed: (() => void) | undefined;

  /** @internal */
  constructor(
    connection: Connection,
    context: SessionContext,
    machine: SessionMachine,
    fromPeer: boolean,
  ) {
    super({ captureRejections: true });
    this.connection = connection;
    this.context = context;
    this.#machine = machine;
    this.#data = fromPeer ? machine.openData : EMPTY;
    this.#metadata = toMetadata(fromPeer ? machine.openMeta.metadata : undefined);
    machine.listener = this.#listener(machine);
  }

  /** @internal The machine of the session on the current connection. */
  get machine(): SessionMachine {
    return this.#machine;
  }

  /** @internal Opens the session again on the connection that replaces the former one. */
  move(connection: ConnectionMachine): void {
    if (this.status !== 'opening' && this.status !== 'open') return;
    const { name, openMeta, openData, state } = this.#machine;
    // A session that is not accepted yet has only the rest of its time.
    const isOpening = state === 'OPENING';
    const timeout = isOpening ? this.#machine.timeLeft(this.context.now()) : Infinity;
    this.#machine = connection.openSession({
      name,
      meta: openMeta,
      data: openData,
      timeout,
    });
    this.#machine.listener = this.#listener(this.#machine);
  }

  /** The name that the opener gave; in Nest, the pattern. */
  get name(): string {
    return this.#machine.name;
  }

  /** The state of the session. */
  get status(): SessionStatus {
    return STATUSES[this.#machine.state];
  }

  /** The bytes with which the other side opened or accepted the session. Empty until the other side has accepted. */
  get data(): Buffer {
    return this.#data;
  }

  /** The entries that came with `data`. The object has no prototype. */
  get metadata(): Metadata {
    return this.#metadata;
  }

  /**
   * Accepts a session that the other side opened. Attach the `message` listener first. The other side receives `data`.
   * If the session is already gone, this method does nothing.
   * @throws IC_ERR_OPTION if the data does not fit into one frame.
   */
  accept(data?: Bytes): void {
    const payload = this.context.checkSessionData(toBufferOrEmpty(data, 'Session data'));
    // Messages that arrived before the acceptance start their handlers.
    this.context.inScope(() => this.#machine.accept({}, payload, this.context.now()));
  }

  /**
   * Rejects the session. Messages that the other side has already sent fail there with `executed: 'no'`. Default code:
   * `Code.SESSION_REFUSED`.
   * @throws IC_ERR_OPTION if the code, the reason or the data is not allowed.
   */
  reject(code: number = Code.SESSION_REFUSED, reason = '', data?: Bytes): void {
    checkCode(code, SESSION_CODES, 'session.reject');
    const payload = this.context.checkSessionData(toBufferOrEmpty(data, 'Session data'));
    this.#machine.reject(code, checkReason(reason, MAX_TEXT), payload);
  }

  /**
   * Sends a one-way message. The promise resolves when the connection no longer needs the bytes: a message of up to 64 KiB
   * is copied and has then been written, and a larger one has been acknowledged. The caller may change the bytes then.
   */
  send(data: Bytes, options: SendOptions & { oneWay: true }): Promise<void>;
  /**
   * Sends a message. The promise resolves with the outcome that the other side's handler gave, also with a rejection. The
   * promise rejects with an `InterconnectError` only if there is no outcome. `executed` of the error says whether the
   * handler ran.
   *
   * The bytes are not copied. The connection owns them until the promise resolves: do not change them before. After a
   * failure the connection may still use the bytes, so put the next message into others. Messages of one session start
   * their handlers in the order in which they were sent.
   *
   * A stream (see `Items`) is sent item by item. If its source fails, the message is cancelled, and the promise rejects
   * with the source's error. Once the other side has settled the message, the source is asked for no further item.
   */
  send(data: Bytes | Items, options?: SendOptions): Promise<Outcome>;
  send(data: Bytes | Items, options: SendOptions = NO_OPTIONS): Promise<Outcome | void> {
    if (isItems(data)) return this.#sendStream(data, options);
    return new Promise<Outcome | void>((resolve, reject) => {
      const { metadata, signal, oneWay, onItem } = options;
      if (onItem !== undefined) checkOnItem(onItem, oneWay);
      if (this.context.isOver) return reject(closedError());
      const payload = toBuffer(data, 'A message');
      const copied = oneWay === true && payload.length <= ONE_WAY_COPY_LIMIT;
      const message = new PendingSend(
        this,
        copied ? Buffer.from(payload) : payload,
        metadata === undefined ? EMPTY : encodeMeta({ metadata: toEntries(metadata) }),
        copied,
        options,
      );
      message.deadline = this.context.deadline(options.timeout);
      if (onItem !== undefined && options.timeout === undefined) {
        message.patience = this.context.messageTimeout;
      }
      if (signal?.aborted === true) return reject(cancelledBefore());
      message.submit(resolve, reject);
    });
  }

  /**
   * Sends a message and reads the response as a stream: `for await (const item of session.stream(request))`. If the
   * handler accepts with data, the data is the last item. If it rejects, the loop throws `IC_ERR_REJECTED`. If the loop is
   * left early, the message is cancelled. The message is sent when the first item is asked for. The stream can be read
   * once.
   */
  stream(data: Bytes | Items, options: StreamOptions = NO_OPTIONS): AsyncIterable<Buffer> {
    const message = this.#streaming(data, options, true);
    const reader = new ItemReader(
      responseOf(message, () => {
        message.onChange = () => reader.wake();
        this.#start(message, options);
      }),
    );
    return new ReadOnce('A response', reader);
  }

  /** Ends the session in order: no new message begins, and earlier ones are still settled. Resolves at the end. Idempotent. */
  close(): Promise<void> {
    if (this.#closed === undefined) {
      this.#closed = new Promise((resolve) => (this.#resolveClosed = resolve));
      if (this.status === 'closed') this.#resolveClosed?.();
      else this.#machine.end();
    }
    return this.#closed;
  }

  /** A listener returned a promise, and the promise rejected: the message fails, and the process continues. */
  override [EventEmitter.captureRejectionSymbol](
    error: Error,
    _event: unknown,
    subject?: unknown,
  ): void {
    this.#handlerFailed(error, subject);
  }

  async #sendStream(data: Items, options: SendOptions): Promise<Outcome> {
    const { oneWay, onItem } = options;
    let message: StreamingSend;
    try {
      checkOnItem(onItem, oneWay);
      message = this.#streaming(data, options, onItem !== undefined);
    } catch (error) {
      // The Nest adapter has claimed the stream, so this method must end it.
      if (data instanceof ItemSource) data.end().catch(() => undefined);
      throw error;
    }
    return message.deliver(onItem, () => this.#start(message, options));
  }

  #streaming(data: Bytes | Items, options: StreamOptions, takesItems: boolean): StreamingSend {
    const { metadata, timeout, whenOffline } = options;
    if (timeout !== undefined) deadlineOf(timeout, 0, 0);
    if (whenOffline !== undefined) patienceOf(whenOffline);
    const payload = isItems(data) ? EMPTY : toBuffer(data, 'A message');
    const meta = metadata === undefined ? EMPTY : encodeMeta({ metadata: toEntries(metadata) });
    // This comes last, because a claimed stream must be read or ended.
    const source = isItems(data) ? sourceOf(data) : undefined;
    return new StreamingSend(this, payload, meta, { source, takesItems, whenOffline });
  }

  #start(message: StreamingSend, { timeout, signal }: StreamOptions): void {
    const { context } = this;
    if (context.isOver) message.abandon(closedError());
    else message.start(context.timing(timeout), signal);
  }

  #listener(machine: SessionMachine): SessionListener {
    return {
      onOpened: (meta, data) => {
        this.#data = data;
        this.#metadata = toMetadata(meta.metadata);
        if (this.#wasOpen) return;
        this.#wasOpen = true;
        this.context.hold();
        this.context.guard(() => this.emit('open'));
      },
      onMessage: (incoming) => this.#onMessage(new Message(this, incoming)),
      onMessageTimeout: (incoming) => {
        const { abortListener } = incoming;
        const known = abortListener instanceof Message;
        const message = known ? abortListener : new Message(this, incoming);
        this.context.guard(() => this.emit('timeout', message));
      },
      onClosed: (failure) => {
        // Ignore this event if the session has moved to another connection.
        if (machine === this.#machine) this.#onClosed(failure);
      },
    };
  }

  #onMessage(message: Message): void {
    try {
      if (this.emit('message', message)) return;
      message.refuse(
        Code.NO_HANDLER,
        `Nobody listens for messages of session ${quote(this.name, 256)}.`,
      );
    } catch (error) {
      this.#handlerFailed(error, message);
    }
  }

  #handlerFailed(error: unknown, subject: unknown): void {
    if (subject instanceof Message) {
      // The handler stopped because of `signal` or `body`: this is not an error of the handler.
      if (error !== undefined && error === subject.abortError) {
        return subject.refuse(Code.CANCELLED_RUNNING, 'The handler was stopped.');
      }
      subject.refuse(Code.FAILED, 'The handler failed.');
    }
    this.context.reportHandlerError(error);
  }

  #onClosed(failure: Failure | undefined): void {
    this.context.onSessionClosed(this);
    this.#resolveClosed?.();
    const error = failure && errorOf(this.context.explained(failure));
    this.context.guard(() => this.emit('close', error));
  }
}

/** Returns a stream that the Nest adapter has claimed, or claims the stream here. @throws UnreadableSource */
function sourceOf(items: Items): ItemSource<Bytes> {
  return items instanceof ItemSource ? (items as ItemSource<Bytes>) : new ItemSource(items);
}

/** Checks the options of a message with a stream, or of one that takes a stream. */
function checkOnItem(onItem: unknown, oneWay: boolean | undefined): void {
  if (oneWay === true) {
    throw optionError(
      'oneWay is for bytes: nobody would tell how far a stream came. Leave it out.',
    );
  }
  if (onItem !== undefined && typeof onItem !== 'function') {
    throw optionError(`onItem must be a function, and is ${inspectShort(onItem)}.`);
  }
}

const STATUSES = {
  OPENING: 'opening',
  UNANSWERED: 'closing',
  PENDING: 'pending',
  OPEN: 'open',
  ENDING: 'closing',
  CLOSED: 'closed',
} as const;
const NO_OPTIONS: SendOptions = {};
/** Bytes. A one-way message up to this size is copied, so that its sender need not wait for the other side. */
const ONE_WAY_COPY_LIMIT = 64 * 1024;
const SESSION_CODES = [
  Code.NO_SUCH_SESSION,
  Code.SESSION_FORBIDDEN,
  Code.SESSION_LIMIT,
  Code.SESSION_REFUSED,
  Code.SESSION_FAILED,
];
