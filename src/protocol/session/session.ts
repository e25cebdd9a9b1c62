/**
 * A session: a named, ordered channel of a connection. This class turns frames, commands of the application and time
 * into events of the session's state (`session-state.ts`), and carries out each change of that state. Its two halves,
 * `SessionSender` and `SessionReceiver`, keep the messages.
 *
 * An opener sends messages at once, without waiting for OPENED. The acceptor holds those messages until its application
 * has decided. If the acceptor refuses the session, none of the messages has run.
 */
import {
  Code,
  DEADLINE_LENGTH,
  Flag,
  frameName,
  FrameType,
  type FrameView,
  readCredit,
  type Meta,
  ProtocolError,
  quote,
  EMPTY,
} from '../../wire/index.js';
import { DRAINING, type Failure, withExecuted } from '../common/failure.js';
import { encodeFitting } from '../flow/encode-fitting.js';
import { ENTRY_PRICE, SESSION_PRICE } from '../flow/account.js';
import { checkCeiling, checkCredit, type Limits } from '../flow/limits.js';
import { ownedPartsOf } from '../flow/payload.js';
import { OpenUnit } from './open-unit.js';
import type { OutgoingMessage } from '../message/outgoing-message.js';
import { type ReceiverEffects, SessionReceiver } from './session-receiver.js';
import type { IncomingMessage } from '../message/incoming-message.js';
import { NO_LISTENER, type SessionListener } from './session-listener.js';
import { SessionSender } from './session-sender.js';
import { SessionState } from './session-state.js';
import { aborted, ENDED, noPlace, refused, undecided } from './session-failures.js';
import type { HalfContext } from './half-context.js';
import { ControlUnit } from '../output/unit.js';
import { violation } from '../common/violation.js';

/** The services of a connection for its sessions, beyond those for the two halves of a session. */
export interface SessionContext extends HalfContext {
  /** The session is CLOSED: the connection drops it from its table. */
  forget(session: SessionMachine): void;
  /** The last handler of the session has ended: another session may take its place. */
  vacate(session: SessionMachine): void;
  /** Fewer messages are unsettled than before: a connection that drains may be done. */
  progressed(): void;
}

/** The contents of OPEN. */
export interface SessionOpening {
  readonly name: string;
  /** The fields of OPEN other than NAME and DEADLINE. */
  readonly meta: Meta;
  readonly data: Buffer;
  /** The acceptor's time to decide, in milliseconds from the moment in which OPEN is written; `Infinity` = no limit. */
  readonly timeout: number;
}

export class SessionMachine implements ReceiverEffects {
  readonly name: string;
  /** The fields and the data of OPEN. */
  readonly openMeta: Meta;
  readonly openData: Buffer;
  readonly sender: SessionSender;
  readonly receiver: SessionReceiver;
  /** The floor above sets it before the first frame can arrive. */
  listener: SessionListener = NO_LISTENER;
  readonly #context: SessionContext;
  #id = 0;
  /** OPEN, if this side writes it. */
  #open: OpenUnit | undefined;
  /** END(0) of this side, once the output has it. */
  #end: ControlUnit | undefined;
  readonly #state: SessionState;
  /** The acceptor's time to decide, in milliseconds; `Infinity` = no limit. */
  readonly #timeout: number;
  /** The value of `deadline`. */
  #deadline = Infinity;

  private constructor(
    context: SessionContext,
    opening: SessionOpening,
    state: 'OPENING' | 'PENDING',
  ) {
    const { meta } = opening;
    this.name = opening.name;
    this.openMeta = meta;
    this.openData = opening.data;
    this.#context = context;
    this.#state = new SessionState(this, state, context);
    this.#timeout = opening.timeout;
    this.sender = new SessionSender(context, () => this.progressed());
    this.receiver = new SessionReceiver(context, this.sender, this);
    if (state === 'OPENING') return;
    // If OPEN bears a credit, that credit replaces the default of the connection. [IC-6.19]
    if (meta.sessionCredit !== undefined) checkCredit(meta.sessionCredit, context.peerLimits);
    this.sender.allow(meta.sessionCredit ?? creditOf(context.peerLimits));
    if (meta.sessionCredit !== undefined) this.sender.lane.replace(meta.sessionCredit.items);
  }

