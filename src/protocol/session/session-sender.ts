/**
 * The sending half of a session. It keeps this side's messages from the queue to their outcome, and writes the
 * settlements of the peer's messages.
 */
import {
  Code,
  DEADLINE_LENGTH,
  Flag,
  FrameType,
  type FrameView,
  GrowingBuffer,
  idsAhead,
  MAX_ID,
  type Meta,
  nextId,
  ProtocolError,
  EMPTY,
} from '../../wire/index.js';
import { type Failure, withExecuted } from '../common/failure.js';
import type { MoveEffects } from '../common/moves.js';
import { LARGEST_SMALL_PAYLOAD } from '../flow/limits.js';
import type { IncomingMessage } from '../message/incoming-message.js';
import { type ItemOutlet, ItemLane } from '../stream/item-lane.js';
import { reserveOf } from '../flow/limits.js';
import {
  CANCELLED,
  noRoomFor,
  tooLargeFor,
  TIMED_OUT,
  tooLarge,
} from '../message/message-failures.js';
import { MessageTable } from '../message/message-table.js';
import type { OutgoingMessage } from '../message/outgoing-message.js';
import type { BlockedSender } from '../flow/blocked-senders.js';
import { keepPayload } from '../flow/payload.js';
import { Queue } from '../common/queue.js';
import { SenderStreams, type SenderStreamsContext } from './sender-streams.js';
import { violation, violationOf } from '../common/violation.js';
import type { HalfContext } from './half-context.js';
import { ControlUnit, type Unit } from '../output/unit.js';
import { advanceId, isAtMost, MAX_WINDOW, SendWindow } from '../flow/windows.js';
import { fieldsOf, isStream, release, UnwrittenMessages } from './unwritten-messages.js';

export class SessionSender implements ItemOutlet, SenderStreamsContext, BlockedSender {
  window = new SendWindow(0);
  waits: BlockedSender['waits'];
  /** The items of this side's requests and of its responses wait in one lane. */
  readonly lane: ItemLane;
  readonly streams: SenderStreams;
  readonly #context: HalfContext;
  /** Called when fewer messages wait than before, so that an ending session can close. */
  readonly #progress: () => void;
  readonly #unwritten: UnwrittenMessages;
  /** Messages that have an id and are not settled, by their ids. */
  readonly #sent = new MessageTable<OutgoingMessage>();
  /** Settlements that wait for byte credit. */
  readonly #settlements = new Queue<IncomingMessage>();
  /** The request that leaves in fragments. A session has at most one; later requests wait behind it. */
  #large: OutgoingMessage | undefined;
  /** 0 until the session has its number. The session sends nothing before that. */
  #sessionId = 0;
  /** The newest id that a message of this side has. A message gets its id with its first frame. */
  #lastId: number;
  /** The highest id that the peer allows. */
  #limit = 0;
  #nextDeadline = Infinity;
  /** One-way messages that were written and not acknowledged when the connection ended. */
  #uncertain: OutgoingMessage[] = [];

  constructor(context: HalfContext, progress: () => void) {
    this.lane = new ItemLane(context, this);
    this.#unwritten = new UnwrittenMessages(context, this.lane);
    this.streams = new SenderStreams(context, this);
    this.#context = context;
    this.#progress = progress;
    this.#lastId = context.lastId;
  }

  /** Receives the changes of state, for a trace. */
  get watcher(): MoveEffects {
    return this.#context;
  }

