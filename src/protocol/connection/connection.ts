/**
 * A connection: its sessions, their credit, and the frames that wait to be written. Several sockets can carry a
 * connection, one after the other. The machine of the current socket gives frames to the connection, and takes its
 * output. Both sides count the sequenced frames, and the connection's CREDIT acknowledges them. If a socket is lost,
 * the frames that were lost with it are written again on the next socket.
 */
import {
  Code,
  frameName,
  FrameType,
  type FrameView,
  isSequenced,
  MIN_FRAGMENT,
  ProtocolError,
  readCredit,
  EMPTY,
} from '../../wire/index.js';
import { Account, type AccountEffects, ThreadBudget } from '../flow/account.js';
import { type BlockedSender, BlockedSenders } from '../flow/blocked-senders.js';
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
import { makeRoom, roomToGoOn } from './make-room.js';
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

export class ConnectionMachine implements SessionContext, AccountEffects {
  readonly limits: Limits;
  peerLimits: Limits;
  readonly lastId: number;
  /** The token with which the dialer resumes the connection; undefined = the connection ends with its socket. */
  token: ResumeToken | undefined;
  /** The owner of the connection sets it before the first frame can arrive. */
  effects: ConnectionEffects = NO_OWNER;
  readonly output = new Output();
  readonly goaway = new Drain();
  sendWindow = new SendWindow(0);
  readonly receiveWindow: ReceiveWindow;
  readonly account: Account;
  pinned = 0;
  readonly #sessions: SessionTable;
  readonly #queue: SendQueueBudget;
  readonly #flood: FloodBudget;
  readonly #blocked = new BlockedSenders();
  readonly #grants = new Grants();
  readonly #debt = new SettlementDebt();
  readonly #state: ConnectionState;
  readonly #receipts = new Receipts();
  /** A session for which the drain had to wait at the last look, if there was one. */
  #undone: SessionMachine | undefined;
  readonly #roomToGoOn: number;
  /** `makeRoom` looks at the messages again when no more than this number of octets is free. */
  #nextLook = Infinity;
  /** Octets of kept frames that the account counts. */
  #kept = 0;

  constructor(settings: ConnectionSettings, now: number) {
    const { role, limits, peer, lastId = 0 } = settings;
    this.limits = limits;
    this.peerLimits = peer;
    this.lastId = lastId;
    this.receiveWindow = new ReceiveWindow(limits.connectionBytes, limits.maxFrame);
    const { budget = new ThreadBudget() } = settings;
    this.account = new Account(this, budget, limits.connectionBytes);
    this.#state = new ConnectionState(role, this);
    this.#sessions = new SessionTable(role, limits.sessions);
    this.#queue = new SendQueueBudget(settings.queue);
    this.#flood = new FloodBudget(now);
    this.#roomToGoOn = roomToGoOn(limits);
  }

  /** The first handshake is done, and the peer has told its limits: sessions that waited for this may open. */
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

