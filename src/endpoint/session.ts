/** A named, ordered channel of a connection, as applications see it. */
import { EventEmitter } from 'node:events';
import {
  type ConnectionMachine,
  EMPTY,
  type Failure,
  type IncomingMessage,
  type SessionListener,
  type SessionMachine,
} from '../protocol/index.js';
import { Code, EMPTY_META, encodeMeta, MAX_TEXT, type Meta } from '../wire/index.js';
import {
  type Bytes,
  type Metadata,
  toBuffer,
  toBufferOrEmpty,
  toEntries,
  toMetadata,
} from './bytes.js';
import { checkCode, checkReason } from './codes.js';
import type { Connection } from './connection.js';
import { closedError, errorOf, InterconnectError } from './errors.js';
import { Message } from './message.js';
import { type Outcome, PendingSend } from './pending-send.js';

/** How one message is sent. */
export interface SendOptions {
  /** Milliseconds until an outcome must be there. Default: the endpoint's `messageTimeout`; 0 = no limit. */
  timeout?: number;
  /** Travels beside the payload; see `Metadata` for its limits. */
  metadata?: Metadata;
  /** Cancels: the other side's handler sees its own signal abort. */
  signal?: AbortSignal;
  /** No outcome is wanted. */
  oneWay?: boolean;
  /**
   * It does no harm if the handler runs twice: where the connection is lost for good, and nobody knows whether
   * the handler ran, the message goes again on the next one instead of failing with `executed: 'maybe'`.
   */
  idempotent?: boolean;
}

/**
 * `opening`: this side opened it and has no answer yet, `pending`: the other side did and waits for one,
 * `closing`: nothing new begins, what runs is still settled.
 */
export type SessionStatus = 'opening' | 'pending' | 'open' | 'closing' | 'closed';

/** What a session emits. Each listener is called synchronously, in the order of the frames. */
export interface SessionEvents {
  /** A message of the other side. Without a listener it is rejected NO_HANDLER. */
  message: [message: Message];
  /** It was neither accepted nor rejected in time; the sender has been told the same. */
  timeout: [message: Message];
  /** The other side accepted the session. */
  open: [];
  /** It is over; the error says why, where it was not ended in order. */
  close: [error: InterconnectError | undefined];
}

/**
 * One session. The opener has it from `createSession` or `openSession`, the acceptor from the connection's
 * `'session'`, and must `accept` or `reject` it. Then both ends are alike.
 */
export class Session extends EventEmitter<SessionEvents> {
  /** The connection it runs on. */
  readonly connection: Connection;
  #machine: SessionMachine;
  #data: Buffer;
  #metadata: Metadata;
  #wasOpen = false;
  #closed: Promise<void> | undefined;
  #resolveClosed: (() => void) | undefined;

  /** @internal */
  constructor(connection: Connection, machine: SessionMachine, fromPeer: boolean) {
    super({ captureRejections: true });
    this.connection = connection;
    this.#machine = machine;
    this.#data = fromPeer ? machine.openData : EMPTY;
    this.#metadata = toMetadata(fromPeer ? machine.openMeta.metadata : undefined);
    machine.listener = this.#listener(machine);
  }

  /** @internal What carries it at the moment. */
  get machine(): SessionMachine {
    return this.#machine;
  }

  /** @internal Another connection takes the place of its own: it is opened again there. */
  move(connection: ConnectionMachine): void {
    if (this.status !== 'opening' && this.status !== 'open') return;
    const { name, openMeta, openData, state } = this.#machine;
    // Who still waits for it to be accepted has no more time than before.
    const deadline = state.kind === 'opening' ? state.deadline : Infinity;
    this.#machine = connection.openSession(name, openMeta, openData, deadline);
    this.#machine.listener = this.#listener(this.#machine);
  }

  /** What it was opened as; in Nest, the pattern. */
  get name(): string {
    return this.#machine.name;
  }

  /** Where it is in its life. */
  get status(): SessionStatus {
    const { kind } = this.#machine.state;
    return kind === 'ending' ? 'closing' : kind;
  }

  /** What the other side provided: with its opening, or with its acceptance (empty until `open`). */
  get data(): Buffer {
    return this.#data;
  }

  /** What came with `data`; without a prototype. */
  get metadata(): Metadata {
    return this.#metadata;
  }

  /**
   * Accepts a session that the other side opened: attach the `message` listener before. `data` is shown
   * to the other side. Does nothing if the session is gone meanwhile.
   */
  accept(data?: Bytes): void {
    const payload = this.connection.checkSessionData(toBufferOrEmpty(data, 'Session data'));
    this.#machine.accept({}, payload, this.connection.now());
  }

