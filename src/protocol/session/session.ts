/**
 * A named, ordered channel of a connection. [IC-7.2] [IC-7.3]
 *
 *     opener:    opening ──OPENED──► open ──END sent or seen──► ending ──both, all settled──► closed
 *                   └──END (refused), timeout──────────────────────────────────────────────► ▲
 *     acceptor:  pending ──accept──► open …                                                   │
 *                   └──reject, timeout────────────────────────────────────────────────────────┘
 *
 * An opener sends at once, without waiting for OPENED; the acceptor holds those messages until its
 * application has decided, and refuses them unstarted with the session.
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
import { checkCeiling, checkCredit, type Limits } from '../flow/limits.js';
import { ownedPartsOf } from '../flow/payload.js';
import { OpenUnit } from './open-unit.js';
import type { OutgoingMessage } from '../message/outgoing-message.js';
import { type ReceiverEffects, SessionReceiver } from './session-receiver.js';
import type { IncomingMessage } from '../message/incoming-message.js';
import { type SessionListener, UNHEARD } from './session-listener.js';
import { SessionSender } from './session-sender.js';
import { aborted, ENDED, noPlace, refused, undecided } from './session-failures.js';
import type { SessionHost } from './session-host.js';
import { ControlUnit } from '../output/unit.js';
import { violation } from '../common/violation.js';

export type SessionState =
  | { readonly kind: 'opening' }
  | { readonly kind: 'pending'; endSeen: boolean }
  | { readonly kind: 'open' }
  | {
      readonly kind: 'ending';
      /** Whether the acceptor has accepted. */
      accepted: boolean;
      endSent: boolean;
      endSeen: boolean;
    }
  | { readonly kind: 'closed' };

/** What the connection does for its sessions beyond what their halves need. */
export interface SessionOwner extends SessionHost {
  /** The session has closed and may be forgotten. */
  forget(session: SessionMachine): void;
  /** The last of its handlers has ended: its place is free. */
  vacate(session: SessionMachine): void;
  /** Less is left to be settled than before. */
  progressed(): void;
}

/** What OPEN says. */
export interface SessionOpening {
  readonly name: string;
  /** The fields of OPEN but NAME and DEADLINE. */
  readonly meta: Meta;
  readonly data: Buffer;
  /** Milliseconds that the acceptor has, from the moment in which OPEN is written; `Infinity` = no limit. */
  readonly timeout: number;
}

export class SessionMachine implements ReceiverEffects {
  readonly name: string;
  /** What OPEN carried, at the acceptor. */
  readonly openMeta: Meta;
  readonly openData: Buffer;
  readonly sender: SessionSender;
  readonly receiver: SessionReceiver;
  /** Set by the application's side before anything can arrive. */
  listener: SessionListener = UNHEARD;
  readonly #owner: SessionOwner;
  #id = 0;
  /** OPEN, where this side writes it. */
  #open: OpenUnit | undefined;
  /** END(0), after this side has pushed it. */
  #end: ControlUnit | undefined;
  #state: SessionState;
  /** Milliseconds that the acceptor has to decide; `Infinity` = no limit. */
  readonly #timeout: number;
  /** See `deadline`. */
  #deadline = Infinity;

  private constructor(owner: SessionOwner, opening: SessionOpening, state: SessionState) {
    const { meta } = opening;
    this.name = opening.name;
    this.openMeta = meta;
    this.openData = opening.data;
    this.#owner = owner;
    this.#state = state;
    this.#timeout = opening.timeout;
    this.sender = new SessionSender(owner, () => this.progressed());
    this.receiver = new SessionReceiver(owner, this.sender, this);
    if (state.kind === 'opening') return;
    // OPEN's own credit, where it bears one, replaces the default of the connection. [IC-6.15]
    if (meta.sessionCredit !== undefined) checkCredit(meta.sessionCredit, owner.peer);
    this.sender.allow(meta.sessionCredit ?? creditOf(owner.peer));
    if (meta.sessionCredit !== undefined) this.sender.lane.replace(meta.sessionCredit.items);
  }

  /** A session of this side. It has no number until `start`. */
  static opening(owner: SessionOwner, opening: SessionOpening): SessionMachine {
    const { name, meta, data } = opening;
    // Here its opener can be told; OPEN is written later.
    encodeFitting(owner.peer, { ...meta, name }, data, DEADLINE_LENGTH);
    return new SessionMachine(owner, opening, { kind: 'opening' });
  }

