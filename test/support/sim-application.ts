/**
 * What stands above the machines in a simulation: sessions, sent and received messages as a test handles
 * them. Everything that the protocol floor tells is kept, and telling twice fails the test.
 */
import {
  type AbortReason,
  EMPTY,
  type Failure,
  type IncomingMessage,
  type Limits,
  OutgoingMessage,
  type SessionListener,
  type SessionMachine,
} from '../../src/protocol/index.js';
import { Code, codeName, encodeMeta, FrameType, type Meta } from '../../src/wire/index.js';
import type { ManualClock } from './manual-clock.js';

/** The side of a connection on which a session lives. */
export interface SimHost {
  readonly role: 'dialer' | 'listener';
  readonly clock: ManualClock;
  readonly limits: Limits;
  readonly onMessage: ((message: SimMessage) => void) | undefined;
}

export type Entries = NonNullable<Meta['metadata']>;

export interface SendOptions {
  /** Milliseconds; none = no deadline. */
  readonly timeout?: number;
  readonly metadata?: Entries;
  readonly oneWay?: boolean;
}

export type SendResult =
  | { readonly kind: 'accepted'; readonly meta: Meta; readonly data: Buffer }
  | { readonly kind: 'rejected'; readonly meta: Meta; readonly data: Buffer }
  | { readonly kind: 'sent' }
  | { readonly kind: 'failed'; readonly failure: Failure };

/** A message that this side sends, and what became of it. */
export class SimSend extends OutgoingMessage {
  result: SendResult | undefined;
  /** Called when the result is there. */
  onResult: (() => void) | undefined;
  readonly #session: SimSession;

  constructor(session: SimSession, payload: Buffer, options: SendOptions) {
    const { metadata, timeout = Infinity, oneWay = false } = options;
    const meta = metadata === undefined ? EMPTY : encodeMeta({ metadata });
    super(payload, meta, session.side.clock.now() + timeout, oneWay);
    this.#session = session;
  }

  /** `pending`, `sent`, `accepted`, `accepted "data"`, `rejected BUSY "reason"`, `failed timeout maybe`. */
  get outcome(): string {
    const { result } = this;
    switch (result?.kind) {
      case undefined:
        return 'pending';
      case 'sent':
        return 'sent';
      case 'accepted':
        return `accepted${shown(result.data)}`;
      case 'rejected': {
        const { code = Code.OK, text } = result.meta;
        return `rejected ${codeName(code)}${text === undefined ? '' : ` "${text}"`}${shown(result.data)}`;
      }
      case 'failed':
        return `failed ${result.failure.kind} ${result.failure.executed}`;
    }
  }

  /** The data of the other side's answer. */
  get data(): Buffer {
    const { result } = this;
    if (result === undefined || !('data' in result))
      throw new Error(`There is no data: ${this.outcome}.`);
    return result.data;
  }

  /** Why there is no outcome. */
  get failure(): Failure {
    if (this.result?.kind !== 'failed') throw new Error(`It has not failed: ${this.outcome}.`);
    return this.result.failure;
  }

  cancel(): void {
    this.#session.machine.sender.cancel(this);
  }

  override onOutcome(type: number, meta: Meta, data: Buffer): void {
    this.#settle({ kind: type === FrameType.ACCEPT ? 'accepted' : 'rejected', meta, data });
  }

  override onFailure(failure: Failure): void {
    this.#settle({ kind: 'failed', failure });
  }

  override onSent(): void {
    this.#settle({ kind: 'sent' });
  }

  #settle(result: SendResult): void {
    if (this.result !== undefined) {
      throw new Error(`Message ${this.id} has ended already: ${this.outcome}; now ${result.kind}.`);
    }
    this.result = result;
    this.onResult?.();
  }
}

/** A message of the other side whose handler has started. */
export class SimMessage {
  readonly incoming: IncomingMessage;
  readonly session: SimSession;
  readonly data: Buffer;
  aborted: AbortReason | undefined;