  /** Sets the first credit that the peer gives the session. */
  allow({ messages, bytes }: NonNullable<Meta['sessionCredit']>): void {
    this.window = new SendWindow(bytes, reserveOf(bytes, this.#context.peerLimits));
    this.#limit = advanceId(this.#context.lastId, messages);
  }

  /** Messages that have credit and that the peer has still to settle. */
  get unsettled(): number {
    return this.#sent.size + this.#unwritten.expected;
  }

  /** Whether no message of this session was ever written, and none waits to be written. */
  get isUnused(): boolean {
    const { queued, ready } = this.#unwritten;
    return this.#lastId === this.#context.lastId && queued + ready === 0;
  }

  /** Whether no message, item or settlement waits to be written, so that END may follow. */
  get isFlushed(): boolean {
    const waiting = this.lane.uploads + this.#unwritten.queued + this.#settlements.size;
    if (waiting > 0 || this.#large !== undefined) return false;
    // A request stream whose sender gave up at its deadline stays open until the peer settles the message.
    return this.#sent.values().every((message) => message.isCancelled || !message.isCut);
  }

  get lastId(): number {
    return this.#lastId;
  }

  /** Returns a message of this side that has an id and is not settled. */
  find(id: number): OutgoingMessage | undefined {
    return this.#sent.get(id);
  }

  /** The session has its number: it may send messages. */
  start(sessionId: number): void {
    this.#sessionId = sessionId;
    // The application may have sent some messages before this side knew the peer's limits.
    this.giveUpUnwritten((message) => tooLargeFor(message, this.#context.peerLimits));
  }

  /** Sends a message. The message itself is told of its outcome or failure, perhaps before this method returns. */
  send(message: OutgoingMessage): void {
    const failure = tooLargeFor(message, this.#context.peerLimits);
    if (failure !== undefined) return this.#settleLocally(message, failure);
    if (message.deadline < this.#nextDeadline) {
      this.#nextDeadline = message.deadline;
      this.#context.arm(message.deadline);
    }
    if (this.#unwritten.queued === 0 && this.#admit(message)) return;
    const full = this.#unwritten.push(message);
    if (full !== undefined) this.#settleLocally(message, full);
  }

  /** Gives the message up: its caller no longer wants the outcome, and is told the failure. */
  cancel(message: OutgoingMessage, failure = CANCELLED): void {
    this.#giveUp(message, failure);
  }

  /** Writes a settlement as soon as there is byte credit for it. */
  settle(message: IncomingMessage): void {
    if (this.isLarge(message)) {
      this.#context.output.pushLarge(message);
      this.#context.wake();
    } else if (this.#settlements.size > 0 || !this.emit(message, 0)) {
      this.#settlements.push(message);
    }
  }

  /** Sends everything that has credit: settlements first, since they free memory, then items, then messages. */
  pump(): void {
    for (let unit = this.#settlements.peek(); unit !== undefined; unit = this.#settlements.peek()) {
      if (!this.emit(unit, 0)) break;
      this.#settlements.shift();
    }
    this.lane.pump();
    const unwritten = this.#unwritten;
    for (let message = unwritten.peek(); message !== undefined; message = unwritten.peek()) {
      if (!this.#admit(message)) break;
      unwritten.shift();
    }
    this.#progress();
  }

  /** CREDIT for this session. Returns false if it allows nothing new. */
  onCredit(count: number, bytes: number): boolean {
    // [IC-4.9]
    if (count > MAX_ID) throw violation(`CREDIT allows messages up to ${count}, which is no id.`);
    const gain = idsAhead(this.#limit, count);
    const moreMessages = gain > 0 && gain < MAX_WINDOW;
    if (moreMessages && idsAhead(this.#lastId, count) >= MAX_WINDOW) {
      throw new ProtocolError(Code.FLOW, `CREDIT allows more than ${MAX_WINDOW} messages ahead.`);
    }
    if (moreMessages) this.#limit = count;
    const moreBytes = this.window.raise(bytes);
    if (!moreMessages && !moreBytes) return false;
    this.pump();
    // The output charges each fragment of a large unit when it writes the fragment: it may have credit to go on now.
    this.#context.wake();
    return true;
  }

  /** OPENED has raised the item credit. The new credit holds for each stream, also for streams that have begun. */
  raiseItems(items: number): void {
    this.lane.raise(items);
    for (const { requestItems } of this.#sent.values()) requestItems?.onCredit(items);
  }

  onUploadOver(): void {
    this.#progress();
  }

  /** ACCEPT or REJECT has arrived. Returns false if the message was settled before. */
  onSettlement(frame: FrameView): boolean {
    const { type, id } = frame;
    const meta = frame.meta();
    const message = this.#sent.get(id);
    if (message?.started !== true) {
      if (message !== undefined || !isAtMost(id, this.#lastId))
        throw violationOf('Message', id, ' is settled, and was never sent.');
      return false;
    }
    // [IC-6.40]
    if (message.partialSettlement !== undefined)
      throw violationOf('Message', id, ' is settled twice.');
    this.streams.onSettlement(message, frame);
    // The peer settles the message before all of it was sent: drop the rest, and send the messages behind it. [IC-9.6]
    if (message === this.#large) {
      this.#stopLarge(message);
      this.pump();
    }
    const { maxMessage } = this.#context.limits;
    if (!frame.has(Flag.MORE)) {
      const size = frame.payloadSize;
      checkTotal(id, meta.total, size);
      if (size > maxMessage) this.#withdraw(message, tooLarge(type, size, maxMessage));
      this.#finish(message, type, meta, keepPayload(frame));
      return true;
    }
    const wanted = message.isAwaited && (meta.total ?? 0) <= maxMessage;
    message.partialSettlement = {
      type,
      meta,
      body: wanted ? new GrowingBuffer(meta.total ?? maxMessage) : undefined,
      arrived: 0,
      charged: 0,
    };
    if (!wanted) this.#withdraw(message, tooLarge(type, meta.total ?? 0, maxMessage));
    this.#append(message, frame);
    return true;
  }

  /** FRAG with REPLY: continues a settlement. */
  onFragment(frame: FrameView): void {
    const { id } = frame;
    const message = this.#sent.get(id);
    if (message?.partialSettlement === undefined) {
      throw violationOf('A fragment continues a settlement of message', id, ' that did not begin.');
    }
    this.#append(message, frame);
    if (frame.has(Flag.MORE)) return;
    const { type, meta, body, arrived } = message.partialSettlement;
    checkTotal(id, meta.total, arrived);
    this.#finish(message, type, meta, body?.take() ?? EMPTY);
  }

  /** The output writes the first frame of the message next: the message gets its id now. [IC-4.6] */
  onMessageStart(message: OutgoingMessage): void {
    this.#lastId = message.id = nextId(this.#lastId);
    this.#unwritten.onStart(message);
    if (message.oneWay) return;
    this.#sent.add(message);
    if (isStream(message)) this.streams.open(message);
  }

  onMessageWritten(message: OutgoingMessage): void {
    const wasLarge = message === this.#large;
    if (wasLarge) this.#large = undefined;
    // The items of a request follow its last frame.
    message.requestItems?.start(message);
    if (wasLarge) this.pump();
    if (message.oneWay && message.copied) this.#endOneWay(message);
  }

  /** The peer has acknowledged the last frame of the message: no frame of it is written again. */
  onMessageAcknowledged(message: OutgoingMessage): void {
    if (message.oneWay) this.#endOneWay(message);
    else if (message.state === 'WITHDRAWN') message.payload = EMPTY;
  }

  /** The connection ends, and the output still holds this one-way message: `fail` will fail it with the others. */
  onMessageUncertain(message: OutgoingMessage): void {
    if (message.isAwaited) this.#uncertain.push(message);
  }

  /** Fails each message that has passed its deadline. Returns the next deadline. */
  onTime(now: number): number {
    if (now < this.#nextDeadline) return this.#nextDeadline;
    this.#nextDeadline = Infinity;
    for (const message of this.#undecided()) {
      if (message.deadline <= now && !message.isPatient(now)) this.#giveUp(message, TIMED_OUT);
      else this.#nextDeadline = Math.min(this.#nextDeadline, message.deadline);
    }
    return this.#nextDeadline;
  }

  /**
   * The session has failed. A message did not run if the peer never received all of it and has not begun to
   * respond. For other messages, `failure.executed` holds. The returned function tells the callers.
   */
  fail(failure: Failure): () => void {
    const unexecuted = withExecuted(failure, 'no');
    // The callers are told in the order of sending: the endpoint may send some of the messages again.
    const undecided = this.#undecided();
    undecided.sort((one, other) => this.#age(other) - this.#age(one));
    const failures = undecided.map((message) => {
      // [IC-12.13]
      const mayHaveRun = message.state === 'SENT' || hasStarted(message);
      return [message, mayHaveRun ? failure : unexecuted] as const;
    });
    if (this.#unwritten.takeReady().length > 0) this.#context.output.discardRevoked();
    this.#unwritten.takeQueued();
    // End all messages before the first caller is told: that caller may cancel another message.
    for (const [message] of failures) message.end(failure.kind);
    for (const unit of this.#settlements.drain()) this.#context.output.remove(unit);
    if (this.#large !== undefined) {
      this.#context.output.remove(this.#large);
      // Large messages of other sessions may have waited for its room.
      this.#context.wake();
    }
    this.#large = undefined;
    this.lane.clear();
    for (const message of this.#sent.values()) {
      this.#releasePartial(message);
      this.streams.drop(message);
      if (message.state === 'WITHDRAWN') message.end(failure.kind);
    }
    this.#sent.clear();
    this.#uncertain = [];
    return () => {
      for (const [message, reason] of failures) {
        this.streams.drop(message);
        message.onFailure(reason);
      }
    };
  }

  /** The session has ended in order. One-way messages that wait in the output still leave; queued messages fail. */
  finish(failure: Failure): void {
    for (const message of this.#unwritten.takeQueued()) this.#settleLocally(message, failure);
  }

  /** Grants the item credit of each response again: the last CREDIT for it may be lost with the former socket. */
  announceItems(): void {
    for (const { responseItems } of this.#sent.values()) responseItems?.announce();
  }

  /** Takes back, in order, the messages of which nothing is written: another connection may send them. */
  takeUnwritten(): OutgoingMessage[] {
    if (this.#large?.started === false) this.#large = undefined;
    return [...this.#unwritten.takeReady(), ...this.#unwritten.takeQueued()];
  }

  /** Fails the messages that `takeUnwritten` returned. */
  refuse(messages: readonly OutgoingMessage[], failure: Failure): void {
    for (const message of messages) this.#settleLocally(message, failure);
    this.#progress();
  }

  /** Gives up each message of which nothing is written, and for which `failureOf` returns a failure. */
  giveUpUnwritten(failureOf: (message: OutgoingMessage) => Failure | undefined): void {
    // A copy: a message that is given up leaves `#unwritten`.
    const messages = Array.from(this.#unwritten);
    for (const message of messages) {
      const failure = failureOf(message);
      if (failure !== undefined) this.#revoke(message, withExecuted(failure, 'no'));
    }
    this.pump();
  }

  /** Hands the message to the output, if it has credit. */
  #admit(message: OutgoingMessage): boolean {
    // [IC-6.30] [IC-6.31]
    if (this.#sessionId === 0 || this.#large !== undefined) return false;
    const id = advanceId(this.#lastId, this.#unwritten.ready + 1);
    // Ids come round after 2^31 messages. If the next id is still in use, the later messages wait. [IC-4.7]
    if (!isAtMost(id, this.#limit) || this.#sent.get(id) !== undefined) return false;
    message.sessionId = this.#sessionId;
    message.window = this.window;
    message.sender = this;
    if (this.isLarge(message)) {
      this.#large = message;
      this.#context.output.pushLarge(message);
      this.#context.wake();
    } else if (!this.emit(message, fieldsOf(message))) {
      return false;
    }
    this.#unwritten.onReady(message);
    return true;
  }

  /** Gives up a message of which nothing is written, as if it had never been sent. Follow with `pump`. */
  #revoke(message: OutgoingMessage, failure: Failure): void {
    this.#unwritten.revoke(message);
    if (message === this.#large) this.#large = undefined;
    this.#settleLocally(message, failure);
    release(message);
  }

  /** Charges a small unit and hands it to the output. Returns false if it waits for credit, or for room in the output. */
  emit(unit: Unit, fields: number): boolean {
    const size = unit.payload.length + unit.meta.length + fields;
    const { sendWindow } = this.#context;
    // [IC-8.1] [IC-8.2]
    const request = unit.leavesReserve;
    if ((request ? this.window.requestRoom : this.window.room) < size) return false;
    if ((request ? sendWindow.requestRoom : sendWindow.room) < size) {
      this.#context.waitForBytes(this, sendWindow.roomFor(size, request));
      return false;
    }
    const { output } = this.#context;
    if (request && !output.admits(this)) return false;
    this.window.use(size);
    sendWindow.use(size);
    output.push(unit);
    this.#context.wake();
    return true;
  }

  #append(message: OutgoingMessage, frame: FrameView): void {
    const reply = message.partialSettlement;
    if (reply === undefined) return;
    reply.arrived += frame.payloadSize;
    const { maxMessage } = this.#context.limits;
    if (reply.arrived > (reply.meta.total ?? Infinity)) {
      throw violation(`A settlement has more than the ${reply.meta.total} bytes it announced.`);
    }
    if (reply.body === undefined || !message.isAwaited) return;
    // [IC-9.7]
    if (reply.arrived > maxMessage) {
      return this.#withdraw(message, tooLarge(reply.type, reply.arrived, maxMessage));
    }
    const { account } = this.#context;
    reply.charged += frame.payloadSize;
    account.addUnfinished(frame.payloadSize);
    if (account.hasTooManyUnfinished) {
      return this.#withdraw(message, noRoomFor(reply.type, account.unfinished));
    }
    reply.body.append(frame.bytes, frame.payloadStart, frame.end);
  }

  /** The octets of an unfinished settlement are dropped, or belong to the caller from now on. */
  #releasePartial({ partialSettlement: reply }: OutgoingMessage): void {
    if (reply === undefined) return;
    reply.body = undefined;
    this.#context.account.addUnfinished(-reply.charged);
    reply.charged = 0;
  }

  #finish(message: OutgoingMessage, type: number, meta: Meta, payload: Buffer): void {
    this.#releasePartial(message);
    // Read the id now: `onOutcome` may send the message again, which gives it another id.
    const { id } = message;
    this.#sent.delete(id);
    const wanted = message.isAwaited;
    message.end('settled');
    if (wanted) message.onOutcome(type, meta, payload);
    // The settled message held the next id: waiting messages could not be sent.
    if (id === advanceId(this.#lastId, this.#unwritten.ready + 1)) this.pump();
    this.#progress();
  }

  /** Ends the wait for `message` on this side, and tells the peer if that saves the peer work. */
  #giveUp(message: OutgoingMessage, failure: Failure): void {
    // [IC-6.48]
    if (message.state === 'WITHDRAWN' || message.state === 'DONE') return;
    if (message.state === 'QUEUED') {
      // [IC-10.9]
      this.#revoke(message, withExecuted(failure, 'no'));
      this.pump();
    } else if (message.state === 'SENDING' && message.partialSettlement === undefined) {
      // The peer starts no handler before it has the whole message. If an item of a response came, a handler ran.
      const reason = withExecuted(failure, message.responseItems === undefined ? 'no' : 'maybe');
      this.#stopLarge(message);
      this.cancelOnWire(message);
      if (message.oneWay) this.#settleLocally(message, reason);
      else this.#withdraw(message, reason);
      this.pump();
    } else if (message.oneWay) {
      this.#settleLocally(message, failure);
    } else {
      // A DEADLINE went out: the peer's own clock ends its handler. An item of the response stops that clock. [IC-10.11]
      const isTimed = message.hasDeadline && message.responseItems === undefined;
      if (failure.kind !== 'timeout' || !isTimed) this.cancelOnWire(message);
      this.#withdraw(message, failure);
    }
  }

  /** Tells the caller. The id stays in use until the peer settles the message. [IC-10.8] */
  #withdraw(message: OutgoingMessage, failure: Failure): void {
    if (!message.isAwaited) return;
    message.withdraw(failure.kind);
    // A unit that may still be (re)written must not change: drop the payload only once it is acknowledged.
    if (message.acknowledged) message.payload = EMPTY;
    this.#releasePartial(message);
    this.streams.drop(message);
    message.onFailure(failure);
  }

  #settleLocally(message: OutgoingMessage, failure: Failure): void {
    this.streams.drop(message);
    message.fail(failure);
  }

  /** Writes CANCEL for the message, unless this side has already written one. */
  cancelOnWire(message: OutgoingMessage): void {
    if (message.isCancelled) return;
    message.isCancelled = true;
    this.#context.output.push(
      new ControlUnit(FrameType.CANCEL, this.#sessionId, message.id, EMPTY, EMPTY),
    );
    this.#context.wake();
  }

  #stopLarge(message: OutgoingMessage): void {
    this.#context.output.remove(message);
    this.#large = undefined;
  }

  #endOneWay(message: OutgoingMessage): void {
    if (!message.isAwaited) return;
    message.end('one-way, and on its way');
    message.onSent();
  }

  /** Whether the unit is too large for one small frame: the output writes it in fragments as needed. */
  isLarge({ payload, meta }: Unit): boolean {
    if (payload.length > LARGEST_SMALL_PAYLOAD) return true;
    return payload.length + meta.length + DEADLINE_LENGTH > this.#context.peerLimits.maxFrame;
  }

  /** All messages whose caller still waits. Messages without an id come last, in their order. */
  #undecided(): OutgoingMessage[] {
    const begun = new Set([...this.#sent.values(), ...this.#uncertain]);
    if (this.#large?.oneWay === true && this.#large.started) begun.add(this.#large);
    return [...[...begun].filter(({ isAwaited }) => isAwaited), ...this.#unwritten];
  }

  /** How many ids this side has given since the message got its id; -1 if the message has no id. */
  #age({ isAwaited, id }: OutgoingMessage): number {
    return isAwaited ? idsAhead(id, this.#lastId) : -1;
  }
}

/** Whether the peer began to respond before it had all of the message. Its handler may have run then. */
function hasStarted({ state, partialSettlement, responseItems }: OutgoingMessage): boolean {
  return state === 'SENDING' && (partialSettlement !== undefined || responseItems !== undefined);
}

function checkTotal(id: number, total: number | undefined, size: number): void {
  if (total === undefined || total === size) return;
  throw violation(`The settlement of message ${id} has ${size} bytes and announced ${total}.`);
}
