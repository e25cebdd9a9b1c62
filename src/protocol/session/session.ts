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
  FrameType,
  type Meta,
  ProtocolError,
  quote,
  EMPTY,
} from '../../wire/index.js';
import { DRAINING, type Failure, withExecuted } from '../common/failure.js';
import { encodeFitting } from '../flow/encode-fitting.js';
import { checkCeiling, checkCredit, type Limits } from '../flow/limits.js';
import { OpenUnit } from './open-unit.js';
import type { OutgoingMessage } from '../message/outgoing-message.js';
import { SessionReceiver } from './session-receiver.js';
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

export class SessionMachine {
  readonly name: string;
  /** What OPEN carried, at the acceptor. */
  readonly openMeta: Meta;
  readonly openData: Buffer;
  readonly sender: SessionSender;
  /** Set by the application's side before anything can arrive. */
  listener: SessionListener = UNHEARD;
  readonly #owner: SessionOwner;
  #id = 0;
  #receiver: SessionReceiver | undefined;
  /** OPEN, where this side writes it. */
  #open: OpenUnit | undefined;
  /** END(0), after this side has pushed it. */
  #end: ControlUnit | undefined;
  #state: SessionState;
  /** Milliseconds that the acceptor has to decide; `Infinity` = no limit. */
  readonly #timeout: number;
  /** See `deadline`. */
  #deadline: number;