  /** A session that the other side has opened. */
  static pending(owner: SessionOwner, frame: FrameView, now: number): SessionMachine {
    const { meta, data } = ownedPartsOf(frame);
    const { name = '' } = meta;
    const state: SessionState = { kind: 'pending', endSeen: false };
    const session = new SessionMachine(owner, { name, meta, data, timeout: Infinity }, state);
    if (meta.deadline !== undefined) session.#setDeadline(now + meta.deadline);
    session.#setId(frame.session);
    return session;
  }

  /** 0 while the session has no number yet. */
  get id(): number {
    return this.#id;
  }

  get state(): SessionState {
    return this.#state;
  }

  /** Whether it waits for this side's decision, and the other side has sent nothing in it. */
  get isUnused(): boolean {
    return this.#state.kind === 'pending' && this.receiver.isUnused;
  }

  /** Whether the session is over. Closed sessions do not wait for a place. */
  get isRevoked(): boolean {
    return this.#state.kind === 'closed';
  }

  /** Whether this side opened the session, and has not written OPEN: the other side knows nothing of it. */
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

  /** Starts the acceptor's time, if it has not started: OPEN is written, or waits for nothing but a place. */
  startClock(now: number): void {
    if (this.#deadline !== Infinity || this.#timeout === Infinity) return;
    this.#setDeadline(now + this.#timeout);
  }

  /** Messages of both sides that are not settled; the session itself counts until it is decided. */
  get unsettled(): number {
    const itself = this.#state.kind === 'pending' ? 1 : 0;
    return itself + this.sender.unsettled + this.receiver.unsettled;
  }

  /** Writes OPEN under the number that the connection gives. */
  start(id: number): void {
    this.sender.allow(creditOf(this.#owner.peer));
    this.#setId(id);
    const meta: Meta = { ...this.openMeta, name: this.name };
    const reserved = this.#timeout === Infinity ? 0 : DEADLINE_LENGTH;
    try {
      const fields = encodeFitting(this.#owner.peer, meta, this.openData, reserved);
      this.#open = new OpenUnit(this, id, fields, this.openData);
    } catch (error) {
      // It was opened before the other side told its limits.
      if (!(error instanceof ProtocolError)) throw error;
      return this.#close({ kind: 'too-large', executed: 'no', message: error.message });
    }
    this.#owner.output.push(this.#open);
    this.#owner.wake();
    this.sender.start(id);
  }

  // Commands of the application.

  // [IC-6.14]
  accept(meta: Meta, data: Buffer, now: number): boolean {
    if (this.#state.kind !== 'pending') return false;
    const { endSeen } = this.#state;
    this.#push(FrameType.OPENED, meta, data);
    this.#state = endSeen ? { ...ENDING, endSeen } : { kind: 'open' };
    this.sender.start(this.#id);
    this.receiver.start(now);
    return true;
  }

  reject(code: number, reason: string, data: Buffer): boolean {
    if (this.#state.kind !== 'pending') return false;
    this.#push(FrameType.END, { code, text: reason }, data);
    this.#close({ ...ENDED, message: `This side rejected the session ${quote(this.name, 256)}.` });
    return true;
  }

  send(message: OutgoingMessage): void {
    switch (this.#state.kind) {
      case 'opening':
      case 'pending':
      case 'open':
        if (this.#owner.peerDrains) break;
        return this.sender.send(message);
      case 'ending':
      case 'closed':
        return message.fail({
          kind: 'session-closed',
          executed: 'no',
          message: `The session ${quote(this.name, 256)} is closed. Open it again to send.`,
        });
    }
    message.fail(DRAINING);
  }

  /** On another socket: says again what it allows, since credit is not counted and may be lost. */
  announce(): void {
    // If OPEN is not written yet, the peer does not know the session.
    if (this.isUnwritten) return;
    this.#owner.creditDue(this.receiver);
    this.receiver.announceItems();
    this.sender.announceItems();
  }

  /**
   * The other side takes nothing new: what is not written fails. The returned function tells so; before it is
   * called, the output is to let go of what was revoked.
   */
  refuseUnwritten(): () => void {
    if (this.isUnwritten) return () => this.#close(DRAINING);
    const messages = this.sender.takeUnwritten();
    return () => this.sender.refuse(messages, DRAINING);
  }

  /** Gives the session up if OPEN is not written, and `failure` is there; else the same for each of its messages. */
  giveUpUnwritten(
    failure: Failure | undefined,
    failureOf: (message: OutgoingMessage) => Failure | undefined,
  ): void {
    this.sender.giveUpUnwritten(failureOf);
    if (failure !== undefined && this.isUnwritten) this.#close(failure);
  }

  /** Ends the session in order: what was sent is still settled, nothing new begins. */
  end(): void {
    switch (this.#state.kind) {
      case 'opening':
        this.#state = { ...ENDING, accepted: false };
        return this.progressed();
      case 'open':
        this.#state = { ...ENDING };
        return this.progressed();
      case 'pending':
        this.reject(Code.SESSION_REFUSED, 'The session was closed before it was accepted.', EMPTY);
        return;
      case 'ending':
      case 'closed':
        return;
    }
  }

  // Frames of the other side.

  onOpened(frame: FrameView, now: number): void {
    const { meta, data } = ownedPartsOf(frame);
    const credit = meta.sessionCredit;
    if (credit !== undefined) {
      // [IC-6.17]
      checkCeiling(credit);
      this.sender.onCredit(credit.messages, credit.bytes);
      this.sender.raiseItems(credit.items);
    }
    switch (this.#state.kind) {
      case 'opening':
        this.#state = { kind: 'open' };
        this.receiver.start(now);
        return this.listener.onOpened(meta, data);
      case 'ending':
        if (this.#state.accepted) break;
        // This side asked to end before it was accepted.
        this.#state.accepted = true;
        return this.receiver.start(now);
      default:
    }
    throw violation(`OPENED for session ${this.#id}, which is open.`);
  }

  onEnd(frame: FrameView): void {
    const { meta, data } = ownedPartsOf(frame);
    const code = meta.code ?? Code.OK;
    // A refusal is the answer to OPEN, and is not answered itself. [IC-6.18]
    const state = this.#state;
    if (this.#isUnanswered) {
      const inOrder = state.kind === 'ending' && code === Code.OK;
      return this.#close(inOrder ? undefined : refused(this.name, code, meta, data));
    }
    // [IC-6.23]
    const isTwice = 'endSeen' in state && state.endSeen && code === Code.OK;
    if (isTwice) throw violation(`Session ${this.#id} ends twice.`);
    // Also what has begun to end in order may be aborted.
    if (code !== Code.OK) {
      // An abort is answered, so that both sides know that nothing follows. [IC-6.22]
      if (state.kind !== 'ending' || !state.endSent) this.#push(FrameType.END, {}, EMPTY);
      return this.#close(aborted(code, meta, data));
    }
    // [IC-6.19]
    if (this.receiver.hasOpenRequest) throw violation(`END of session ${this.#id} amid a request.`);
    if ('endSeen' in state) state.endSeen = true;
    // [IC-6.20]
    else this.#state = { ...ENDING, endSeen: true };
    this.progressed();
  }

  /** Only what a handler gave is accepted, and no handler starts before OPENED. [IC-6.34] [IC-6.49] */
  checkAnswered(what: string): void {
    if (this.#isUnanswered) throw violation(`${what} on session ${this.#id} before OPENED.`);
  }

  /** What is part of a request is illegal before OPENED, and after the other side's END. [IC-6.60] */
  checkOpen(what: string): void {
    this.checkAnswered(what);
    const state = this.#state;
    if ('endSeen' in state && state.endSeen) {
      throw violation(`${what} on session ${this.#id} after its END.`);
    }
  }

  /**
   * A frame of a message: SEND, FRAG, ACCEPT, REJECT, CANCEL or ITEM. Returns false if the frame changes nothing and
   * costs the flood budget. [IC-7.9]
   */
  onMessageFrame(frame: FrameView, now: number): boolean {
    switch (frame.type) {
      case FrameType.SEND:
        this.checkOpen('SEND');
        this.receiver.onSend(frame, now);
        return true;
      case FrameType.ITEM:
        return this.#onItem(frame, now);
      case FrameType.FRAG:
        this.#onFragment(frame, now);
        return true;
      case FrameType.ACCEPT:
        this.checkAnswered('ACCEPT');
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
    // The answers to this side's own messages take none of the memory for handlers: their credit goes back at once.
    this.receiver.giveBack(frame.size);
    return this.sender.onSettlement(frame);
  }

  /** Returns false for an item of a message that this side no longer remembers. */
  #onItem(frame: FrameView, now: number): boolean {
    if (!frame.has(Flag.REPLY)) {
      this.checkOpen('ITEM');
      return this.receiver.streams.onItem(frame);
    }
    this.checkAnswered('ITEM');
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

  /** CREDIT for the items of a stream: REPLY says that this side gave the id. False where it is of no use. */
  #onItemCredit(frame: FrameView, limit: number, now: number): boolean {
    const { id } = frame;
    if (frame.has(Flag.REPLY)) return this.sender.streams.onCredit(id, limit, now);
    return this.receiver.streams.onCredit(id, limit);
  }

  /** Returns the next deadline. */
  onTime(now: number): number {
    const next = Math.min(this.sender.onTime(now), this.receiver.onTime(now));
    const state = this.#state;
    if (state.kind !== 'pending' && !this.#isUnanswered) return next;
    // After its END, the clock of the acceptor counts: it may have accepted meanwhile.
    if (state.kind === 'ending' && state.endSent) return next;
    if (this.#deadline > now) return Math.min(next, this.#deadline);
    this.#expire();
    return next;
  }

  /** Ends the session: nothing can be sent any more. The returned function tells so. */
  fail(failure: Failure | undefined): () => void {
    if (this.#state.kind === 'closed') return () => undefined;
    const isUnheard = this.isUnwritten;
    const reason = isUnheard && failure !== undefined ? withExecuted(failure, 'no') : failure;
    if (isUnheard) this.#revokeFrames();
    this.#state = { kind: 'closed' };
    this.#owner.forget(this);
    this.receiver.close();
    const tell = reason === undefined ? () => this.sender.finish(ENDED) : this.sender.fail(reason);
    return () => {
      tell();
      this.receiver.fail(() => this.#owner.vacate(this));
      this.listener.onClosed(reason);
      this.#owner.progressed();
    };
  }

  #expire(): void {
    if (this.isUnwritten) return this.#close(noPlace(this.name, this.#owner.peer.sessions));
    // Without the name, which may be as long as a TEXT alone.
    const text = 'The session was neither accepted nor rejected in time.';
    // [IC-10.4]
    this.#push(FrameType.END, { code: Code.SESSION_TIMEOUT, text }, EMPTY);
    this.#close(undecided(this.name));
  }

  /** Whether this side opened the session and has no answer yet. */
  get #isUnanswered(): boolean {
    const state = this.#state;
    return state.kind === 'opening' || (state.kind === 'ending' && !state.accepted);
  }

  #setDeadline(deadline: number): void {
    this.#deadline = deadline;
    this.#owner.arm(deadline);
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

  /** Less waits than before, or is unsettled: an ending session goes on as far as it can. */
  progressed(): void {
    this.#owner.progressed();
    const state = this.#state;
    const unsettled = this.sender.unsettled + this.receiver.unsettled;
    if (state.kind === 'pending' && state.endSeen && unsettled === 0) {
      // Ended by its opener with nothing left to decide on.
      this.#push(FrameType.END, {}, EMPTY);
      return this.#close(undefined);
    }
    if (state.kind !== 'ending') return;
    // [IC-6.19]
    if (!state.endSent && this.sender.isFlushed) {
      // The other side need not hear of a session that carried nothing.
      if (this.isUnwritten && this.sender.isUnused) return this.#close(undefined);
      this.#end = this.#push(FrameType.END, {}, EMPTY);
      state.endSent = true;
    }
    // [IC-6.21]
    if (state.endSent && state.endSeen && unsettled === 0) this.#close(undefined);
  }

  #close(failure: Failure | undefined): void {
    this.fail(failure)();
  }

  /** OPEN is not written: the other side shall never hear of this session. */
  #revokeFrames(): void {
    const { output } = this.#owner;
    if (output.isCleared) return;
    if (this.#open !== undefined) output.revoke(this.#open);
    if (this.#end !== undefined) output.revoke(this.#end);
  }

  #push(type: number, meta: Meta, data: Buffer): ControlUnit {
    const fields = encodeFitting(this.#owner.peer, meta, data, 0);
    const unit = new ControlUnit(type, this.#id, 0, fields, data);
    this.#owner.output.push(unit);
    this.#owner.wake();
    return unit;
  }
}

function creditOf({ messages, sessionBytes, items }: Limits): NonNullable<Meta['sessionCredit']> {
  return { messages, bytes: sessionBytes, items };
}

const ENDING = {
  kind: 'ending',
  accepted: true,
  endSent: false,
  endSeen: false,
} as const;
