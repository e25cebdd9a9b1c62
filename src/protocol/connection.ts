/**
 * What two processes share, whatever socket carries it: sessions, their credit, and what waits to be
 * written. A socket machine feeds it frames and takes its output. Nothing here ends with a socket by
 * itself, which is what a resume needs: sequenced frames are counted in both directions already, and
 * the connection's CREDIT acknowledges them.
 */
import {
  Code,
  creditPayload,
  decodeFrame,
  Flag,
  FrameType,
  isSequenced,
  MAX_ID,
  type Meta,
  ProtocolError,
  readCredit,
} from '../wire/index.js';
import type { ConnectionEffects } from './connection-effects.js';
import { type Failure, withExecuted } from './failure.js';
import { FloodBudget } from './flood-budget.js';
import type { FrameWriter } from './frame-writer.js';
import { connectionReserveOf, type Limits } from './limits.js';
import { Output } from './output.js';
import { relieve } from './relieve.js';
import { type QueueLimits, SendQueueBudget } from './send-queue-budget.js';
import { SessionMachine, type SessionOwner } from './session.js';
import { SessionTable } from './session-table.js';
import type { CreditSource } from './session-host.js';
import type { ItemReceiver } from './item-receiver.js';
import { EMPTY, type Unit } from './unit.js';
import { ReceiveWindow, SendWindow } from './windows.js';

export interface ConnectionSettings {
  readonly role: 'dialer' | 'listener';
  /** What this side allows the other. */
  readonly limits: Limits;
  /** What the other side allows this one. */
  readonly peer: Limits;
  readonly queue: QueueLimits;
  readonly lastId: number;
}

export class ConnectionMachine implements SessionOwner {
  readonly limits: Limits;
  readonly peer: Limits;
  readonly lastId: number;
  readonly output = new Output();
  readonly sendWindow: SendWindow;
  readonly receiveWindow: ReceiveWindow;
  pinned = 0;
  readonly #effects: ConnectionEffects;
  readonly #sessions: SessionTable;
  readonly #queue: SendQueueBudget;
  readonly #flood: FloodBudget;
  readonly #blocked = new Set<{ pump(): void }>();
  readonly #creditDue = new Set<CreditSource>();
  readonly #itemCreditDue = new Set<ItemReceiver>();
  #connectionCreditDue = false;
  /** Octets of settlements that the other side has not read yet. */
  #owed = 0;
  #congested = false;
  /** Why the connection is over. */
  #failure: Failure | undefined;
  /** Sequenced frames of the other side, modulo 2^31. */
  #received = 0;
  /** Sequenced frames of this side that the other side has acknowledged, modulo 2^31. */
  #acknowledged = 0;