  /** Makes a session of this side. It has no number until `start`. */
  static opening(context: SessionContext, opening: SessionOpening): SessionMachine {
    const { name, meta, data } = opening;
    // This checks the size while an error can still be thrown to the caller. OPEN itself is encoded later.
    encodeFitting(context.peerLimits, { ...meta, name }, data, DEADLINE_LENGTH);
    return new SessionMachine(context, opening, 'OPENING');
  }

  /** Makes the session that the other side opens by this OPEN. */
  static pending(context: SessionContext, frame: FrameView, now: number): SessionMachine {
    const { meta, data } = ownedPartsOf(frame);
    const { name = '' } = meta;
    const opening: SessionOpening = { name, meta, data, timeout: Infinity };
    const session = new SessionMachine(context, opening, 'PENDING');
    if (meta.deadline !== undefined) session.#setDeadline(now + meta.deadline);
    session.#setId(frame.session);
    return session;
  }

  /** Octets of memory that the account of the connection counts for the session, as long as the session has a place. */
  get price(): number {
    const entries = this.openMeta.metadata?.length ?? 0;
    return SESSION_PRICE + this.openData.length + entries * ENTRY_PRICE;
  }

  /** 0 while the session has no number yet. */
  get id(): number {
    return this.#id;
  }

  /** The name of the session's state in PROTOCOL.md §7.2 and §7.3. */
  get state(): SessionState['name'] {
    return this.#state.name;
  }

  /** Whether the session waits for this side's decision, and the other side has sent no message in it. */
  get isUnused(): boolean {
    return this.#state.name === 'PENDING' && this.receiver.isUnused;
  }

  /** Whether the session is CLOSED. The queue of sessions that wait for a place skips closed sessions. */
  get isRevoked(): boolean {
    return this.#state.name === 'CLOSED';
  }

  /** Whether this side opened the session, and has not written OPEN: the other side does not know the session. */
  get isUnwritten(): boolean {
    return this.#id === 0 || this.#open?.started === false;
  }

  /** The instant at which the acceptor's time is over; `Infinity` = never, or its clock has not started. */
  get deadline(): number {
    return this.#deadline;
  }

  /** Milliseconds that are left to the acceptor at `now`; `Infinity` = no limit. */
  timeLeft(now: number): number {
    return this.#deadline === Infinity ? this.#timeout : this.#deadline - now;
  }

