/**
 * What applications do and see in a simulated world: sessions, messages sent and handled. Everything that the
 * protocol floor tells is kept, what contradicts a promise fails the run at once.
 */
import {
  type AbortReason,
  type ConnectionMachine,
  EMPTY,
  type Failure,
  type FailureKind,
  type IncomingMessage,
  OutgoingMessage,
  type SessionListener,
  type SessionMachine,
} from '../../src/protocol/index.js';
import {
  Code,
  codeName,
  encodeMeta,
  Flag,
  FrameType,
  idsAhead,
  type Meta,
} from '../../src/wire/index.js';
import { SimSource } from '../support/sim-source.js';
import type { End, Half } from './end.js';

export type Result =
  | { readonly kind: 'accepted' | 'rejected'; readonly meta: Meta; readonly data: Buffer }
  | { readonly kind: 'sent' }
  | { readonly kind: 'failed'; readonly failure: Failure };

export interface LetterOptions {
  /** Milliseconds; none = no deadline. */
  readonly timeout?: number;
  readonly metadata?: string;
  readonly oneWay?: boolean;
  readonly idempotent?: boolean;
  /** The items of the request; none = it is no stream. */
  readonly items?: readonly Buffer[];
  /** Whether the last of them ends it; else only its settlement does. */
  readonly endsItems?: boolean;
  /** Whether the answer may be a stream. */
  readonly takesItems?: boolean;
  /** Milliseconds without progress after which a stream is given up. */
  readonly patience?: number;
}

/** A message that an application sends, through all connections that it takes. */
export class Letter {
  readonly number: number;
  readonly session: AppSession;
  readonly payload: Buffer;
  readonly options: LetterOptions;
  readonly deadline: number;
  /** Whether items of the answer are taken as they come. */
  reads = true;
  readonly attempts: Attempt[] = [];
  result: Result | undefined;
  isCancelled = false;
  /** On a connection before this one, a handler may have run. */
  mayHaveRun = false;

  constructor(session: AppSession, payload: Buffer, options: LetterOptions) {
    this.number = session.end.world.letters.push(this);
    this.session = session;
    this.payload = payload;
    this.options = options;
    const { timeout = options.patience ?? Infinity } = options;
    this.deadline = session.end.world.now() + timeout;
  }

  get oneWay(): boolean {
    return this.options.oneWay === true;
  }

  /** Handlers that started for it. */
  get deliveries(): Delivery[] {
    return this.attempts.flatMap(({ delivery }) => delivery ?? []);
  }

  get last(): Attempt {
    return this.attempts.at(-1)!;
  }

  /** `pending`, `sent`, `accepted "data"`, `rejected BUSY`, `failed timeout maybe`. */
  get outcome(): string {
    const { result } = this;
    if (result === undefined) return 'pending';
    switch (result.kind) {
      case 'sent':
        return 'sent';
      case 'failed':
        return `failed ${result.failure.kind} ${result.failure.executed}`;
      case 'accepted':
        return `accepted ${shown(result.data)}`;
      case 'rejected':
        return `rejected ${codeName(result.meta.code ?? Code.OK)} ${shown(result.data)}`;
    }
  }

  get name(): string {
    const { end, name } = this.session;
    const { id, sessionId } = this.last;
    return `Letter ${this.number} (${this.payload.length} B, ${name} of the ${end.role}, s=${sessionId} id=${id})`;
  }

  submit(): void {
    const attempt = new Attempt(this, this.session.channel);
    this.attempts.push(attempt);
    this.session.channel.half.attempts.push(attempt);
    this.session.channel.machine.send(attempt);
  }

  cancel(): void {
    this.isCancelled = true;
    this.last.channel.machine.sender.cancel(this.last);
  }

  settle(result: Result): void {
    this.session.end.world.trace(`${this.name} ends`);
    if (this.result !== undefined) {
      throw new Error(`${this.name} has ended already: ${this.outcome}; now ${result.kind}.`);
    }
    this.result = result;
  }
}

