/**
 * What two processes share, whatever socket carries it: sessions, their credit, and what waits to be
 * written. The socket machine of the moment feeds it frames and takes its output. Nothing here ends with
 * a socket by itself: sequenced frames are counted in both directions, the connection's CREDIT
 * acknowledges them, and what a lost socket took with it is written again on the next one.
 */
import {
  Code,
  frameName,
  FrameType,
  type FrameView,
  isSequenced,
  ProtocolError,
  readCredit,
  EMPTY,
} from '../../wire/index.js';
import { BlockedSenders } from './blocked-senders.js';
import { type ConnectionEffects, NO_OWNER } from './connection-effects.js';
import { ConnectionState } from './connection-state.js';
import type { ConnectionSettings, ResumeToken } from './connection-settings.js';
import { Drain } from './drain.js';
import { DRAINING, type Failure, withExecuted } from '../common/failure.js';
import { FloodBudget } from '../flow/flood-budget.js';
import type { FrameWriter } from '../output/frame-writer.js';
import { Grants } from './grants.js';
import { connectionReserveOf, type Limits } from '../flow/limits.js';
import { oneWaysAmong, type OutgoingMessage } from '../message/outgoing-message.js';
import { Output } from '../output/output.js';
import { Receipts } from '../flow/receipts.js';
import { makeRoom } from './make-room.js';
import { SendQueueBudget } from '../flow/send-queue-budget.js';
import { SessionMachine, type SessionOpening, type SessionContext } from '../session/session.js';
import { SessionTable } from './session-table.js';
import { SettlementDebt } from './settlement-debt.js';
import type { CreditSource } from '../session/half-context.js';
import type { ItemReceiver } from '../stream/item-receiver.js';
import { type Unit } from '../output/unit.js';
import type { MoveSink } from '../common/moves.js';
import { violation } from '../common/violation.js';
import { ReceiveWindow, SendWindow } from '../flow/windows.js';

export class ConnectionMachine implements SessionContext {
  readonly limits: Limits;
  peerLimits: Limits;
  readonly lastId: number;
  /** With what the dialer resumes it; none where it ends with its socket. */
  token: ResumeToken | undefined;
  /** Set by who keeps the connection, before anything can arrive. */
  effects: ConnectionEffects = NO_OWNER;
  readonly output = new Output();
  readonly goaway = new Drain();
  sendWindow = new SendWindow(0);
  readonly receiveWindow: ReceiveWindow;
  pinned = 0;
  readonly #sessions: SessionTable;
  readonly #queue: SendQueueBudget;
  readonly #flood: FloodBudget;
  readonly #blocked = new BlockedSenders();
  readonly #grants = new Grants();
  readonly #debt = new SettlementDebt();
  readonly #state: ConnectionState;
  readonly #receipts = new Receipts();

  constructor(settings: ConnectionSettings, now: number) {
    const { role, limits, peer, lastId = 0 } = settings;
    this.limits = limits;
    this.peerLimits = peer;
    this.lastId = lastId;
    this.receiveWindow = new ReceiveWindow(limits.connectionBytes, limits.maxFrame);
    this.#state = new ConnectionState(role, this);
    this.#sessions = new SessionTable(role, limits.sessions);
    this.#queue = new SendQueueBudget(settings.queue);
    this.#flood = new FloodBudget(now);
  }

  /** The first socket stands: the other side has told what it allows. What waited for that may go. */
  begin(peer: Limits, token: ResumeToken | undefined): void {
    this.#state.begin();
    this.peerLimits = peer;
    this.token = token;
    this.sendWindow = new SendWindow(peer.connectionBytes, connectionReserveOf(peer));
    this.output.setLimits(peer.maxFrame, peer.connectionBytes);
    this.#sessions.raise(peer.sessions);
  }

  /** Whether a socket carries the connection, or has carried it before. */
  get hasBegun(): boolean {
    return this.#state.hasBegun;
  }

  /** Whether the connection is over. */
  get isEnded(): boolean {
    return this.#state.name === 'ENDED';
  }

  get onMove(): MoveSink | undefined {
    return this.effects.onMove;
  }

  /** Opens a session; it is numbered as soon as the other side allows one more. */
  openSession(opening: SessionOpening): SessionMachine {
    const session = SessionMachine.opening(this, opening);
    const failure = this.#state.failure ?? (this.goaway.theirs ? DRAINING : undefined);
    if (failure !== undefined) {
      session.fail(failure)();
    } else {
      this.#sessions.addOwn(session);
      this.wake();
    }
    return session;
  }