  constructor(session: SimSession, incoming: IncomingMessage) {
    this.session = session;
    this.incoming = incoming;
    this.data = incoming.data;
    incoming.abortListener = this;
  }

  get id(): number {
    return this.incoming.id;
  }

  get text(): string {
    return this.data.toString();
  }

  accept(): boolean {
    return this.#settle(FrameType.ACCEPT, {}, EMPTY);
  }

  respond(data: Buffer | string, metadata?: Entries): boolean {
    return this.#settle(FrameType.ACCEPT, metadata === undefined ? {} : { metadata }, bytes(data));
  }

  reject(code: number = Code.REFUSED, text = '', data: Buffer | string = EMPTY): boolean {
    return this.#settle(FrameType.REJECT, { code, text }, bytes(data));
  }

  onAbort(reason: AbortReason): void {
    if (this.aborted !== undefined) throw new Error(`Message ${this.id} is aborted twice.`);
    this.aborted = reason;
  }

  #settle(type: number, meta: Meta, data: Buffer): boolean {
    return this.session.machine.settle(this.incoming, type, meta, data);
  }
}

export class SimSession implements SessionListener {
  readonly side: SimHost;
  readonly machine: SessionMachine;
  /** Messages whose handlers have started, in that order. */
  readonly messages: SimMessage[] = [];
  /** Messages that were neither accepted nor rejected in time. */
  readonly timeouts: IncomingMessage[] = [];
  /** What the other side accepted with. */
  opened: { readonly meta: Meta; readonly data: Buffer } | undefined;
  closed: { readonly failure: Failure | undefined } | undefined;
  /** The handler; without one, a message waits in `messages`. */
  onHandle: ((message: SimMessage) => void) | undefined;

  constructor(side: SimHost, machine: SessionMachine) {
    this.side = side;
    this.machine = machine;
    machine.listener = this;
  }

  get name(): string {
    return this.machine.name;
  }

  get id(): number {
    return this.machine.id;
  }

  /** `opening`, `pending`, `open`, `ending`, `closed`, `closed session-rejected`. */
  get status(): string {
    const { kind } = this.machine.state;
    const failure = this.closed?.failure;
    return failure === undefined ? kind : `${kind} ${failure.kind}`;
  }

  /** The message whose handler started last. */
  get last(): SimMessage {
    const message = this.messages.at(-1);
    if (message === undefined) throw new Error(`No message has arrived in "${this.name}".`);
    return message;
  }

  accept(data: Buffer | string = EMPTY, metadata?: Entries): boolean {
    const meta = metadata === undefined ? {} : { metadata };
    return this.machine.accept(meta, bytes(data), this.side.clock.now());
  }

  reject(code: number = Code.SESSION_REFUSED, reason = '', data: Buffer | string = EMPTY): boolean {
    return this.machine.reject(code, reason, bytes(data));
  }

  send(payload: Buffer | string, options: SendOptions = {}): SimSend {
    const message = new SimSend(this, bytes(payload), options);
    this.machine.send(message);
    return message;
  }

  end(): void {
    this.machine.end();
  }

  onOpened(meta: Meta, data: Buffer): void {
    if (this.opened !== undefined) throw new Error(`"${this.name}" is opened twice.`);
    this.opened = { meta, data };
  }

  onClosed(failure: Failure | undefined): void {
    if (this.closed !== undefined) throw new Error(`"${this.name}" is closed twice.`);
    this.closed = { failure };
  }

  onMessage(incoming: IncomingMessage): void {
    const message = new SimMessage(this, incoming);
    this.messages.push(message);
    (this.onHandle ?? this.side.onMessage)?.(message);
  }

  onMessageTimeout(incoming: IncomingMessage): void {
    this.timeouts.push(incoming);
  }
}

function bytes(data: Buffer | string): Buffer {
  return typeof data === 'string' ? Buffer.from(data) : data;
}

function shown(data: Buffer): string {
  if (data.length === 0) return '';
  return data.length > 32 ? ` ${data.length} B` : ` ${JSON.stringify(data.toString())}`;
}