/** A letter on one connection. */
export class Attempt extends OutgoingMessage {
  readonly letter: Letter;
  readonly channel: Channel;
  delivery: Delivery | undefined;
  isOver = false;
  /** Items of the answer that were taken. */
  readonly items: Buffer[] = [];
  readonly #source: SimSource | undefined;

  constructor(letter: Letter, channel: Channel) {
    const { metadata, items, endsItems, takesItems = false, patience = 0 } = letter.options;
    const meta = metadata === undefined ? EMPTY : encodeMeta({ metadata: [['k', metadata]] });
    super(letter.payload, meta, letter.deadline, letter.oneWay, letter.oneWay);
    this.letter = letter;
    this.channel = channel;
    this.takesItems = takesItems;
    this.patience = patience;
    if (items === undefined) return;
    this.flags |= Flag.STREAM;
    const give = (item: Buffer): void => {
      channel.machine.sender.streams.send(this, item, letter.session.end.world.now());
    };
    this.#source = new SimSource(items, give, () => {
      if (endsItems !== false) this.requestItems?.end();
    });
  }

  override onReady(): void {
    this.#source?.attach(this.requestItems);
  }

  override onItem(): void {
    if (this.isOver) throw new Error(`${this.letter.name} has an item after its end.`);
    if (this.letter.reads) this.read();
  }

  /** Takes what is there, at most so many. */
  read(count = Infinity): void {
    for (let left = count; left > 0; left--) {
      const item = this.takeItem(this.letter.session.end.world.now());
      if (item === undefined) return;
      this.items.push(item);
    }
  }

  override onOutcome(type: number, meta: Meta, data: Buffer): void {
    // The other side's library says that it takes nothing new: like one that was never sent.
    if (type === FrameType.REJECT && meta.code === Code.MESSAGE_DRAINING) {
      return this.#fail({ kind: 'draining', executed: 'no', message: '' });
    }
    this.#end();
    const wasStreamed = type === FrameType.ACCEPT && this.delivery?.isStreaming === true;
    if (wasStreamed !== this.isStreamed) {
      throw new Error(`${this.letter.name} has a wrong STREAM: ${this.isStreamed}.`);
    }
    this.letter.settle({ kind: type === FrameType.ACCEPT ? 'accepted' : 'rejected', meta, data });
  }

  override onFailure(failure: Failure): void {
    this.#fail(failure);
  }

  override onSent(): void {
    this.#end();
    this.letter.settle({ kind: 'sent' });
  }

  #fail(failure: Failure): void {
    const { letter, channel, delivery } = this;
    this.#end();
    channel.half.checkFailure(failure, letter.name);
    if (delivery !== undefined && failure.executed === 'no') {
      throw new Error(`${letter.name} ran, and fails: ${failure.kind} no.`);
    }
    // As in the endpoint: it goes again where there is another connection, and it does no harm.
    const isStream = letter.options.items !== undefined;
    const moved = letter.session.channel !== channel && !letter.isCancelled && !isStream;
    const harmless = failure.executed === 'no' || letter.options.idempotent === true;
    const executed = failure.executed === 'no' && letter.mayHaveRun ? 'maybe' : failure.executed;
    letter.mayHaveRun = executed !== 'no';
    if (moved && harmless && MOVING.has(failure.kind)) return letter.submit();
    letter.settle({ kind: 'failed', failure: { ...failure, executed } });
  }

  #end(): void {
    if (this.isOver) throw new Error(`${this.letter.name} is told twice what became of it.`);
    this.isOver = true;
  }
}