  /**
   * Rejects it. The messages that the other side sent ahead are reported to it as not executed.
   * Default code: `Code.SESSION_REFUSED`.
   */
  reject(code: number = Code.SESSION_REFUSED, reason = '', data?: Bytes): void {
    checkCode(code, SESSION_CODES, 'session.reject');
    const payload = this.connection.checkSessionData(toBufferOrEmpty(data, 'Session data'));
    this.#machine.reject(code, checkReason(reason, MAX_TEXT), payload);
  }

  /** Resolves once the kernel has the message, and its bytes may be used again. */
  send(data: Bytes, options: SendOptions & { oneWay: true }): Promise<void>;
  /**
   * Resolves for every outcome that the other side's handler gave, a rejection included. Rejects with an
   * `InterconnectError` only where there is none; its `executed` says whether the handler ran.
   *
   * The bytes are not copied, and belong to the connection until the promise resolves: do not change them
   * before. After a failure they may still be on their way: make new ones. Messages of
   * one session start their handlers in the order in which they were sent.
   */
  send(data: Bytes, options?: SendOptions): Promise<Outcome>;
  send(data: Bytes, options: SendOptions = NO_OPTIONS): Promise<Outcome | void> {
    return new Promise<Outcome | void>((resolve, reject) => {
      if (this.connection.isOver) return reject(closedError());
      const { metadata, signal, oneWay } = options;
      const payload = toBuffer(data, 'A message');
      const copied = oneWay === true && payload.length <= LARGEST_COPY;
      const message = new PendingSend(
        this,
        copied ? Buffer.from(payload) : payload,
        metadata === undefined ? EMPTY : encodeMeta({ metadata: toEntries(metadata) }),
        this.connection.deadline(options.timeout),
        copied,
        options,
        resolve,
        reject,
      );
      if (signal?.aborted === true) return reject(cancelled());
      message.submit();
    });
  }

  /** Ends the session in order: what was sent is still settled, nothing new begins. Idempotent. */
  close(): Promise<void> {
    if (this.#closed === undefined) {
      this.#closed = new Promise((resolve) => (this.#resolveClosed = resolve));
      if (this.status === 'closed') this.#resolveClosed?.();
      else this.#machine.end();
    }
    return this.#closed;
  }

  /** @internal */
  settle(message: IncomingMessage, type: number, meta: Meta, payload: Buffer): void {
    message.settle(type, meta === EMPTY_META ? EMPTY : encodeMeta(meta), payload);
  }

  /** A listener that returned a promise, and it rejected: the message fails, the process does not. */
  override [EventEmitter.captureRejectionSymbol](
    error: Error,
    _event: unknown,
    subject?: unknown,
  ): void {
    this.#handlerFailed(error, subject);
  }

  #listener(machine: SessionMachine): SessionListener {
    return {
      onOpened: (meta, data) => {
        this.#data = data;
        this.#metadata = toMetadata(meta.metadata);
        if (this.#wasOpen) return;
        this.#wasOpen = true;
        this.connection.hold();
        this.connection.guard(() => this.emit('open'));
      },
      onMessage: (incoming) => this.#onMessage(new Message(this, incoming)),
      onMessageTimeout: (incoming) => {
        const { abortListener } = incoming;
        const known = abortListener instanceof Message;
        const message = known ? abortListener : new Message(this, incoming);
        this.connection.guard(() => this.emit('timeout', message));
      },
      onClosed: (failure) => {
        // One that it has left behind.
        if (machine === this.#machine) this.#onClosed(failure);
      },
    };
  }

  #onMessage(message: Message): void {
    try {
      if (this.emit('message', message)) return;
      message.refuse(Code.NO_HANDLER, `Nobody listens for messages of session "${this.name}".`);
    } catch (error) {
      this.#handlerFailed(error, message);
    }
  }

  #handlerFailed(error: unknown, subject: unknown): void {
    if (subject instanceof Message) subject.refuse(Code.FAILED, 'The handler failed.');
    this.connection.reportHandlerError(error);
  }

  #onClosed(failure: Failure | undefined): void {
    this.connection.forget(this);
    this.#resolveClosed?.();
    const error = failure && errorOf(failure);
    this.connection.guard(() => this.emit('close', error));
  }
}

function cancelled(): InterconnectError {
  return new InterconnectError(
    'IC_ERR_CANCELLED',
    'The signal had aborted before the message was sent.',
  );
}

const NO_OPTIONS: SendOptions = {};
/** One-way messages up to so many bytes are copied, so that their sender need not wait for the other side. */
const LARGEST_COPY = 64 * 1024;
const SESSION_CODES = [
  Code.NO_SUCH_SESSION,
  Code.SESSION_FORBIDDEN,
  Code.SESSION_LIMIT,
  Code.SESSION_REFUSED,
  Code.SESSION_FAILED,
];