  constructor(effects: ConnectionEffects, settings: ConnectionSettings, now: number) {
    this.limits = settings.limits;
    this.peer = settings.peer;
    this.lastId = settings.lastId;
    const { limits, peer } = settings;
    this.sendWindow = new SendWindow(peer.connectionBytes, connectionReserveOf(peer));
    this.receiveWindow = new ReceiveWindow(limits.connectionBytes, limits.maxFrame);
    this.output.setLimits(settings.peer.maxFrame, settings.peer.connectionBytes);
    this.#effects = effects;
    this.#sessions = new SessionTable(
      settings.role,
      settings.peer.sessions,
      settings.limits.sessions,
    );
    this.#queue = new SendQueueBudget(settings.queue);
    this.#flood = new FloodBudget(now);
  }

  /** Opens a session; it is numbered as soon as the other side allows one more. */
  openSession(
    name: string,
    meta: Meta,
    data: Buffer,
    deadline: number,
    now: number,
  ): SessionMachine {
    const session = SessionMachine.opening(this, name, meta, data, deadline);
    if (this.#failure === undefined) this.#sessions.addOwn(session, now);
    else session.fail(this.#failure);
    return session;
  }

  /** One frame of the other side: CREDIT, or of type 0x10 and above. */
  onFrame(
    type: number,
    flags: number,
    sessionId: number,
    id: number,
    bytes: Buffer,
    start: number,
    metaLength: number,
    end: number,
    now: number,
  ): void {
    if (isSequenced(type)) this.#received = (this.#received + 1) & MAX_ID;
    if (type >= FrameType.SEND && type <= FrameType.CANCEL) {
      const octets = end - start;
      if (this.receiveWindow.take(octets, 'connection')) this.connectionCreditDue();
      const session = this.#sessions.get(sessionId);
      if (session?.receiver === undefined) {
        // It crossed our END: nobody holds its octets.
        this.#sessions.checkKnown(sessionId, type);
        if (this.receiveWindow.free(octets)) this.connectionCreditDue();
        return;
      }
      if (session.receiver.window.take(octets, 'session')) this.creditDue(session.receiver);
      this.#onMessageFrame(session, type, flags, id, bytes, start, metaLength, end, now);
    } else if (type === FrameType.CREDIT) {
      this.#onCredit(flags, sessionId, id, bytes, start, end, now);
    } else {
      this.#onSessionFrame(type, flags, sessionId, id, bytes, start, metaLength, end, now);
    }
  }

  /** Writes what waits, until `room` octets are written or nothing has credit. */
  flush(writer: FrameWriter, room: number, now: number): void {
    this.output.flushSmall(writer, room, now);
    this.#writeCredits(writer);
    this.output.flushLarge(writer, room, now, this.sendWindow);
    if (this.#congested && this.#owed <= LARGEST_DEBT / 2) {
      this.#congested = false;
      for (const session of this.#sessions.all()) session.receiver?.pump(now);
    }
  }

  /** Ends what has passed its deadline. Returns the next deadline. */
  onTime(now: number): number {
    let next = Infinity;
    for (const session of this.#sessions.all()) next = Math.min(next, session.onTime(now));
    return next;
  }

  /**
   * The connection is over: everything still pending fails. `leaving`: what is ready is still written;
   * else what was not written never will be, and so has not run.
   */
  fail(failure: Failure, leaving: boolean): void {
    this.#failure = failure;
    const unsent = this.output.unsentOneWays();
    if (!leaving) this.output.clear();
    for (const session of this.#sessions.all()) session.fail(failure);
    for (const message of unsent) {
      if (message.state !== 'sent') continue;
      message.state = 'settled';
      message.onFailure(leaving ? failure : withExecuted(failure, 'no'));
    }
    this.#creditDue.clear();
    this.#itemCreditDue.clear();
    this.#connectionCreditDue = false;
    this.#blocked.clear();
  }

  // What sessions ask for.

  get mayDispatch(): boolean {
    return !this.#congested;
  }

  owe(bytes: number): void {
    this.#owed += bytes;
    if (this.#owed > LARGEST_DEBT) this.#congested = true;
  }

  wake(): void {
    this.#effects.wake();
  }

  arm(at: number): void {
    this.#effects.arm(at);
  }

  /** Pays for a useless frame. @throws ProtocolError CALM when there are too many. */
  flood(now: number): void {
    if (!this.#flood.spend(now)) {
      throw new ProtocolError(Code.CALM, 'Too many frames that change nothing.');
    }
  }

  creditDue(receiver: CreditSource): void {
    this.#creditDue.add(receiver);
    this.wake();
  }

  itemCreditDue(items: ItemReceiver): void {
    this.#itemCreditDue.add(items);
    this.wake();
  }

  itemCreditOver(items: ItemReceiver): void {
    this.#itemCreditDue.delete(items);
  }

  connectionCreditDue(): void {
    this.#connectionCreditDue = true;
    this.wake();
  }

  blocked(sender: { pump(): void }): void {
    this.#blocked.add(sender);
  }

  enqueue(message: Unit): Failure | undefined {
    return this.#queue.take(message.payload.length);
  }

  dequeue(message: Unit): void {
    this.#queue.give(message.payload.length);
  }

  forget(session: SessionMachine): void {
    if (session.receiver !== undefined) this.#creditDue.delete(session.receiver);
    this.#blocked.delete(session.sender);
    this.#sessions.delete(session);
  }

  vacate(session: SessionMachine): void {
    if (this.#sessions.vacate(session)) this.connectionCreditDue();
  }

  #onMessageFrame(
    session: SessionMachine,
    type: number,
    flags: number,
    id: number,
    bytes: Buffer,
    start: number,
    metaLength: number,
    end: number,
    now: number,
  ): void {
    const receiver = session.receiver;
    if (receiver === undefined) return;
    if (type === FrameType.SEND) {
      session.checkOpen('SEND');
      receiver.onSend(flags, id, bytes, start, metaLength, end, now);
      return this.#relieve();
    }
    if (type === FrameType.ITEM) {
      if (!session.onItem(flags, id, bytes, start, metaLength, end, now)) this.flood(now);
      return this.#relieve();
    }
    if (type === FrameType.FRAG && session.onItemFragment(flags, id, bytes, start, end, now)) {
      return this.#relieve();
    }
    if (type === FrameType.FRAG && (flags & Flag.REPLY) === 0) {
      receiver.onFragment(flags, id, bytes, start, end, now);
      return this.#relieve();
    }
    if (type === FrameType.ACCEPT) session.checkAnswered('ACCEPT');
    // What answers this side's own messages is held by nobody but the caller who waits for it.
    receiver.giveBack(end - start);
    if (type === FrameType.FRAG) {
      session.sender.onFragment(flags, id, bytes, start, end);
    } else if (type === FrameType.CANCEL) {
      if (!receiver.onCancel(id)) this.flood(now);
    } else if (!session.sender.onSettlement(type, flags, id, bytes, start, metaLength, end)) {
      this.flood(now);
    }
  }

  #onSessionFrame(
    type: number,
    flags: number,
    sessionId: number,
    id: number,
    bytes: Buffer,
    start: number,
    metaLength: number,
    end: number,
    now: number,
  ): void {
    const { meta, payload } = decodeFrame(
      type,
      flags,
      sessionId,
      id,
      bytes,
      start,
      metaLength,
      end,
    );
    const data = Buffer.from(payload);
    if (type === FrameType.OPEN) {
      this.#sessions.checkOpen(sessionId);
      const deadline = meta.deadline === undefined ? Infinity : now + meta.deadline;
      const opened = SessionMachine.pending(this, sessionId, meta, data, deadline);
      if (this.#sessions.addTheirs(opened)) this.connectionCreditDue();
      return this.#effects.session(opened);
    }
    const session = this.#sessions.get(sessionId);
    if (session === undefined) return this.#sessions.checkKnown(sessionId, type);
    // Opened and ended for nothing: no more of it than of other useless frames.
    if (type === FrameType.END && session.isUnused) this.flood(now);
    if (type === FrameType.OPENED) session.onOpened(meta, data, now);
    else session.onEnd(meta, data);
  }

  #onCredit(
    flags: number,
    sessionId: number,
    id: number,
    bytes: Buffer,
    start: number,
    end: number,
    now: number,
  ): void {
    const { count, bytes: octets } = readCredit(bytes, start, end);
    if (sessionId !== 0) {
      const session = this.#sessions.get(sessionId);
      if (session === undefined) return this.#sessions.checkKnown(sessionId, FrameType.CREDIT);
      const isOfUse =
        id === 0
          ? session.sender.onCredit(count, octets)
          : session.onItemCredit(flags, id, count, now);
      if (!isOfUse) this.flood(now);
      return;
    }
    const acknowledged = this.#acknowledge(id);
    const moreSessions = this.#sessions.raise(count, now);
    const moreBytes = this.sendWindow.raise(octets);
    if (moreBytes) {
      const blocked = [...this.#blocked];
      this.#blocked.clear();
      for (const sender of blocked) sender.pump();
      this.wake();
    }
    if (!acknowledged && !moreSessions && !moreBytes) this.flood(now);
  }

  /** The other side has taken in so many sequenced frames. False where that is no news. */
  #acknowledge(count: number): boolean {
    const news = (count - this.#acknowledged) & MAX_ID;
    const outstanding = (this.output.framesWritten - this.#acknowledged) & MAX_ID;
    if (news > outstanding) {
      throw new ProtocolError(Code.PROTOCOL, 'CREDIT acknowledges frames that were never sent.');
    }
    this.#acknowledged = count;
    return news > 0;
  }

  #writeCredits(writer: FrameWriter): void {
    for (const receiver of this.#creditDue) {
      const { messages, bytes } = receiver.grant();
      const payload = creditPayload(messages, bytes);
      writer.frame(
        FrameType.CREDIT,
        0,
        receiver.sessionId,
        0,
        0,
        0,
        EMPTY,
        payload,
        0,
        payload.length,
      );
    }
    this.#creditDue.clear();
    if (this.#itemCreditDue.size > 0) this.#writeItemCredits(writer);
    if (!this.#connectionCreditDue) return;
    this.#connectionCreditDue = false;
    const payload = creditPayload(this.#sessions.grant(), this.receiveWindow.grant());
    writer.frame(FrameType.CREDIT, 0, 0, this.#received, 0, 0, EMPTY, payload, 0, payload.length);
    // What was settled meanwhile may have been all that was not stuck.
    this.#relieve();
  }

  #writeItemCredits(writer: FrameWriter): void {
    const { CREDIT } = FrameType;
    for (const items of this.#itemCreditDue) {
      const payload = creditPayload(items.grant());
      const { flags, sessionId, id } = items;
      writer.frame(CREDIT, flags, sessionId, id, 0, 0, EMPTY, payload, 0, payload.length);
    }
    this.#itemCreditDue.clear();
  }

  /** Makes room where messages that are all incomplete have filled the memory. */
  #relieve(): void {
    relieve(this.receiveWindow, this.limits, this.#sessions);
  }
}

/** Beyond so many octets of unread settlements no further handler starts. */
const LARGEST_DEBT = 16 * 1024 * 1024;