/** A message whose handler has started. */
export class Delivery {
  readonly incoming: IncomingMessage;
  readonly channel: Channel;
  readonly attempt: Attempt;
  aborted: AbortReason | undefined;
  hasEnded = false;
  /** What it was settled with, where it was not too late. */
  answer: string | undefined;
  /** Whether items of the request are taken as they come; those that were; whether that is all. */
  reads = false;
  readonly items: Buffer[] = [];
  hasAllItems = false;
  /** The items of its answer, and whether it was settled after the last of them. */
  replies: readonly Buffer[] = [];
  isStreaming = false;
  hasReplied = false;

  constructor(channel: Channel, incoming: IncomingMessage, attempt: Attempt) {
    this.channel = channel;
    this.incoming = incoming;
    this.attempt = attempt;
    incoming.abortListener = this;
    if (incoming.requestItems !== undefined) incoming.requestItems.sink = this;
  }

  onItem(): void {
    if (this.reads) this.read();
  }

  /** Takes what is there, at most so many. */
  read(count = Infinity): void {
    const { requestItems } = this.incoming;
    for (let left = count; left > 0; left--) {
      const item = requestItems?.take();
      if (item === undefined) break;
      this.items.push(item);
    }
    if (requestItems?.isAtEnd === true) this.hasAllItems = true;
  }

  /** Answers by these items, and then as `then` does. */
  stream(items: readonly Buffer[], then: () => void): void {
    const streams = this.channel.machine.receiver?.streams;
    if (streams === undefined || this.incoming.state !== 'dispatched') return;
    this.replies = items;
    this.isStreaming = true;
    const source = new SimSource(items, (item) => void streams.send(this.incoming, item), then);
    source.attach(streams.reply(this.incoming, { onReady: () => source.onReady() }));
  }

  /** The handler ends. Only what it does first counts. */
  settle(kind: 'accepted' | 'rejected', data: Buffer): void {
    const { incoming } = this;
    const rejects = kind === 'rejected';
    const meta = encodeMeta(rejects ? { code: Code.FAILED, text: 'why' } : {});
    this.channel.half.end.world.trace(
      `the handler of ${this.attempt.letter.name} ${kind} ${data.length} B`,
    );
    this.hasEnded = true;
    const type = rejects ? FrameType.REJECT : FrameType.ACCEPT;
    if (!incoming.settle(type, meta, data) || incoming.oneWay) return;
    this.answer = `${kind} ${data.toString('latin1')}`;
  }

  onAbort(reason: AbortReason): void {
    if (this.aborted !== undefined)
      throw new Error(`Message ${this.incoming.id} is aborted twice.`);
    this.aborted = reason;
  }
}

/** A session, through all connections that it takes. */
export class AppSession {
  readonly end: End;
  readonly name: string;
  readonly byPeer: boolean;
  channel: Channel;
  hasEnded = false;

  constructor(end: End, half: Half, machine: SessionMachine, byPeer: boolean) {
    this.end = end;
    this.name = machine.name;
    this.byPeer = byPeer;
    this.channel = new Channel(this, half, machine);
    end.sessions.push(this);
  }

  get isOpen(): boolean {
    const { kind } = this.channel.machine.state;
    return kind === 'opening' || kind === 'open';
  }

  get isPending(): boolean {
    return this.channel.machine.state.kind === 'pending';
  }

  send(payload: Buffer, options: LetterOptions = {}): Letter {
    const letter = new Letter(this, payload, options);
    letter.submit();
    return letter;
  }

  accept(data: Buffer): void {
    if (this.channel.machine.accept({}, data, this.end.world.now())) this.channel.answer = data;
  }

  reject(): void {
    this.hasEnded = true;
    this.channel.machine.reject(Code.SESSION_REFUSED, 'no', EMPTY);
  }

  close(): void {
    this.hasEnded = true;
    this.channel.machine.end();
  }

  /** As in the endpoint: it is opened again on the connection that takes the place of its own. */
  move(half: Half, connection: ConnectionMachine): void {
    if (this.byPeer || !this.isOpen) return;
    const { name, openMeta, openData, state } = this.channel.machine;
    const isOpening = state.kind === 'opening';
    const timeout = isOpening ? this.channel.machine.timeLeft(half.end.world.now()) : Infinity;
    const machine = connection.openSession(name, openMeta, openData, timeout);
    this.channel = new Channel(this, half, machine);
  }
}

