/**
 * The sending half of a session: this side's messages from the queue to their outcome, and the
 * settlements that this side owes the other.
 */
import {
  Code,
  DEADLINE_LENGTH,
  decodeMeta,
  Flag,
  FrameType,
  GrowingBuffer,
  idsAhead,
  type Meta,
  nextId,
  ProtocolError,
} from '../wire/index.js';
import { type Failure, withExecuted } from './failure.js';
import { INLINE_LIMIT } from './frame-writer.js';
import type { IncomingMessage } from './incoming-message.js';
import { type ItemCarrier, ItemLane } from './item-lane.js';
import { reserveOf } from './limits.js';
import { CANCELLED, misfitOf, TIMED_OUT, tooLarge } from './message-failures.js';
import { MessageTable } from './message-table.js';
import type { OutgoingMessage } from './outgoing-message.js';
import { keepPayload } from './payload.js';
import { Queue } from './queue.js';
import { SenderStreams, type StreamSender } from './sender-streams.js';
import { violation } from './violation.js';
import type { SessionHost } from './session-host.js';
import { ControlUnit, EMPTY, type Unit } from './unit.js';
import { advanceId, isAtMost, MAX_WINDOW, SendWindow } from './windows.js';

export class SessionSender implements ItemCarrier, StreamSender {
  window = new SendWindow(0);
  /** Items of either direction's messages share the way out. */
  readonly lane: ItemLane;
  readonly streams: SenderStreams;
  readonly #host: SessionHost;
  /** Called whenever less waits than before, so that an ending session can close. */
  readonly #progress: () => void;
  readonly #queue = new Queue<OutgoingMessage>();
  readonly #sent = new MessageTable<OutgoingMessage>();
  /** Settlements that wait for byte credit. */
  readonly #settlements = new Queue<IncomingMessage>();
  /** The request that leaves in fragments: at most one, and the later ones wait behind it. */
  #large: OutgoingMessage | undefined;
  /** 0 until the session's number is given: nothing is sent before. */
  #sessionId = 0;
  #lastId: number;
  /** The highest id that the other side allows. */
  #limit = 0;
  #nextDeadline = Infinity;
  #uncertain: OutgoingMessage[] = [];
  /** The order of the newest message that ever waited. */
  #newest = 0;

  constructor(host: SessionHost, progress: () => void) {
    this.lane = new ItemLane(host, this);
    this.streams = new SenderStreams(host, this);
    this.#host = host;
    this.#progress = progress;
    this.#lastId = host.lastId;
  }