  /** Starts the acceptor's time unless it has started: when OPEN is written, or when the session only lacks a place. */
  startClock(now: number): void {
    if (this.#deadline !== Infinity || this.#timeout === Infinity) return;
    this.#setDeadline(now + this.#timeout);
  }

  /** Messages of both sides that are not settled. The session itself counts as one until this side has decided on it. */
  get unsettled(): number {
    const itself = this.#state.name === 'PENDING' ? 1 : 0;
    return itself + this.sender.unsettled + this.receiver.unsettled;
  }

  /** The connection gives the session its number: OPEN is written. */
  start(id: number): void {
    this.sender.allow(creditOf(this.#context.peerLimits));
    this.#setId(id);
    const meta: Meta = { ...this.openMeta, name: this.name };
    const reserved = this.#timeout === Infinity ? 0 : DEADLINE_LENGTH;
    try {
      const fields = encodeFitting(this.#context.peerLimits, meta, this.openData, reserved);
      this.#open = new OpenUnit(this, id, fields, this.openData);
    } catch (error) {
      // The application opened the session before this side knew the other side's limits.
      if (!(error instanceof ProtocolError)) throw error;
      this.#state.givenUp();
      return this.#close({ kind: 'too-large', executed: 'no', message: error.message });
    }
    this.#context.output.push(this.#open);
    this.#context.wake();
    this.sender.start(id);
  }

  // Commands of the application.

  /** Writes OPENED. Returns false, and does nothing, if the session no longer waits for this decision. [IC-6.18] */
  accept(meta: Meta, data: Buffer, now: number): boolean {
    if (this.#state.name !== 'PENDING') return false;
    this.#push(FrameType.OPENED, meta, data);
    this.#state.applicationAccepts();
    this.sender.start(this.#id);
    this.receiver.start(now);
    return true;
  }

  /** Writes END. Returns false, and does nothing, if the session no longer waits for this decision. */
  reject(code: number, reason: string, data: Buffer): boolean {
    if (this.#state.name !== 'PENDING') return false;
    this.#push(FrameType.END, { code, text: reason }, data);
    this.#state.applicationRefuses();
    this.#close({ ...ENDED, message: `This side rejected the session ${quote(this.name, 256)}.` });
    return true;
  }

  /** Sends a message. The message itself is told of its outcome or failure, perhaps before this method returns. */
  send(message: OutgoingMessage): void {
    switch (this.#state.name) {
      case 'OPENING':
      case 'PENDING':
      case 'OPEN':
        if (this.#context.peerDrains) break;
        return this.sender.send(message);
      case 'UNANSWERED':
      case 'ENDING':
      case 'CLOSED':
        return message.fail({
          kind: 'session-closed',
          executed: 'no',
          message: `The session ${quote(this.name, 256)} is closed. Open it again to send.`,
        });
    }
    message.fail(DRAINING);
  }

  /** Grants all credit again on a new socket: the last CREDITs may be lost, because CREDIT is not replayed. */
  announce(): void {
    // If OPEN is not written yet, the other side does not know the session.
    if (this.isUnwritten) return;
    this.#context.creditDue(this.receiver);
    this.receiver.announceItems();
    this.sender.announceItems();
  }

  /**
   * The peer drains. If OPEN is not written, the session fails. Otherwise its unwritten messages fail. The returned
   * function tells the application. Call that function after the output has discarded its revoked units.
   */
  refuseUnwritten(): () => void {
    if (this.isUnwritten) return () => this.#giveUp(DRAINING);
    const messages = this.sender.takeUnwritten();
    return () => this.sender.refuse(messages, DRAINING);
  }

  /**
   * Gives up each message of which nothing is written and for which `failureOf` returns a failure. If OPEN is not
   * written and there is a `failure`, gives up the session too.
   */
  giveUpUnwritten(
    failure: Failure | undefined,
    failureOf: (message: OutgoingMessage) => Failure | undefined,
  ): void {
    this.sender.giveUpUnwritten(failureOf);
    if (failure !== undefined && this.isUnwritten) this.#giveUp(failure);
  }

  /** Ends the session in order: it takes no new message from the application, and all earlier messages are settled. */
  end(): void {
    switch (this.#state.name) {
      case 'OPENING':
      case 'OPEN':
        this.#state.applicationEnds();
        return this.progressed();
      case 'PENDING':
        this.reject(Code.SESSION_REFUSED, 'The session was closed before it was accepted.', EMPTY);
        return;
      case 'UNANSWERED':
      case 'ENDING':
      case 'CLOSED':
        return;
    }
  }

  // Frames of the peer.

  onOpened(frame: FrameView, now: number): void {
    const { meta, data } = ownedPartsOf(frame);
    const credit = meta.sessionCredit;
    if (credit !== undefined) {
      // [IC-6.21]
      checkCeiling(credit);
      this.sender.onCredit(credit.messages, credit.bytes);
      this.sender.raiseItems(credit.items);
    }
    const isOpen = this.#state.opened();
    this.receiver.start(now);
    if (isOpen) this.listener.onOpened(meta, data);
  }

  onEnd(frame: FrameView): void {
    const { meta, data } = ownedPartsOf(frame);
    const code = meta.code ?? Code.OK;
    // [IC-6.23]
    if (code === Code.OK && this.receiver.hasOpenRequest) {
      throw violation(`END of session ${this.#id} in the middle of a request.`);
    }
    switch (this.#state.endSeen(code)) {
      case 'ending':
        return this.progressed();
      case 'ended':
        return this.#close(undefined);
      case 'refused':
        // A refusal is the answer to OPEN, and is not answered itself. [IC-6.22]
        return this.#close(refused(this.name, code, meta, data));
      case 'aborted':
        // An abort is answered, so that both sides know that no frame follows. [IC-6.27]
        if (!this.#state.isEndSent) this.#push(FrameType.END, {}, EMPTY);
        return this.#close(aborted(code, meta, data));
    }
  }

  /**
   * A frame of a message: SEND, FRAG, ACCEPT, REJECT, CANCEL or ITEM. Returns false if the frame changes nothing and
   * costs the flood budget. [IC-7.9]
   */
  onMessageFrame(frame: FrameView, now: number): boolean {
    switch (frame.type) {
      case FrameType.SEND:
        this.#state.checkOpen('SEND');
        this.receiver.onSend(frame, now);
        return true;
      case FrameType.ITEM:
        return this.#onItem(frame, now);
      case FrameType.FRAG:
        this.#onFragment(frame, now);
        return true;
      case FrameType.ACCEPT:
        this.#state.checkAnswered('ACCEPT');
        return this.#onSettlement(frame);
      case FrameType.REJECT:
        return this.#onSettlement(frame);
      case FrameType.CANCEL:
        this.receiver.giveBack(frame.size);
        return this.receiver.onCancel(frame.id);
      default:
        throw new Error(`${frameName(frame.type)} is no frame of a message.`);
    }
  }

  #onSettlement(frame: FrameView): boolean {
    // Responses to this side's own messages do not use the memory for handlers: their credit is given back at once.
    this.receiver.giveBack(frame.size);
    return this.sender.onSettlement(frame);
  }

  /** Returns false for an item of a message that this side no longer remembers. */
  #onItem(frame: FrameView, now: number): boolean {
    if (!frame.has(Flag.REPLY)) {
      this.#state.checkOpen('ITEM');
      return this.receiver.streams.onItem(frame);
    }
    this.#state.checkAnswered('ITEM');
    this.sender.streams.onItem(frame, now);
    return true;
  }

  /** A FRAG continues the item that has begun, or else the request or the settlement. */
  #onFragment(frame: FrameView, now: number): void {
    if (!frame.has(Flag.REPLY)) {
      if (!this.receiver.streams.onFragment(frame)) this.receiver.onFragment(frame, now);
    } else if (!this.sender.streams.onFragment(frame, now)) {
      this.receiver.giveBack(frame.size);
      this.sender.onFragment(frame);
    }
  }

  /** CREDIT of this session. Returns false if it allows nothing new. */
  onCredit(frame: FrameView, now: number): boolean {
    const { count, bytes } = readCredit(frame.bytes, frame.payloadStart, frame.end);
    if (frame.id !== 0) return this.#onItemCredit(frame, count, now);
    return this.sender.onCredit(count, bytes);
  }

  /** CREDIT for items. With REPLY, they belong to a message of this side. Returns false if it allows nothing new. */
  #onItemCredit(frame: FrameView, limit: number, now: number): boolean {
    const { id } = frame;
    if (frame.has(Flag.REPLY)) return this.sender.streams.onCredit(id, limit, now);
    return this.receiver.streams.onCredit(id, limit);
  }

  /** Ends the messages, or the session, whose time is over. Returns the next deadline. */
  onTime(now: number): number {
    const next = Math.min(this.sender.onTime(now), this.receiver.onTime(now));
    if (!this.#state.isTimed) return next;
    if (this.#deadline > now) return Math.min(next, this.#deadline);
    this.#expire();
    return next;
  }

  /** The connection is over, and the session with it. The returned function tells the application. */
  fail(failure: Failure | undefined): () => void {
    if (this.#state.name === 'CLOSED') return () => undefined;
    this.#state.connectionEnds();
    return this.#leave(failure);
  }

  #giveUp(failure: Failure | undefined): void {
    // The application may have closed this session when it was told of the end of another session.
    if (this.#state.name === 'CLOSED') return;
    this.#state.givenUp();
    this.#close(failure);
  }

  #expire(): void {
    const { isUnwritten } = this;
    // The text does not contain the session's name: the longest name would leave hardly any room in a TEXT.
    const text = 'The session was neither accepted nor rejected in time.';
    // [IC-10.4]
    if (!isUnwritten) this.#push(FrameType.END, { code: Code.SESSION_TIMEOUT, text }, EMPTY);
    this.#state.timeIsOver();
    const { name } = this;
    this.#close(isUnwritten ? noPlace(name, this.#context.peerLimits.sessions) : undecided(name));
  }

  /** A method of its own: a closure made in `#leave` would keep all failed messages, with their payloads, in memory. */
  #vacating(): () => void {
    return () => this.#context.vacate(this);
  }

  #setDeadline(deadline: number): void {
    this.#deadline = deadline;
    this.#context.arm(deadline);
  }

  #setId(id: number): void {
    this.#id = this.receiver.sessionId = id;
  }

  /** Starts the handler of a message. */
  onMessage(message: IncomingMessage): void {
    this.listener.onMessage(message);
  }

  /** A message was neither accepted nor rejected in time. */
  onMessageTimeout(message: IncomingMessage): void {
    this.listener.onMessageTimeout(message);
  }

  /** Fewer messages wait or are unsettled than before: a session that ends sends END and closes as soon as it can. */
  progressed(): void {
    this.#context.progressed();
    const state = this.#state;
    const isEnding = state.name === 'ENDING' || state.name === 'UNANSWERED';
    // [IC-6.23]
    if (isEnding && !state.isEndSent && this.sender.isFlushed) {
      // The other side need not know of a session that carried nothing.
      if (this.isUnwritten && this.sender.isUnused) return this.#giveUp(undefined);
      this.#end = this.#push(FrameType.END, {}, EMPTY);
      state.endSent();
    }
    if (state.name === 'CLOSED' || this.sender.unsettled + this.receiver.unsettled > 0) return;
    if (!state.allSettled()) return;
    if (!state.isEndSent) this.#push(FrameType.END, {}, EMPTY);
    this.#close(undefined);
  }

  /** The state is CLOSED: releases all that the session holds, and tells the application. */
  #close(failure: Failure | undefined): void {
    this.#leave(failure)();
  }

  /** The state is CLOSED: releases all that the session holds. The returned function tells the application. */
  #leave(failure: Failure | undefined): () => void {
    const isUnheard = this.isUnwritten;
    const reason = isUnheard && failure !== undefined ? withExecuted(failure, 'no') : failure;
    if (isUnheard) this.#revokeFrames();
    this.#context.forget(this);
    this.receiver.close();
    const tell = reason === undefined ? () => this.sender.finish(ENDED) : this.sender.fail(reason);
    return () => {
      tell();
      this.receiver.fail(this.#vacating());
      this.listener.onClosed(reason);
      this.#context.progressed();
    };
  }

  /** OPEN is not written: takes the frames of this session back. The other side then never knows of the session. */
  #revokeFrames(): void {
    const { output } = this.#context;
    if (output.isCleared) return;
    if (this.#open !== undefined) output.revoke(this.#open);
    if (this.#end !== undefined) output.revoke(this.#end);
  }

  #push(type: number, meta: Meta, data: Buffer): ControlUnit {
    const fields = encodeFitting(this.#context.peerLimits, meta, data, 0);
    const unit = new ControlUnit(type, this.#id, 0, fields, data);
    this.#context.output.push(unit);
    this.#context.wake();
    return unit;
  }
}

function creditOf({ messages, sessionBytes, items }: Limits): NonNullable<Meta['sessionCredit']> {
  return { messages, bytes: sessionBytes, items };
}