/** A session on one connection. */
export class Channel implements SessionListener {
  readonly session: AppSession;
  readonly half: Half;
  readonly machine: SessionMachine;
  /** Messages whose handlers have started, in that order. */
  readonly deliveries: Delivery[] = [];
  readonly timeouts: IncomingMessage[] = [];
  /** What it was accepted with here, and what was read of that. */
  answer: Buffer | undefined;
  opened: Buffer | undefined;
  closed: { readonly failure: Failure | undefined } | undefined;

  constructor(session: AppSession, half: Half, machine: SessionMachine) {
    this.session = session;
    this.half = half;
    this.machine = machine;
    half.channels.push(this);
    machine.listener = this;
    if (machine.state.kind === 'closed') this.closed = { failure: undefined };
  }

  /** When it must have been answered, at its opener. */
  get deadline(): number {
    return this.machine.deadline;
  }

  /** The other side's end of it. */
  get peer(): Channel | undefined {
    const { id } = this.machine;
    return this.half.peer?.channels.find((channel) => channel.machine.id === id && id !== 0);
  }

  onOpened(_meta: Meta, data: Buffer): void {
    const answer = this.peer?.answer;
    if (this.opened !== undefined || answer?.equals(data) !== true) {
      throw new Error(`"${this.session.name}" is told to be open, and is not, or not so.`);
    }
    this.opened = data;
    // As the endpoint does, for whoever awaits the session.
    this.half.end.continuity.driver?.hold();
  }

  onClosed(failure: Failure | undefined): void {
    if (this.closed !== undefined) throw new Error(`"${this.session.name}" is closed twice.`);
    this.closed = { failure };
    if (failure === undefined) return;
    // A drain ends sessions in which nothing is left; messages it does not.
    if (this.half.bond?.isDraining === true && failure.kind === 'connection-closed') return;
    this.half.checkFailure(failure, `"${this.session.name}"`);
  }

  onMessage(incoming: IncomingMessage): void {
    const attempt = this.half.peer?.attempts.findLast(
      ({ id, sessionId, started }) =>
        started && id === incoming.id && sessionId === this.machine.id,
    );
    if (attempt === undefined) {
      throw new Error(`Nobody sent message ${incoming.id} of session ${this.machine.id}.`);
    }
    const { letter } = attempt;
    if (attempt.delivery !== undefined) throw new Error(`${letter.name} is handled twice.`);
    if (letter.deliveries.length > 0 && letter.options.idempotent !== true) {
      throw new Error(`${letter.name} is handled again on another connection.`);
    }
    if (!letter.payload.equals(incoming.data)) throw new Error(`${letter.name} has changed.`);
    const earlier = this.deliveries.at(-1);
    if (earlier !== undefined && idsAhead(incoming.id, earlier.incoming.id) < 2 ** 30) {
      throw new Error(`${letter.name} is handled after message ${earlier.incoming.id}.`);
    }
    const delivery = new Delivery(this, incoming, attempt);
    attempt.delivery = delivery;
    this.deliveries.push(delivery);
    this.half.end.world.trace(`${letter.name} is handled`);
    this.half.end.onDelivery(delivery);
  }

  onMessageTimeout(incoming: IncomingMessage): void {
    if (this.timeouts.includes(incoming)) throw new Error(`Message ${incoming.id} expires twice.`);
    this.timeouts.push(incoming);
  }
}

function shown(data: Buffer): string {
  return data.length > 32 ? `${data.length} B` : JSON.stringify(data.toString('latin1'));
}

/** What says that the connection, and not the message, was at fault. */
const MOVING: ReadonlySet<FailureKind> = new Set(['connection-lost', 'idle', 'draining']);