  /** What the other side allows from the start. */
  allow({ messages, bytes }: NonNullable<Meta['sessionCredit']>): void {
    this.window = new SendWindow(bytes, reserveOf(bytes, this.#host.peer));
    this.#limit = advanceId(this.#host.lastId, messages);
  }

  /** Messages whose outcome is still to come from the other side. */
  get unsettled(): number {
    return this.#sent.size;
  }

  /** Whether nothing waits to be written, so that END may follow. */
  get isFlushed(): boolean {
    const { uploads } = this.lane;
    if (uploads > 0 || this.#large !== undefined) return false;
    return this.#queue.size === 0 && this.#settlements.size === 0;
  }

  get lastId(): number {
    return this.#lastId;
  }

  /** A message of this side that is not settled. */
  find(id: number): OutgoingMessage | undefined {
    return this.#sent.get(id);
  }

  /** The session has its number: messages may go. */
  start(sessionId: number): void {
    this.#sessionId = sessionId;
    // Some may have been sent before the other side told its limits.
    for (const message of this.#queue) {
      const misfit = message.state === 'queued' ? misfitOf(message, this.#host.peer) : undefined;
      if (misfit === undefined) continue;
      this.#host.dequeue(message);
      this.#settleLocally(message, misfit);
    }
    this.pump();
  }

  /** Takes a message; its outcome or failure is told on the message itself, perhaps before this returns. */
  send(message: OutgoingMessage): void {
    const misfit = misfitOf(message, this.#host.peer);
    if (misfit !== undefined) return this.#settleLocally(message, misfit);
    if (message.deadline < this.#nextDeadline) {
      this.#nextDeadline = message.deadline;
      this.#host.arm(message.deadline);
    }
    if (this.#queue.size === 0 && this.#admit(message)) return;
    const full = this.#host.enqueue(message);
    if (full === undefined) this.#queueUp(message);
    else this.#settleLocally(message, full);
  }

  /** One that comes back from a connection before goes in front of those that were sent after it. */
  #queueUp(message: OutgoingMessage): void {
    this.#queue.push(message);
    if (message.order >= this.#newest) this.#newest = message.order;
    else for (const each of this.#queue.drain().sort(byOrder)) this.#queue.push(each);
  }

  /** The caller no longer wants the outcome; `failure` is what it is told. */
  cancel(message: OutgoingMessage, failure = CANCELLED): void {
    this.#giveUp(message, failure);
  }

  /** Writes a settlement as soon as the other side has room for it. */
  settle(message: IncomingMessage): void {
    if (this.isLarge(message)) {
      this.#host.output.pushLarge(message);
      this.#host.wake();
    } else if (this.#settlements.size > 0 || !this.emit(message, 0)) {
      this.#settlements.push(message);
    }
  }

  /** Sends what has credit now: settlements first, since they end something, then what others wait for. */
  pump(): void {
    for (let unit = this.#settlements.peek(); unit !== undefined; unit = this.#settlements.peek()) {
      if (!this.emit(unit, 0)) break;
      this.#settlements.shift();
    }
    this.lane.pump();
    for (let message = this.#queue.peek(); message !== undefined; message = this.#queue.peek()) {
      if (message.state === 'queued') {
        if (!this.#admit(message)) break;
        this.#host.dequeue(message);
      }
      this.#queue.shift();
    }
    this.#progress();
  }

  /** CREDIT for this session. False where it allows nothing new. */
  onCredit(count: number, bytes: number): boolean {
    const gain = idsAhead(this.#limit, count);
    const moreMessages = gain > 0 && gain < MAX_WINDOW;
    if (moreMessages && idsAhead(this.#lastId, count) >= MAX_WINDOW) {
      throw new ProtocolError(Code.FLOW, `CREDIT allows more than ${MAX_WINDOW} messages ahead.`);
    }
    if (moreMessages) this.#limit = count;
    const moreBytes = this.window.raise(bytes);
    if (!moreMessages && !moreBytes) return false;
    this.pump();
    // Large units are charged as they are written: the output looks at them anew.
    this.#host.wake();
    return true;
  }

  /** OPENED says how many items each stream may have on its way, those that have begun included. */
  raiseItems(items: number): void {
    this.lane.raise(items);
    for (const { requestItems } of this.#sent.values()) requestItems?.onCredit(items);
  }

  onUploadOver(): void {
    this.#progress();
  }

  /** ACCEPT or REJECT. False where it settles what is settled already. */
  onSettlement(
    type: number,
    flags: number,
    id: number,
    bytes: Buffer,
    start: number,
    metaLength: number,
    end: number,
  ): boolean {
    const meta = decodeMeta(type, bytes, start, start + metaLength);
    const message = this.#sent.get(id);
    if (message?.started !== true) {
      if (message !== undefined || !isAtMost(id, this.#lastId))
        violation(`Message ${id} is settled, and was never sent.`);
      return false;
    }
    // [IC-6.35]
    if (message.reply !== undefined) violation(`Message ${id} is settled twice.`);
    this.streams.onSettlement(message, type, flags);
    // Settled before it was sent whole: the rest is not wanted, and those behind it may go. [IC-9.6]
    if (message === this.#large) {
      this.#stopLarge(message);
      this.pump();
    }
    if ((flags & Flag.MORE) === 0) {
      const size = end - start - metaLength;
      if (meta.total !== undefined && meta.total !== size) {
        violation(`The settlement of message ${id} has ${size} bytes and announced ${meta.total}.`);
      }
      const limit = this.#host.limits.maxMessage;
      if (size > limit) this.#abandon(message, tooLarge(type, size, limit));
      this.#finish(message, type, meta, keepPayload(bytes, start + metaLength, end));
      return true;
    }
    const { maxMessage } = this.#host.limits;
    const wanted = message.state === 'sent' && (meta.total ?? 0) <= maxMessage;
    message.reply = {
      type,
      meta,
      body: wanted ? new GrowingBuffer(meta.total ?? maxMessage) : undefined,
      arrived: 0,
    };
    if (!wanted) this.#abandon(message, tooLarge(type, meta.total ?? 0, maxMessage));
    this.#append(message, bytes, start + metaLength, end);
    return true;
  }

  /** FRAG with REPLY: the next octets of a settlement. */
  onFragment(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    const message = this.#sent.get(id);
    if (message?.reply === undefined) {
      return violation(`A fragment continues a settlement of message ${id} that did not begin.`);
    }
    this.#append(message, bytes, start, end);
    if ((flags & Flag.MORE) !== 0) return;
    const { type, meta, body, arrived } = message.reply;
    if (meta.total !== undefined && meta.total !== arrived) {
      violation(
        `The settlement of message ${id} has ${arrived} bytes and announced ${meta.total}.`,
      );
    }
    this.#finish(message, type, meta, body?.take() ?? EMPTY);
  }

  onMessageWritten(message: OutgoingMessage): void {
    if (message === this.#large) {
      this.#large = undefined;
      message.requestItems?.start(message);
      this.pump();
    }
    if (message.oneWay && message.copied) this.#endOneWay(message);
  }

  /** The other side has all of it, so that it is not written again. */
  onMessageAcknowledged(message: OutgoingMessage): void {
    if (message.oneWay) this.#endOneWay(message);
    else if (message.state === 'abandoned') message.payload = EMPTY;
  }

  /** A one-way message that the output still held when the connection ended: it fails with the others. */
  onMessageUncertain(message: OutgoingMessage): void {
    this.#uncertain.push(message);
  }

  /** Fails what has passed its deadline. Returns the next deadline. */
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
   * The session is over without an outcome. What the other side never had whole did not run; for the
   * rest, the failure says what is known.
   */
  fail(failure: Failure): void {
    const { isCleared } = this.#host.output;
    // In the order in which they were sent: some may be sent again.
    const undecided = this.#undecided().sort((one, other) => this.#age(other) - this.#age(one));
    const failures = undecided.map((message) => {
      // [IC-12.6]
      const mayHaveRun = this.#isWhole(message) && (message.started || !isCleared);
      return [message, mayHaveRun ? failure : withExecuted(failure, 'no')] as const;
    });
    for (const message of this.#queue.drain()) {
      if (message.state === 'queued') this.#host.dequeue(message);
    }
    // All of them before the first is told: it may cancel another.
    for (const [message] of failures) message.state = 'settled';
    for (const unit of this.#settlements.drain()) this.#host.output.remove(unit);
    if (this.#large !== undefined) {
      this.#host.output.remove(this.#large);
      // Large messages of other sessions may have waited for its room.
      this.#host.wake();
    }
    this.#large = undefined;
    this.lane.clear();
    for (const message of this.#sent.values()) this.streams.drop(message);
    this.#sent.clear();
    this.#uncertain = [];
    for (const [message, reason] of failures) this.#settleLocally(message, reason);
  }

  /** Says again how many items the answers may have: what said so may be lost. */
  announceItems(): void {
    for (const { replyItems } of this.#sent.values()) replyItems?.announce();
  }

  /** Fails what has not begun to be written; in order. */
  refuseUnsent(failure: Failure): void {
    const messages: OutgoingMessage[] = [];
    if (this.#large?.started === false) {
      messages.push(this.#large);
      this.#takeBackId(this.#large);
      this.#stopLarge(this.#large);
    }
    for (const message of this.#queue.drain()) {
      if (message.state !== 'queued') continue;
      this.#host.dequeue(message);
      messages.push(message);
    }
    for (const message of messages) this.#settleLocally(message, failure);
    this.#progress();
  }

  /** Gives the message its id and lets it go, if it has credit. */
  #admit(message: OutgoingMessage): boolean {
    // [IC-6.25] [IC-6.26]
    if (this.#sessionId === 0 || this.#large !== undefined) return false;
    const id = nextId(this.#lastId);
    // After 2^31 messages an id comes round: one that is still unsettled holds the others back. [IC-4.7]
    if (!isAtMost(id, this.#limit) || this.#sent.get(id) !== undefined) return false;
    message.id = id;
    message.sessionId = this.#sessionId;
    message.window = this.window;
    message.sender = this;
    if (this.isLarge(message)) {
      this.#large = message;
      this.#host.output.pushLarge(message);
      this.#host.wake();
    } else if (!this.emit(message, message.hasDeadline ? DEADLINE_LENGTH : 0)) {
      return false;
    }
    this.#lastId = id;
    message.state = 'sent';
    if (!message.oneWay) this.#sent.add(message);
    if ((message.flags & Flag.STREAM) !== 0) {
      this.streams.open(message);
      if (message !== this.#large) message.requestItems?.start(message);
    }
    return true;
  }

  /** Charges a small unit and hands it to the output; false where it has no credit. */
  emit(unit: Unit, fields: number): boolean {
    const size = unit.payload.length + unit.meta.length + fields;
    const { sendWindow } = this.#host;
    // [IC-8.1] [IC-8.2]
    const request = unit.isRequest;
    if ((request ? this.window.requestRoom : this.window.room) < size) return false;
    if ((request ? sendWindow.requestRoom : sendWindow.room) < size) {
      this.#host.blocked(this);
      return false;
    }
    this.window.use(size);
    sendWindow.use(size);
    this.#host.output.push(unit);
    this.#host.wake();
    return true;
  }

  #append(message: OutgoingMessage, bytes: Buffer, start: number, end: number): void {
    const reply = message.reply;
    if (reply === undefined) return;
    reply.arrived += end - start;
    const { maxMessage } = this.#host.limits;
    if (reply.arrived > (reply.meta.total ?? Infinity)) {
      violation(`A settlement has more than the ${reply.meta.total} bytes it announced.`);
    }
    if (reply.body === undefined || message.state !== 'sent') return;
    // [IC-9.7]
    if (reply.arrived <= maxMessage) reply.body.append(bytes, start, end);
    else this.#abandon(message, tooLarge(reply.type, reply.arrived, maxMessage));
  }

  #finish(message: OutgoingMessage, type: number, meta: Meta, payload: Buffer): void {
    // It may have another by then: it may be sent again elsewhere.
    const { id } = message;
    this.#sent.delete(id);
    const wanted = message.state === 'sent';
    message.state = 'settled';
    if (wanted) message.onOutcome(type, meta, payload);
    // Its id was the next, and those that wait could not have it.
    if (id === nextId(this.#lastId)) this.pump();
    this.#progress();
  }

  /** Ends the wait for `message` on this side, and tells the other side where that saves it work. */
  #giveUp(message: OutgoingMessage, failure: Failure): void {
    // [IC-6.41]
    if (message.state === 'abandoned' || message.state === 'settled') return;
    if (message.state === 'queued') {
      this.#host.dequeue(message);
      this.#settleLocally(message, withExecuted(failure, 'no'));
      this.pump();
    } else if (!this.#isWhole(message)) {
      // The other side starts no handler before it has the whole message.
      const begun = message.started;
      this.#stopLarge(message);
      if (begun) this.cancelOnWire(message);
      else this.#takeBackId(message);
      if (begun && !message.oneWay) this.#abandon(message, withExecuted(failure, 'no'));
      else this.#settleLocally(message, withExecuted(failure, 'no'));
      this.pump();
    } else if (message.oneWay) {
      this.#settleLocally(message, failure);
    } else {
      // On a timeout the other side's clock runs out by itself, and says so to its handler; if it runs. [IC-10.9]
      const isTimed = message.hasDeadline && message.replyItems === undefined;
      if (failure.kind !== 'timeout' || !isTimed) this.cancelOnWire(message);
      this.#abandon(message, failure);
    }
  }

  /** The caller has its answer; the id stays until the other side settles it. [IC-10.6] */
  #abandon(message: OutgoingMessage, failure: Failure): void {
    if (message.state !== 'sent') return;
    message.state = 'abandoned';
    // What still waits in the output, or may have to be written again, leaves as it was promised.
    if (message.acknowledged) message.payload = EMPTY;
    if (message.reply !== undefined) message.reply.body = undefined;
    this.streams.drop(message);
    message.onFailure(failure);
  }

  #settleLocally(message: OutgoingMessage, failure: Failure): void {
    message.state = 'settled';
    this.streams.drop(message);
    message.onFailure(failure);
  }

  /** Tells the other side that nobody waits for the message, unless it was told before. */
  cancelOnWire(message: OutgoingMessage): void {
    if (message.isCancelled) return;
    message.isCancelled = true;
    this.#host.output.push(
      new ControlUnit(FrameType.CANCEL, this.#sessionId, message.id, EMPTY, EMPTY),
    );
    this.#host.wake();
  }

  #stopLarge(message: OutgoingMessage): void {
    this.#host.output.remove(message);
    this.#large = undefined;
  }

  /** The id of a message of which nothing was written goes to the next one. */
  #takeBackId(message: OutgoingMessage): void {
    this.#sent.delete(message.id);
    this.#lastId = message.id - 1;
  }

  #endOneWay(message: OutgoingMessage): void {
    if (message.state !== 'sent') return;
    message.state = 'settled';
    message.onSent();
  }

  /** Whether the other side has, or will have without further credit, all of the message. */
  #isWhole(message: OutgoingMessage): boolean {
    return message.state !== 'queued' && message !== this.#large;
  }

  /** Whether the unit leaves in fragments, where it must. */
  isLarge({ payload, meta }: Unit): boolean {
    if (payload.length > INLINE_LIMIT) return true;
    return payload.length + meta.length + DEADLINE_LENGTH > this.#host.peer.maxFrame;
  }

  /** All messages whose caller still waits: those that have their ids, then the others in order. */
  #undecided(): OutgoingMessage[] {
    const messages = new Set([...this.#sent.values(), ...this.#uncertain, ...this.#queue]);
    if (this.#large?.oneWay === true) messages.add(this.#large);
    return [...messages].filter(({ state }) => state === 'queued' || state === 'sent');
  }

  /** The place of a message in the order of sending: the next ids, those of the queue, come last. */
  #age({ state, id }: OutgoingMessage): number {
    return state === 'queued' ? -1 : idsAhead(id, this.#lastId);
  }
}

function byOrder(one: OutgoingMessage, other: OutgoingMessage): number {
  return one.order - other.order;
}