  /**
   * Gives up what waits to be written, as if it had never been sent: each session of this side whose OPEN is not
   * written, and each message of which nothing is written, for which the function returns a failure.
   */
  giveUpUnwritten(
    ofSession: (session: SessionMachine) => Failure | undefined,
    ofMessage: (message: OutgoingMessage) => Failure | undefined,
  ): void {
    for (const session of this.#sessions.all()) {
      session.giveUpUnwritten(session.isUnwritten ? ofSession(session) : undefined, ofMessage);
    }
  }

  /** Sequenced frames of the other side that have arrived, modulo 2^31. */
  get received(): number {
    return this.#receipts.received;
  }

  /** Whether it can go on with a side to which so many frames of this one have arrived. */
  canResume(received: number): boolean {
    return !this.isEnded && this.output.sent.reaches(received);
  }

  /**
   * A new socket carries it from here on; `received` frames of this side have arrived on the others, as
   * `canResume` has checked.
   */
  resume(received: number): void {
    this.#state.resume();
    // [IC-17.22]
    this.output.sent.rewind(received);
    // None of what is not counted is sure to have arrived. [IC-12.12]
    this.goaway.onSocket();
    this.#grants.announceConnection();
    const sessions = this.#sessions.all();
    // The other side says again what it granted: for itself, each session and each stream.
    this.#flood.pardon(1 + sessions.reduce((sum, { unsettled }) => sum + 1 + unsettled, 0));
    for (const session of sessions) session.announce();
    this.wake();
  }

  /**
   * The socket is lost, and another one can carry the connection. A connection without a token waits for none: end it by
   * `fail`.
   */
  detach({ message }: Failure): void {
    if (this.token !== undefined) this.#state.detach(message);
  }

  /** Takes nothing new any more, and tells `drained` when nothing is left. */
  drain(): void {
    if (this.goaway.own || this.isEnded) return;
    this.goaway.begin();
    this.wake();
    this.progressed();
  }

  /** All that the other side wrote before it had read GOAWAY is here. */
  onGoawayRead(): void {
    this.goaway.onRead();
    this.progressed();
  }

  /** GOAWAY. */
  onGoaway(now: number): void {
    const heard = this.goaway.hear();
    if (heard === 'before') return this.flood(now);
    if (heard === 'again') return;
    // The other side waits for the acknowledgement of the frames that it has written before.
    this.connectionCreditDue();
    // First: what has not begun may go to another connection.
    this.effects.draining();
    // [IC-12.10]
    this.#sessions.stop();
    const refusals = this.#sessions.all().map((session) => session.refuseUnwritten());
    this.output.discardRevoked();
    for (const tell of refusals) tell();
  }

  /** One frame of the other side: CREDIT, or of type 0x10 and above. */
  onFrame(frame: FrameView, now: number): void {
    const { type } = frame;
    // [IC-17.5]
    if (isSequenced(type)) this.#countFrame(frame.size, now);
    if (isMessageFrame(type)) return this.#onMessageFrame(frame, now);
    switch (type) {
      case FrameType.CREDIT:
        return this.#onCredit(frame, now);
      case FrameType.OPEN:
        return this.#onOpen(frame, now);
      case FrameType.OPENED:
        return this.#known(frame)?.onOpened(frame, now);
      case FrameType.END: {
        const session = this.#known(frame);
        // Opened and ended for nothing: no more of it than of other useless frames.
        if (session?.isUnused === true) this.flood(now);
        return session?.onEnd(frame);
      }
      default:
        throw new Error(`${frameName(type)} is no frame of a connection.`);
    }
  }

