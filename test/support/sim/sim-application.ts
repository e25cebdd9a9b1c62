/**
 * The application above the machines of a simulation: sessions, and the messages that a test sends and receives. The
 * application keeps each event of the protocol floor. If an event that may come once comes twice, the test fails.
 */
import {
  type AbortReason,
  type Failure,
  type IncomingMessage,
  type Limits,
  OutgoingMessage,
  type SessionListener,
  type SessionMachine,
} from '../../../src/protocol/index.js';
import {
  Code,
  codeName,
  encodeMeta,
  Flag,
  FrameType,
  type Meta,
  EMPTY,
} from '../../../src/wire/index.js';
import type { ManualClock } from './manual-clock.js';
import { SimSource } from './sim-source.js';

/** The side of a connection that holds a session. */
export interface SimHost {
  readonly role: 'dialer' | 'listener';
  readonly clock: ManualClock;
  readonly limits: Limits;
  readonly onMessage: ((message: SimMessage) => void) | undefined;
}

export type Entries = NonNullable<Meta['metadata']>;

export interface SendOptions {
  /** Milliseconds. Without it, the message has no deadline. */
  readonly timeout?: number;
  readonly metadata?: Entries;
  readonly oneWay?: boolean;
  /**
   * Whether the connection has copied a one-way message. If so, `sent` is reported when the message is written.
   * Default: true.
   */
  readonly isCopied?: boolean;
  /** The items of the request. Without it, the request is no stream. */
  readonly items?: Iterable<Buffer | string>;
  /** Whether END follows the last item automatically. */
  readonly end?: boolean;
  /** Whether the response may be a stream. */
  readonly takesItems?: boolean;
  /** Milliseconds without progress after which the stream fails. */
  readonly patience?: number;
}

export type SendResult =
  | { readonly kind: 'accepted'; readonly meta: Meta; readonly data: Buffer }
  | { readonly kind: 'rejected'; readonly meta: Meta; readonly data: Buffer }
  | { readonly kind: 'sent' }
  | { readonly kind: 'failed'; readonly failure: Failure };

/** A message that this side sends, and its result. */
export class SimSend extends OutgoingMessage {
  result: SendResult | undefined;
  /** Called when the result has come. */
  onResult: (() => void) | undefined;
  /** The items of the response that were taken. */
  readonly items: Buffer[] = [];
  /** Whether the application takes each item as soon as it arrives. */
  reads = true;
  readonly source: SimSource | undefined;
  readonly #session: SimSession;

  constructor(session: SimSession, payload: Buffer, options: SendOptions) {
    const { metadata, oneWay = false, items, end = true, takesItems = false } = options;
    const { isCopied = true } = options;
    const { patience = 0, timeout = patience === 0 ? Infinity : patience } = options;
    const meta = metadata === undefined ? EMPTY : encodeMeta({ metadata });
    super(payload, meta, session.side.clock.now() + timeout, oneWay, oneWay && isCopied);
    this.#session = session;
    this.takesItems = takesItems;
    this.patience = patience;
    if (items === undefined) return;
    this.flags |= Flag.STREAM;
    const give = (item: Buffer): void => this.give(item);
    this.source = new SimSource(items, give, () => {
      if (end) this.requestItems?.end();
    });
  }

  /** Sends one more item, beside those of the source. */
  give(item: Buffer | string): void {
    const { machine, side } = this.#session;
    machine.sender.streams.send(this, bytes(item), side.clock.now());
  }

  /** Takes the items that have arrived, at most `count`. */
  read(count = Infinity): void {
    for (let left = count; left > 0; left--) {
      const item = this.takeItem(this.#session.side.clock.now());
      if (item === undefined) return;
      this.items.push(item);
    }
  }

  get texts(): string[] {
    return this.items.map(String);
  }

  override onReady(): void {
    this.source?.attach(this.requestItems);
  }

  override onItem(): void {
    if (this.result !== undefined) throw new Error(`Message ${this.id} has an item after its end.`);
    if (this.reads) this.read();
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

  /** The data of the other side's response. */
  get data(): Buffer {
    const { result } = this;
    if (result === undefined || !('data' in result))
      throw new Error(`There is no data: ${this.outcome}.`);
    return result.data;
  }

  /** The failure of the message. */
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
  /** The items of the request that were taken. */
  readonly items: Buffer[] = [];
  /** Whether the handler takes each item as soon as it arrives. */
  reads = false;
  /** Whether all items have arrived and were taken. */
  ended = false;

  constructor(session: SimSession, incoming: IncomingMessage) {
    this.session = session;
    this.incoming = incoming;
    this.data = incoming.data;
    incoming.abortListener = this;
    if (incoming.requestItems !== undefined) incoming.requestItems.sink = this;
  }

  get texts(): string[] {
    return this.items.map(String);
  }

  /** Takes the items that have arrived, at most `count`. */
  read(count = Infinity): void {
    const { requestItems } = this.incoming;
    for (let left = count; left > 0; left--) {
      const item = requestItems?.take();
      if (item === undefined) break;
      this.items.push(item);
    }
    if (requestItems?.isAtEnd === true) this.ended = true;
  }

  onItem(): void {
    if (this.reads) this.read();
  }

  /** From now on, takes each item as soon as it arrives. */
  readAll(): void {
    this.reads = true;
    this.read();
  }

  /** Responds with these items, and then calls `then`. By default, `then` accepts the message. */
  stream(items: Iterable<Buffer | string>, then = (): unknown => this.accept()): SimSource {
    const source = new SimSource(
      items,
      (item) => void this.session.machine.receiver.streams.send(this.incoming, item),
      () => void then(),
    );
    const sender = this.session.machine.receiver.streams.reply(this.incoming, {
      onReady: () => source.onReady(),
    });
    source.attach(sender);
    return source;
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
    return this.incoming.settle(type, encodeMeta(meta), data);
  }
}

export class SimSession implements SessionListener {
  readonly side: SimHost;
  readonly machine: SessionMachine;
  /** Messages whose handlers have started, in order of their start. */
  readonly messages: SimMessage[] = [];
  /** Messages that were neither accepted nor rejected in time. */
  readonly timeouts: IncomingMessage[] = [];
  /** The data with which the other side accepted the session. */
  opened: { readonly meta: Meta; readonly data: Buffer } | undefined;
  closed: { readonly failure: Failure | undefined } | undefined;
  /** Handles the messages of the session. Without it, the messages wait in `messages`. */
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

  /** `opening`, `pending`, `open`, `ending` (UNANSWERED too), `closed`, `closed session-rejected`. */
  get status(): string {
    const { state } = this.machine;
    const word = state === 'UNANSWERED' ? 'ending' : state.toLowerCase();
    const failure = this.closed?.failure;
    return failure === undefined ? word : `${word} ${failure.kind}`;
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