  /**
   * Opens a session. It gets a number as soon as the peer allows one more session. If the connection is over, or the
   * peer drains, the session fails at once.
   */
  openSession(opening: SessionOpening): SessionMachine {
    const session = SessionMachine.opening(this, opening);
    this.account.take(session.price);
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
   * Gives up sessions and messages that the peer does not know. The first function is called for each session of this
   * side whose OPEN is not written, the second for each message of which nothing is written. A function returns the
   * failure, or undefined to keep the session or the message.
   */
  giveUpUnwritten(
    ofSession: (session: SessionMachine) => Failure | undefined,
    ofMessage: (message: OutgoingMessage) => Failure | undefined,
  ): void {
    for (const session of this.#sessions.all()) {
      session.giveUpUnwritten(session.isUnwritten ? ofSession(session) : undefined, ofMessage);
    }
  }

  /** Number of sequenced frames of the peer that have arrived, modulo 2^31. */
  get received(): number {
    return this.#receipts.received;
  }

  /** Whether the connection can be resumed with a peer that has received `received` frames of this side. */
  canResume(received: number): boolean {
    return !this.isEnded && this.output.sent.reaches(received);
  }

  /**
   * A new socket carries the connection. `received`: the number of frames of this side that have arrived on the
   * former sockets. Call `canResume` first.
   */
  resume(received: number): void {
    this.#state.resume();
    // [IC-17.24]
    this.output.sent.rewind(received);
    this.#chargeKept();
    // Frames outside the sequence (CREDIT, GOAWAY) may have been lost with the socket: write them again. [IC-12.7]
    this.goaway.onSocket();
    this.#grants.announceConnection();
    const sessions = this.#sessions.all();
    // The peer repeats its CREDITs too: one for the connection, and one for each session and each stream.
    this.#flood.pardon(1 + sessions.reduce((sum, { unsettled }) => sum + 1 + unsettled, 0));
    for (const session of sessions) session.announce();
    this.wake();
  }

  /**
   * The socket is lost, and another one can carry the connection. A connection without a token cannot wait for
   * another socket: end it by `fail`.
   */
  detach({ message }: Failure): void {
    if (this.token !== undefined) this.#state.detach(message);
  }

  /** Starts to drain: takes no new work, and calls `drained` when no work is left. */
  drain(): void {
    if (this.goaway.own || this.isEnded) return;
    this.goaway.begin();
    this.wake();
    this.progressed();
  }

  /** The peer has read our GOAWAY, and all frames that it wrote before that have arrived. */
  onGoawayRead(): void {
    this.goaway.onRead();
    this.progressed();
  }

  /** The peer's GOAWAY has arrived. */
  onGoaway(now: number): void {
    const heard = this.goaway.hear();
    if (heard === 'before') return this.flood(now);
    if (heard === 'again') return;
    // The draining peer cannot finish until this side acknowledges its last frames.
    this.connectionCreditDue();
    // Tell the owner first: it may send the refused messages on another connection.
    this.effects.draining();
    // [IC-12.3]
    this.#sessions.stop();
    const refusals = this.#sessions.all().map((session) => session.refuseUnwritten());
    this.output.discardRevoked();
    for (const tell of refusals) tell();
  }

  /** Takes one frame of the peer: CREDIT, or a frame of type 0x10 and above. */
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
        return this.#known(frame, now)?.onOpened(frame, now);
      case FrameType.END: {
        const session = this.#known(frame, now);
        // An OPEN followed by END without a message is useless: it costs the flood budget.
        if (session?.isUnused === true) this.flood(now);
        return session?.onEnd(frame);
      }
      default:
        throw new Error(`${frameName(type)} is no frame of a connection.`);
    }
  }

  /** Writes waiting frames, until `room` octets are written or no frame has credit. */
  flush(writer: FrameWriter, room: number, now: number): void {
    // GOAWAY goes first: a peer that has read GOAWAY understands why its messages are refused.
    this.goaway.flush(writer);
    this.#blocked.pump(this.sendWindow);
    this.#sessions.startClocks(now);
    // The replay comes before credits: a CREDIT may name a session whose OPEN is replayed. [IC-17.27]
    if (!this.output.replay(writer, room, now)) return;
    this.output.flushSmall(writer, room, now);
    this.output.letGoOn();
    // [IC-17.8]
    this.#writeCredits(writer);
    this.output.flushLarge(writer, room, now, this.sendWindow);
    if (this.#debt.isRelieved()) {
      for (const session of this.#sessions.all()) session.receiver.pump(now);
    }
    this.#chargeKept();
    this.progressed();
  }

  /** Ends each session and message that has passed its deadline. Returns the next deadline. */
  onTime(now: number): number {
    let next = Infinity;
    if (this.#receipts.dueAt <= now) this.connectionCreditDue();
    else next = this.#receipts.dueAt;
    for (const session of this.#sessions.all()) next = Math.min(next, session.onTime(now));
    return next;
  }

  /**
   * The connection is over: all pending sessions and messages fail. A message of which nothing was written has not
   * run. If `leaving`, waiting frames other than OPEN and SEND are still written before CLOSE.
   */
  fail(failure: Failure, leaving: boolean): void {
    this.#state.end(failure);
    this.#sessions.stop();
    const oneWays = oneWaysAmong(this.output.units());
    this.output.clear(leaving);
    // One-way messages fail in order with the other messages of their session.
    for (const message of oneWays) message.sender?.onMessageUncertain(message);
    // [IC-2.10]
    const tellings = this.#sessions.all().map((session) => session.fail(failure));
    // End all sessions before the first is told: its application must not start work in another one.
    for (const tell of tellings) tell();
    // The session of a one-way message may have ended earlier. Such a message fails here.
    for (const message of oneWays) {
      if (!message.isAwaited && !message.hasCredit) continue;
      message.fail(message.started ? failure : withExecuted(failure, 'no'));
    }
    this.#grants.clear();
    this.#blocked.clear();
    this.account.close();
  }

  // The members of `AccountEffects`.

  get isDetached(): boolean {
    return this.#state.name === 'DETACHED';
  }

  dropUnfinished(): void {
    for (const { receiver } of this.#sessions.all()) {
      for (const message of receiver.unfinished()) receiver.refuseUnfinished(message);
    }
  }

  onEased(): void {
    if (this.isEnded) return;
    for (const { receiver } of this.#sessions.all()) receiver.onEased();
    this.connectionCreditDue();
  }

  overload(error: ProtocolError): void {
    this.effects.overload(error);
  }

  // The members of `SessionContext`.

  get mayDispatch(): boolean {
    return this.#debt.mayDispatch;
  }

  get drains(): boolean {
    return this.goaway.own;
  }

  get peerDrains(): boolean {
    return this.goaway.theirs;
  }

  /** Whether this side drains, and has no work left. */
  get isDrained(): boolean {
    return this.goaway.own && this.#isDone() && !this.#receipts.isOwing;
  }

  progressed(): void {
    // CLOSE does not acknowledge frames. A peer that drains too may wait for nothing but this acknowledgement. [IC-12.6]
    if (this.goaway.own && this.#receipts.isOwing && this.#isDone()) this.connectionCreditDue();
    if (this.goaway.becameDone(this.isDrained)) this.effects.drained();
  }

  addUnread(bytes: number): void {
    this.#debt.add(bytes);
    this.account.addAnswer(bytes);
  }

  wake(): void {
    this.effects.wake();
  }

  arm(at: number): void {
    this.effects.arm(at);
  }

  /** Charges a useless frame to the flood budget. @throws ProtocolError CALM if there were too many such frames. */
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

  waitForBytes(sender: BlockedSender, room: number): void {
    this.#blocked.add(sender, room);
  }

  chargeQueue(message: Unit): Failure | undefined {
    return this.#queue.take(message.payload.length);
  }

  releaseQueue(message: Unit): void {
    this.#queue.give(message.payload.length);
  }

  giveBack(octets: number): void {
    this.sendWindow.use(-octets);
    // Blocked senders go on later: the sender that gives back may be about to end.
    this.#blocked.onRoom();
    this.wake();
  }

  forget(session: SessionMachine): void {
    this.#grants.forgetSession(session.receiver);
    this.#blocked.delete(session.sender);
    if (session === this.#undone) this.#undone = undefined;
    this.output.forget(session.sender);
    this.#sessions.delete(session);
  }

  vacate(session: SessionMachine): void {
    this.account.give(session.price);
    if (this.#sessions.vacate(session)) this.connectionCreditDue();
  }

  /**
   * Returns the session that a frame names; undefined if that session has ended.
   * @throws ProtocolError PROTOCOL if there was no such session; CALM if there are too many frames for ended sessions.
   */
  #known({ session: id, type }: FrameView, now: number): SessionMachine | undefined {
    const session = this.#sessions.get(id);
    if (session !== undefined) return session;
    this.#sessions.checkKnown(id, type);
    // [IC-15.1]
    if (this.#flood.spendLate(now)) return undefined;
    throw new ProtocolError(Code.CALM, 'Too many frames for sessions that have ended.');
  }

  #onMessageFrame(frame: FrameView, now: number): void {
    const octets = frame.size;
    // [IC-8.1]
    if (this.receiveWindow.take(octets, 'connection')) this.connectionCreditDue();
    const session = this.#known(frame, now);
    if (session === undefined) {
      // The frame was on its way when this side sent END: release its octets at once.
      if (this.receiveWindow.free(octets)) this.connectionCreditDue();
      return;
    }
    if (session.receiver.window.take(octets, 'session')) this.creditDue(session.receiver);
    if (!session.onMessageFrame(frame, now)) this.flood(now);
    if (!isGrowing(frame.type)) return;
    this.account.check();
    this.#makeRoom(false);
  }

  #onOpen(frame: FrameView, now: number): void {
    this.#sessions.checkOpen(frame.session);
    const opened = SessionMachine.pending(this, frame, now);
    this.account.take(opened.price);
    if (this.#sessions.addTheirs(opened)) this.connectionCreditDue();
    // [IC-12.1]
    if (!this.goaway.own) return this.effects.session(opened);
    opened.reject(Code.DRAINING, 'This side takes nothing new.', EMPTY);
  }

  #onCredit(frame: FrameView, now: number): void {
    if (frame.session !== 0) {
      const session = this.#known(frame, now);
      if (session?.onCredit(frame, now) === false) this.#uselessCredit(now);
      return;
    }
    const { count, bytes: octets } = readCredit(frame.bytes, frame.payloadStart, frame.end);
    const acknowledged = this.#acknowledge(frame.id);
    const moreSessions = this.#sessions.raise(count);
    const moreBytes = this.sendWindow.raise(octets);
    if (moreBytes) {
      this.#blocked.onRoom();
      this.#blocked.pump(this.sendWindow);
      this.wake();
    }
    // [IC-8.3]
    if (!acknowledged && !moreSessions && !moreBytes) this.#uselessCredit(now);
  }

  /** The peer has received `count` sequenced frames in all. Returns false if this side knew that before. */
  #acknowledge(count: number): boolean {
    const { sent } = this.output;
    const wasFull = sent.isFull;
    const news = sent.acknowledge(count);
    this.#chargeKept();
    // [IC-6.13]
    if (news < 0) throw violation('CREDIT acknowledges frames that were never sent.');
    // A full replay queue withheld the credit for sessions: grant it now.
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

  /** Whether a drain has nothing left to wait for. [IC-12.6] */
  #isDone(): boolean {
    // This side must still refuse messages that cross its GOAWAY. [IC-12.4]
    if (this.hasBegun && !this.goaway.isRead) return false;
    if (!this.output.isEmpty || !this.output.sent.isEmpty) return false;
    // Each settlement calls this method. So the method remembers a session that is not done, and looks at the others only
    // when that session is done.
    if (this.#undone !== undefined && !isDone(this.#undone)) return false;
    this.#undone = this.#sessions.all().find((session) => !isDone(session));
    return this.#undone === undefined;
  }

  #writeCredits(writer: FrameWriter): void {
    this.#grants.flush(writer);
    if (!this.#grants.isConnectionDue) return;
    // A peer that acknowledges nothing may open no more sessions: their responses would only pile up.
    const mayRaise = !this.output.sent.isFull && !this.account.isTight;
    const isNews =
      this.#receipts.isOwing ||
      this.receiveWindow.freed > 0 ||
      (mayRaise && this.#sessions.hasFreed);
    // A CREDIT that changes nothing costs the flood budget that the peer keeps for this side, except just after a
    // resume. [IC-8.13]
    if (!this.#grants.takeConnection(isNews)) return;
    // [IC-6.12]
    const received = this.#receipts.acknowledge();
    const opens = this.#sessions.grant(mayRaise);
    this.#grants.writeConnection(writer, opens, this.receiveWindow.grant(), received);
    // Settlements since the last check may have left only incomplete messages in memory.
    this.#makeRoom(true);
  }

  /** The kept frames have become more or fewer. One call for each flush, and none for each frame. */
  #chargeKept(): void {
    const { octets } = this.output.sent;
    const more = octets - this.#kept;
    this.#kept = octets;
    if (more > 0) this.account.take(more);
    else this.account.give(-more);
  }

  /**
   * Makes room if messages that are all incomplete have filled the memory. `hasFreed`: memory may have been freed. An
   * arriving frame frees no memory. So while frames arrive, one look for every 4 KiB is enough.
   */
  #makeRoom(hasFreed: boolean): void {
    if (hasFreed) this.#nextLook = Infinity;
    const { room, freed } = this.receiveWindow;
    const free = room + freed;
    if (free >= this.#roomToGoOn || free > this.#nextLook) return;
    this.#nextLook = free - MIN_FRAGMENT;
    makeRoom(this.receiveWindow, this.#sessions);
  }
}

/** Whether a drain need not wait for the session: no message is unsettled, and this side has queued no message. */
function isDone({ unsettled, sender }: SessionMachine): boolean {
  return unsettled === 0 && sender.isFlushed;
}

/** Whether frames of this type use byte credit: SEND, FRAG, ACCEPT, REJECT, ITEM and CANCEL. */
function isMessageFrame(type: number): boolean {
  return type >= FrameType.SEND && type <= FrameType.CANCEL;
}

/** Whether the frame may make an unfinished message or item larger. */
function isGrowing(type: number): boolean {
  return type === FrameType.SEND || type === FrameType.ITEM || type === FrameType.FRAG;
}