  /** Writes what waits, until `room` octets are written or nothing has credit. */
  flush(writer: FrameWriter, room: number, now: number): void {
    // Before all that waits: a refusal because of the drain is understood by a side that has read GOAWAY.
    this.goaway.flush(writer);
    this.#blocked.pump();
    this.#sessions.startClocks(now);
    // Credit may be for a session whose OPEN is among what is written again. [IC-17.25]
    if (!this.output.replay(writer, room, now)) return;
    this.output.flushSmall(writer, room, now);
    // [IC-17.8]
    this.#writeCredits(writer);
    this.output.flushLarge(writer, room, now, this.sendWindow);
    if (this.#debt.isRelieved()) {
      for (const session of this.#sessions.all()) session.receiver.pump(now);
    }
    this.progressed();
  }

  /** Ends what has passed its deadline. Returns the next deadline. */
  onTime(now: number): number {
    let next = Infinity;
    if (this.#receipts.dueAt <= now) this.connectionCreditDue();
    else next = this.#receipts.dueAt;
    for (const session of this.#sessions.all()) next = Math.min(next, session.onTime(now));
    return next;
  }

  /**
   * The connection is over: everything still pending fails. What was not written never will be, and so has not run.
   * `leaving`: what is ready and begins nothing is still written, in front of CLOSE.
   */
  fail(failure: Failure, leaving: boolean): void {
    this.#state.end(failure);
    this.#sessions.stop();
    const oneWays = oneWaysAmong(this.output.units());
    this.output.clear(leaving);
    // With the others of their session, in order.
    for (const message of oneWays) message.sender?.onMessageUncertain(message);
    // [IC-2.10]
    const tellings = this.#sessions.all().map((session) => session.fail(failure));
    // All of them are over before the first is told: its application can begin nothing in another.
    for (const tell of tellings) tell();
    // Those whose session had ended before.
    for (const message of oneWays) {
      if (!message.isAwaited && !message.hasCredit) continue;
      message.fail(message.started ? failure : withExecuted(failure, 'no'));
    }
    this.#grants.clear();
    this.#blocked.clear();
  }

  // What sessions ask for.

  get mayDispatch(): boolean {
    return this.#debt.mayDispatch;
  }

  get drains(): boolean {
    return this.goaway.own;
  }

  get peerDrains(): boolean {
    return this.goaway.theirs;
  }

  /** Whether it drains, and nothing is left to wait for. */
  get isDrained(): boolean {
    return this.goaway.own && this.#isDone() && !this.#receipts.isOwing;
  }

  progressed(): void {
    // CLOSE acknowledges nothing, and the other side may wait for that alone. [IC-12.11]
    if (this.goaway.own && this.#receipts.isOwing && this.#isDone()) this.connectionCreditDue();
    if (this.goaway.becameDone(this.isDrained)) this.effects.drained();
  }

  addUnread(bytes: number): void {
    this.#debt.add(bytes);
  }

  wake(): void {
    this.effects.wake();
  }

  arm(at: number): void {
    this.effects.arm(at);
  }

  /** Pays for a useless frame. @throws ProtocolError CALM when there are too many. */
  flood(now: number): void {
    // [IC-15.1]
    if (this.#flood.spend(now)) return;
    throw new ProtocolError(Code.CALM, 'Too many frames that change nothing.');
  }

  creditDue(receiver: CreditSource): void {
    this.#grants.addSession(receiver);
    this.wake();
  }

  itemCreditDue(items: ItemReceiver): void {
    this.#grants.addStream(items);
    this.wake();
  }

  itemCreditOver(items: ItemReceiver): void {
    this.#grants.forgetStream(items);
  }

  connectionCreditDue(): void {
    this.#grants.isConnectionDue = true;
    this.wake();
  }

  waitForBytes(sender: { pump(): void }): void {
    this.#blocked.add(sender);
  }

  chargeQueue(message: Unit): Failure | undefined {
    return this.#queue.take(message.payload.length);
  }

  releaseQueue(message: Unit): void {
    this.#queue.give(message.payload.length);
  }

  giveBack(octets: number): void {
    this.sendWindow.use(-octets);
    // Not at once: the sender that gives back may be about to end.
    this.#blocked.onRoom();
    this.wake();
  }

  forget(session: SessionMachine): void {
    this.#grants.forgetSession(session.receiver);
    this.#blocked.delete(session.sender);
    this.#sessions.delete(session);
  }

  vacate(session: SessionMachine): void {
    if (this.#sessions.vacate(session)) this.connectionCreditDue();
  }

  /** The session that a frame names; none if the session has ended. */
  #known({ session: id, type }: FrameView): SessionMachine | undefined {
    const session = this.#sessions.get(id);
    if (session === undefined) this.#sessions.checkKnown(id, type);
    return session;
  }

  #onMessageFrame(frame: FrameView, now: number): void {
    const octets = frame.size;
    // [IC-8.1]
    if (this.receiveWindow.take(octets, 'connection')) this.connectionCreditDue();
    const session = this.#known(frame);
    if (session === undefined) {
      // The frame was on its way when this side sent END: its octets are free at once.
      if (this.receiveWindow.free(octets)) this.connectionCreditDue();
      return;
    }
    if (session.receiver.window.take(octets, 'session')) this.creditDue(session.receiver);
    if (!session.onMessageFrame(frame, now)) this.flood(now);
    if (isGrowing(frame.type)) this.#makeRoom();
  }

  #onOpen(frame: FrameView, now: number): void {
    this.#sessions.checkOpen(frame.session);
    const opened = SessionMachine.pending(this, frame, now);
    if (this.#sessions.addTheirs(opened)) this.connectionCreditDue();
    // [IC-12.8]
    if (!this.goaway.own) return this.effects.session(opened);
    opened.reject(Code.DRAINING, 'This side takes nothing new.', EMPTY);
  }

  #onCredit(frame: FrameView, now: number): void {
    if (frame.session !== 0) {
      const session = this.#known(frame);
      if (session?.onCredit(frame, now) === false) this.#uselessCredit(now);
      return;
    }
    const { count, bytes: octets } = readCredit(frame.bytes, frame.payloadStart, frame.end);
    const acknowledged = this.#acknowledge(frame.id);
    const moreSessions = this.#sessions.raise(count);
    const moreBytes = this.sendWindow.raise(octets);
    if (moreBytes) {
      this.#blocked.onRoom();
      this.#blocked.pump();
      this.wake();
    }
    // [IC-8.3]
    if (!acknowledged && !moreSessions && !moreBytes) this.#uselessCredit(now);
  }

  /** The other side has taken in so many sequenced frames. False where that is no news. */
  #acknowledge(count: number): boolean {
    const { sent } = this.output;
    const wasFull = sent.isFull;
    const news = sent.acknowledge(count);
    // [IC-6.13]
    if (news < 0) throw violation('CREDIT acknowledges frames that were never sent.');
    // Sessions may be granted again.
    if (wasFull) this.connectionCreditDue();
    this.progressed();
    return news > 0;
  }

  #countFrame(octets: number, now: number): void {
    const waited = this.#receipts.dueAt !== Infinity;
    if (this.#receipts.count(octets, now) || this.goaway.theirs) this.connectionCreditDue();
    else if (!waited) this.arm(this.#receipts.dueAt);
  }

  #uselessCredit(now: number): void {
    if (!this.#flood.isPardoned()) this.flood(now);
  }

  /** Whether a drain has nothing left to wait for. [IC-12.11] */
  #isDone(): boolean {
    // What crosses GOAWAY is still to be refused. [IC-12.14] One that never had a socket has nobody to tell.
    if (this.hasBegun && !this.goaway.isRead) return false;
    if (!this.output.isEmpty || !this.output.sent.isEmpty) return false;
    // What this side has asked of the other before, and could not send yet, is left as well.
    const isOver = ({ unsettled, sender }: SessionMachine): boolean => {
      return unsettled === 0 && sender.isFlushed;
    };
    return this.#sessions.all().every(isOver);
  }

  #writeCredits(writer: FrameWriter): void {
    this.#grants.flush(writer);
    if (!this.#grants.isConnectionDue) return;
    // Who acknowledges nothing opens no further sessions, whose answers would only pile up.
    const mayRaise = !this.output.sent.isFull;
    const isNews =
      this.#receipts.isDue || this.receiveWindow.freed > 0 || (mayRaise && this.#sessions.hasFreed);
    // A CREDIT without effect would cost the other side's flood budget. After a resume none costs. [IC-8.13]
    if (!this.#grants.takeConnection(isNews)) return;
    // [IC-6.12]
    const received = this.#receipts.acknowledge();
    const opens = this.#sessions.grant(mayRaise);
    this.#grants.writeConnection(writer, opens, this.receiveWindow.grant(), received);
    // What was settled meanwhile may have been all that was not stuck.
    this.#makeRoom();
  }

  /** Makes room where messages that are all incomplete have filled the memory. */
  #makeRoom(): void {
    makeRoom(this.receiveWindow, this.limits, this.#sessions);
  }
}

/** SEND, FRAG, ACCEPT, REJECT, ITEM and CANCEL: they use byte credit. */
function isMessageFrame(type: number): boolean {
  return type >= FrameType.SEND && type <= FrameType.CANCEL;
}

/** Whether the frame may make an unfinished message or item larger. */
function isGrowing(type: number): boolean {
  return type === FrameType.SEND || type === FrameType.ITEM || type === FrameType.FRAG;
}