  private constructor(
    owner: SessionOwner,
    name: string,
    meta: Meta,
    data: Buffer,
    state: SessionState,
    timeout: number,
    deadline: number,
  ) {
    this.name = name;
    this.openMeta = meta;
    this.openData = data;
    this.#owner = owner;
    this.#state = state;
    this.#timeout = timeout;
    this.#deadline = deadline;
    if (deadline !== Infinity) owner.arm(deadline);
    this.sender = new SessionSender(owner, () => this.#progress());
    if (state.kind === 'opening') return;
    // OPEN's own credit, where it bears one, replaces the default of the connection. [IC-6.15]
    if (meta.sessionCredit !== undefined) checkCredit(meta.sessionCredit, owner.peer);
    this.sender.allow(meta.sessionCredit ?? creditOf(owner.peer));
    if (meta.sessionCredit !== undefined) this.sender.lane.replace(meta.sessionCredit.items);
  }

  /**
   * A session of this side. It has no number until `start`. `timeout`: milliseconds that the acceptor has from
   * the moment in which OPEN is written; `Infinity` = no limit.
   */
  static opening(
    owner: SessionOwner,
    name: string,
    meta: Meta,
    data: Buffer,
    timeout: number,
  ): SessionMachine {
    // Here its opener can be told; OPEN is written later.
    encodeFitting(owner.peer, { ...meta, name }, data, DEADLINE_LENGTH);
    return new SessionMachine(owner, name, meta, data, { kind: 'opening' }, timeout, Infinity);
  }

  /** A session that the other side has opened. */
  static pending(
    owner: SessionOwner,
    id: number,
    meta: Meta,
    data: Buffer,
    deadline: number,
  ): SessionMachine {
    const { name = '' } = meta;
    const state: SessionState = { kind: 'pending', endSeen: false };
    const session = new SessionMachine(owner, name, meta, data, state, Infinity, deadline);
    session.#setId(id);
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
    return this.#state.kind === 'pending' && this.#receiver?.isUnused === true;
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
    this.#deadline = now + this.#timeout;
    this.#owner.arm(this.#deadline);
  }

  /** Messages of both sides that are not settled; the session itself counts until it is decided. */
  get unsettled(): number {
    const itself = this.#state.kind === 'pending' ? 1 : 0;
    return itself + this.sender.unsettled + (this.#receiver?.unsettled ?? 0);
  }

  /** Exists once the session has its number. */
  get receiver(): SessionReceiver | undefined {
    return this.#receiver;
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
    this.#receiver?.start(now);
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
        message.state = 'settled';
        return message.onFailure({
          kind: 'session-closed',
          executed: 'no',
          message: `The session ${quote(this.name, 256)} is closed. Open it again to send.`,
        });
    }
    message.state = 'settled';
    message.onFailure(DRAINING);
  }

  /** On another socket: says again what it allows, since credit is not counted and may be lost. */
  announce(): void {
    // Of one whose OPEN is not written yet, the other side knows nothing, and has nothing to be allowed.
    if (this.#receiver === undefined || this.#open?.started === false) return;
    this.#owner.creditDue(this.#receiver);
    this.#receiver.announceItems();
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
        return this.#progress();
      case 'open':
        this.#state = { ...ENDING };
        return this.#progress();
      case 'pending':
        this.reject(Code.SESSION_REFUSED, 'The session was closed before it was accepted.', EMPTY);
        return;
      case 'ending':
      case 'closed':
        return;
    }
  }

  // Frames of the other side.

  onOpened(meta: Meta, data: Buffer, now: number): void {
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
        this.#receiver?.start(now);
        return this.listener.onOpened(meta, data);
      case 'ending':
        if (this.#state.accepted) break;
        // This side asked to end before it was accepted.
        this.#state.accepted = true;
        return this.#receiver?.start(now);
      default:
    }
    throw violation(`OPENED for session ${this.#id}, which is open.`);
  }

  onEnd(meta: Meta, data: Buffer): void {
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
    if (this.#receiver?.hasOpenRequest === true)
      throw violation(`END of session ${this.#id} amid a request.`);
    if ('endSeen' in state) state.endSeen = true;
    // [IC-6.20]
    else this.#state = { ...ENDING, endSeen: true };
    this.#progress();
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

  /** ITEM. False where it is late beyond measure. */
  onItem(
    flags: number,
    id: number,
    bytes: Buffer,
    start: number,
    metaLength: number,
    end: number,
    now: number,
  ): boolean {
    if ((flags & Flag.REPLY) === 0) {
      this.checkOpen('ITEM');
      return this.#receiver?.streams.onItem(flags, id, bytes, start, metaLength, end) ?? true;
    }
    this.checkAnswered('ITEM');
    this.sender.streams.onItem(flags, id, bytes, start, metaLength, end, now);
    return true;
  }

  /** FRAG. False where it continues no item. */
  onItemFragment(
    flags: number,
    id: number,
    bytes: Buffer,
    start: number,
    end: number,
    now: number,
  ): boolean {
    if ((flags & Flag.REPLY) !== 0) {
      return this.sender.streams.onFragment(flags, id, bytes, start, end, now);
    }
    return this.#receiver?.streams.onFragment(flags, id, bytes, start, end) ?? false;
  }

  /** CREDIT for the items of a stream: REPLY says that this side gave the id. False where it is of no use. */
  onItemCredit(flags: number, id: number, limit: number, now: number): boolean {
    if ((flags & Flag.REPLY) !== 0) return this.sender.streams.onCredit(id, limit, now);
    return this.#receiver?.streams.onCredit(id, limit) ?? false;
  }

  /** Returns the next deadline. */
  onTime(now: number): number {
    const next = Math.min(this.sender.onTime(now), this.#receiver?.onTime(now) ?? Infinity);
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
    this.#receiver?.close();
    const tell = reason === undefined ? () => this.sender.finish(ENDED) : this.sender.fail(reason);
    return () => {
      tell();
      this.#receiver?.fail(() => this.#owner.vacate(this));
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

  #setId(id: number): void {
    this.#id = id;
    const receiver = new SessionReceiver(
      this.#owner,
      id,
      this.sender,
      {
        onMessage: (message) => this.listener.onMessage(message),
        onMessageTimeout: (message) => this.listener.onMessageTimeout(message),
      },
      () => this.#progress(),
    );
    this.#receiver = receiver;
    this.sender.streams.holder = receiver;
  }

  /** Takes an ending session on, as far as it has come. */
  #progress(): void {
    this.#owner.progressed();
    const state = this.#state;
    const unsettled = this.sender.unsettled + (this.#receiver?.unsettled ?? 0);
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
