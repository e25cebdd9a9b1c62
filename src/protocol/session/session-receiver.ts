/**
 * The receiving half of a session. It keeps the peer's messages, from their first frame to their settlement.
 * A handler starts at most once for each message, and handlers start in the order of the ids. Every message
 * that is not one-way is settled exactly once. A message keeps its place until its settlement is written and its
 * handler has ended: so a peer that cancels its messages, or gives them short deadlines, starts no more handlers
 * at once than any other.
 */
import {
  Code,
  encodeMeta,
  Flag,
  FrameType,
  type FrameView,
  GrowingBuffer,
  type Meta,
  nextId,
  TOTAL_LENGTH,
  EMPTY,
} from '../../wire/index.js';
import { ENTRY_PRICE, MESSAGE_PRICE, STREAM_PRICE } from '../flow/account.js';
import { IncomingMessage } from '../message/incoming-message.js';
import { MessageTable } from '../message/message-table.js';
import { keepPayload, MAX_PINNED, pinnedBy } from '../flow/payload.js';
import type { MoveEffects } from '../common/moves.js';
import { Queue } from '../common/queue.js';
import { ReceiverStreams, type ReceiverStreamsContext } from './receiver-streams.js';
import { beyondCredit, violation, violationOf } from '../common/violation.js';
import type { CreditSource, HalfContext } from './half-context.js';
import type { SessionSender } from './session-sender.js';
import { isAtMost, MessageWindow, ReceiveWindow, type SendWindow } from '../flow/windows.js';

/** How the receiving half tells the session what happens to its messages. */
export interface ReceiverEffects {
  /** Start the handler. */
  onMessage(message: IncomingMessage): void;
  /** A message was neither accepted nor rejected in time. */
  onMessageTimeout(message: IncomingMessage): void;
  /** Fewer messages are unsettled than before. */
  progressed(): void;
}

export class SessionReceiver implements CreditSource, ReceiverStreamsContext {
  /** 0 until the session has its number. No frame arrives before that. */
  sessionId = 0;
  isCreditDue = false;
  readonly window: ReceiveWindow;
  readonly streams: ReceiverStreams;
  readonly #context: HalfContext;
  readonly #sender: SessionSender;
  readonly #effects: ReceiverEffects;
  readonly #messages: MessageWindow;
  readonly #received = new MessageTable<IncomingMessage>();
  /** Whole messages that may not start yet. */
  readonly #waiting = new Queue<IncomingMessage>();
  /** The message that arrives in fragments: a session has at most one. */
  #partial: IncomingMessage | undefined;
  /** The message that was settled before its last frame arrived: its late fragments are ignored. */
  #cut: IncomingMessage | undefined;
  #lastId: number;
  #accepting = false;
  /** Number of handlers that have not ended, including those of settled messages. */
  #running = 0;
  /** Number of messages for which no CANCEL came. For each of them, one CANCEL may cross the settlement free of charge. */
  #cancellable = 0;
  /** Whether the session is over, and therefore grants no credit any more. */
  #isOver = false;
  /** Called when the session is over and its last handler has ended. */
  #onVacant: (() => void) | undefined;
  #nextDeadline = Infinity;

  /** `sender`: the half of the session that writes the settlements. */
  constructor(context: HalfContext, sender: SessionSender, effects: ReceiverEffects) {
    this.window = new ReceiveWindow(context.limits.sessionBytes, context.limits.maxFrame);
    this.#context = context;
    this.#sender = sender;
    this.streams = new ReceiverStreams(context, this, sender.lane);
    this.#effects = effects;
    sender.streams.holder = this;
    this.#lastId = context.lastId;
    this.#messages = new MessageWindow(context.limits.messages, context.lastId);
  }

  /** Receives the changes of state, for a trace. */
  get watcher(): MoveEffects {
    return this.#context;
  }

  /** The byte credit that settlements use. */
  get settlementWindow(): SendWindow {
    return this.#sender.window;
  }

  /** Number of messages of the peer whose settlement is not written. */
  get unsettled(): number {
    return this.#received.size;
  }

  get lastId(): number {
    return this.#lastId;
  }

  /** The id of the message whose last FRAG is still to come, even if it is settled; 0 = there is none. */
  get unfinishedId(): number {
    return this.#partial?.id ?? this.#cut?.id ?? 0;
  }

  /** Returns a message of the peer whose settlement is not written. */
  find(id: number): IncomingMessage | undefined {
    return this.#received.get(id);
  }

  /** Whether a request, or its stream of items, has begun, is not complete, and is neither cancelled nor settled. */
  get hasOpenRequest(): boolean {
    if (this.#partial !== undefined) return true;
    return this.#received.values().some(({ requestItems }) => requestItems?.isOpen === true);
  }

  /** Whether no message has ever arrived. */
  get isUnused(): boolean {
    return this.#lastId === this.#context.lastId;
  }

  grant(): { messages: number; bytes: number } {
    const { isTight } = this.#context.account;
    return { messages: this.#messages.grant(!isTight), bytes: this.window.grant() };
  }

  /** Grants the messages that `grant` withheld while memory was short. */
  onEased(): void {
    if (this.#messages.isDue && !this.#isOver) this.#context.creditDue(this);
  }

  /** The session is accepted: handlers may start. */
  start(now: number): void {
    this.#accepting = true;
    this.pump(now);
  }

  /** Starts handlers of waiting messages, until no further one may start. */
  pump(now: number): void {
    // [IC-6.34]
    while (this.#accepting && this.#context.mayDispatch) {
      const message = this.#waiting.shift();
      if (message === undefined) return;
      if (message.state === 'WAITING') this.#dispatch(message, now);
    }
  }

  /** SEND. */
  onSend(frame: FrameView, now: number): void {
    const { id } = frame;
    // [IC-4.6]
    if (id !== nextId(this.#lastId)) {
      throw violationOf('Message', id, ` follows message ${this.#lastId}; ids are consecutive.`);
    }
    if (!this.#messages.allows(id)) {
      throw beyondCredit('Message', id, " is beyond the session's credit.");
    }
    // [IC-6.30]
    if (this.#partial !== undefined) {
      throw violationOf('Message', id, ` begins before message ${this.#partial.id} is complete.`);
    }
    const meta = frame.meta();
    const oneWay = frame.has(Flag.ONEWAY);
    // [IC-10.2]
    const deadline = meta.deadline === undefined ? Infinity : now + meta.deadline;
    const message = new IncomingMessage(this, frame, meta, deadline);
    this.#lastId = id;
    this.#cut?.onRestOver('the next SEND');
    this.#cut = undefined;
    const { account } = this.#context;
    const { isFull } = account;
    this.#charge(message, priceOf(meta) + (frame.has(Flag.STREAM) ? STREAM_PRICE : 0) + frame.size);
    if (this.#messages.take(id) && !account.isTight) this.#context.creditDue(this);
    this.#received.add(message);
    this.#cancellable += 1;
    if (frame.has(Flag.STREAM)) this.streams.open(message);
    if (deadline < this.#nextDeadline) {
      this.#nextDeadline = deadline;
      this.#context.arm(deadline);
    }
    const more = frame.has(Flag.MORE);
    // [IC-12.1] [IC-12.2]
    // The SEND crossed our GOAWAY. A one-way message is still taken: its sender could not be told of a refusal.
    if ((isFull || this.#context.drains) && !oneWay) {
      if (more) this.#partial = message;
      this.giveBack(frame.size);
      return this.#refuse(message, this.#context.drains ? SHUTTING_DOWN : NO_MEMORY);
    }
    const { maxMessage } = this.#context.limits;
    if (!more) {
      const size = frame.payloadSize;
      checkTotal(message, size);
      // [IC-6.61]
      if (size > maxMessage) {
        this.giveBack(frame.size);
        return this.#refuseTooLarge(message, size);
      }
      message.held = message.heldInSession = frame.size;
      const mayPin = this.#context.pinned <= MAX_PINNED;
      message.data = keepPayload(frame, mayPin);
      message.pinned = pinnedBy(frame, mayPin);
      this.#context.pinned += message.pinned;
      this.#complete(message, now);
    } else {
      this.#partial = message;
      if (message.total > maxMessage) {
        this.giveBack(frame.size);
        return this.#refuseTooLarge(message, message.total);
      }
      message.body = new GrowingBuffer(message.total < 0 ? maxMessage : message.total);
      this.#append(message, frame);
    }
  }

  /** FRAG without REPLY: continues a request. */
  onFragment(frame: FrameView, now: number): void {
    const { id } = frame;
    const more = frame.has(Flag.MORE);
    const message = this.#partial;
    if (message === undefined || message.id !== id) {
      // [IC-6.37]
      if (this.#cut?.id !== id) {
        throw violationOf('A fragment continues message', id, ', which is not open.');
      }
      if (!more) {
        this.#cut.onRestOver('last FRAG');
        this.#cut = undefined;
      }
      return this.giveBack(frame.size);
    }
    if (!this.#append(message, frame) || more) return;
    const { body } = message;
    checkTotal(message, body?.length ?? 0);
    this.#partial = undefined;
    message.data = body?.take() ?? EMPTY;
    message.body = undefined;
    message.onWhole();
    this.#complete(message, now);
  }

  /** This side does not keep these octets of a frame: returns them to both credits. [IC-8.11] */
  giveBack(octets: number): void {
    this.free(octets, octets);
  }

  /** Returns `octets` to the connection's credit, and `inSession` octets to the session's credit. */
  free(octets: number, inSession: number): void {
    if (octets > 0 && this.#context.receiveWindow.free(octets)) this.#context.connectionCreditDue();
    this.#freeInSession(inSession);
  }

  /** CANCEL. Returns false if it cannot have crossed a settlement: the frame is useless, and costs the flood budget. */
  onCancel(id: number): boolean {
    const crossed = this.#cancellable > 0;
    if (crossed) this.#cancellable -= 1;
    const message = this.#received.get(id);
    if (message === undefined) {
      if (!isAtMost(id, this.#lastId))
        throw violationOf('Message', id, ' is cancelled, and never arrived.');
      return crossed;
    }
    if (message.state === 'RUNNING') {
      this.streams.stop(message);
      // [IC-10.7]
      return message.abort('cancelled');
    }
    if (message.isSettled) return crossed;
    this.#refuse(message, { code: Code.CANCELLED, text: 'Cancelled before it was started.' });
    return true;
  }

  /**
   * The handler has ended, and settles its message with ACCEPT or REJECT. Returns false, and writes nothing, if
   * the message is settled already: for example, because its deadline has passed or its session is over.
   */
  settle(message: IncomingMessage, type: number, meta: Buffer, payload: Buffer): boolean {
    if (message.hasHandler) {
      message.onHandlerEnded();
      this.#running -= 1;
      // If the message is not settled yet, `#settle` does this.
      if (message.isSettled) this.#letGo(message);
      if (message.isReleased) this.#vacate(message);
    }
    return this.#settle(message, type, meta, payload);
  }

  #settle(message: IncomingMessage, type: number, meta: Buffer, payload: Buffer): boolean {
    // [IC-6.32]
    if (message.isSettled) return false;
    const isPartial = message === this.#partial;
    if (isPartial) {
      this.#partial = undefined;
      this.#cut = message;
    }
    message.onSettled(isPartial, type === FrameType.ACCEPT ? 'ACCEPT' : 'REJECT');
    message.data = EMPTY;
    if (!message.hasHandler) this.#letGo(message);
    this.streams.stop(message);
    // [IC-6.33]
    if (message.oneWay) {
      this.#release(message);
      return true;
    }
    const { maxMessage, maxMeta } = this.#context.peerLimits;
    // [IC-6.41]
    const fits = payload.length <= maxMessage && meta.length <= maxMeta - TOTAL_LENGTH;
    message.type = fits ? type : FrameType.REJECT;
    // [IC-6.44]
    const endsStream = message.isStreamed && message.type === FrameType.ACCEPT;
    message.flags = endsStream ? Flag.REPLY | Flag.STREAM : Flag.REPLY;
    message.meta = fits ? meta : REPLY_TOO_LARGE_META;
    message.payload = fits ? payload : EMPTY;
    this.#context.addUnread(message.payload.length + MESSAGE_PRICE);
    // A half-written item must end first: otherwise the peer could not tell its FRAGs from those of the settlement.
    if (message.responseItems === undefined) this.#sender.settle(message);
    else message.responseItems.whenClear(() => this.#sender.settle(message));
    return true;
  }

  onSettlementWritten(message: IncomingMessage): void {
    // The session ended while the settlement was in the output: `fail` has released the message.
    if (message.isReleased) return;
    this.#context.addUnread(-message.payload.length - MESSAGE_PRICE);
    this.#release(message);
  }

  /** Grants the item credit of each request again: the last CREDIT for it may be lost with the former socket. */
  announceItems(): void {
    for (const { requestItems } of this.#received.values()) requestItems?.announce();
  }

  /** Settles each message that has passed its deadline. Returns the next deadline. */
  onTime(now: number): number {
    if (now < this.#nextDeadline) return this.#nextDeadline;
    this.#nextDeadline = Infinity;
    for (const message of this.#received.values()) {
      if (message.isSettled) continue;
      // [IC-10.3]
      if (message.deadline <= now) this.#expire(message);
      else this.#nextDeadline = Math.min(this.#nextDeadline, message.deadline);
    }
    return this.#nextDeadline;
  }

  /** The session is over: from now on, freed octets go back only to the connection's credit. */
  close(): void {
    this.#isOver = true;
  }

  /**
   * The session is over: tells the handlers, and settles no message any more. `onVacant` is called when the last
   * handler has ended, perhaps at once.
   */
  fail(onVacant: () => void): void {
    const messages = this.#received.values();
    this.#received.clear();
    this.#waiting.drain();
    this.#partial = this.#cut = undefined;
    this.#accepting = false;
    for (const message of messages) {
      const isRunning = message.state === 'RUNNING';
      if (message.isSettled && !message.isReleased) {
        this.#context.output.remove(message);
        this.#context.addUnread(-message.payload.length - MESSAGE_PRICE);
      }
      message.onGone();
      message.body = undefined;
      this.streams.cut(message);
      if (!message.hasHandler) this.#freeHeld(message);
      if (isRunning) message.abort('lost');
    }
    this.streams.close();
    this.#onVacant = onVacant;
    if (this.#running === 0) onVacant();
  }

  /** Messages that have arrived in part, or that have an item that arrived in part. `makeRoom` may refuse them. */
  unfinished(): readonly IncomingMessage[] {
    const messages = this.streams.unfinished();
    if (this.#partial !== undefined) messages.push(this.#partial);
    return messages;
  }

  /** Rejects an unfinished message. If its handler has not started, the peer may send the message again. */
  refuseUnfinished(message: IncomingMessage): void {
    this.#fail(message, Code.BUSY, NO_MEMORY.text);
  }

  /** Settles a message that has an item larger than this side takes. */
  refuseItem(message: IncomingMessage): void {
    const limit = this.#context.limits.maxMessage;
    this.#fail(message, Code.TOO_LARGE, `An item of the message exceeds maxMessageSize ${limit}.`);
  }

  /** Settles a message whose response has an item that the peer does not take. */
  refuseReply(message: IncomingMessage): void {
    this.#settle(message, FrameType.REJECT, REPLY_TOO_LARGE_META, EMPTY);
  }

  /** Settles a message that this side cannot receive. A code of class 04 means: no handler started. [IC-6.42] [IC-6.57] */
  #fail(message: IncomingMessage, code: number, text: string): void {
    if (message.state !== 'RUNNING') return this.#refuse(message, { code, text });
    const meta = encodeMeta({ code: Code.FAILED, text });
    this.#settle(message, FrameType.REJECT, meta, EMPTY);
    message.abort('too-large');
  }

  #complete(message: IncomingMessage, now: number): void {
    if (this.#accepting && this.#waiting.size === 0 && this.#context.mayDispatch) {
      this.#dispatch(message, now);
    } else {
      this.#waiting.push(message);
    }
  }

  #dispatch(message: IncomingMessage, now: number): void {
    if (message.deadline <= now) return this.#expire(message);
    message.onStarted();
    this.#running += 1;
    this.#effects.onMessage(message);
  }

  #expire(message: IncomingMessage): void {
    if (message.state !== 'RUNNING') {
      this.#refuse(message, {
        code: Code.EXPIRED,
        text: 'The time of the message was over before its handler started.',
      });
      if (message.oneWay) this.#effects.onMessageTimeout(message);
      return;
    }
    const meta = message.isKeptForLater ? EXPIRED_META : DEADLINE_META;
    this.#settle(message, FrameType.REJECT, meta, EMPTY);
    message.abort('timeout');
    this.#effects.onMessageTimeout(message);
  }

  /** Settles a message whose handler has not started. */
  #refuse(message: IncomingMessage, meta: Meta): void {
    message.body = undefined;
    this.#settle(message, FrameType.REJECT, encodeMeta(meta), EMPTY);
  }

  #refuseTooLarge(message: IncomingMessage, size: number): void {
    const limit = this.#context.limits.maxMessage;
    this.#refuse(message, {
      code: Code.TOO_LARGE,
      text: `A message of ${size} bytes exceeds maxMessageSize ${limit}.`,
    });
  }

  /** Adds a fragment. Returns false if the message is now too large, and was refused. */
  #append(message: IncomingMessage, frame: FrameView): boolean {
    const { body, total } = message;
    const size = (body?.length ?? 0) + frame.payloadSize;
    // [IC-8.10]
    message.held += frame.size;
    if (frame.type === FrameType.FRAG) this.#charge(message, frame.size);
    this.#freeInSession(frame.size);
    if (total >= 0 && size > total) {
      throw violation(`Message ${message.id} has more than the ${total} bytes it announced.`);
    }
    // [IC-9.5]
    if (size > this.#context.limits.maxMessage) {
      this.#refuseTooLarge(message, size);
      return false;
    }
    body?.append(frame.bytes, frame.payloadStart, frame.end);
    return true;
  }

  #release(message: IncomingMessage): void {
    message.onReleased();
    this.#received.delete(message.id);
    this.streams.retire(message);
    if (!message.hasHandler) this.#vacate(message);
    this.#effects.progressed();
  }

  /** The settlement is written and the handler has ended: another message may take the place. [IC-8.9] [IC-15.2] */
  #vacate(message: IncomingMessage): void {
    this.#freeHeld(message);
    if (this.#onVacant === undefined) {
      // [IC-8.8]
      if (this.#messages.free() && !this.#context.account.isTight) this.#context.creditDue(this);
    } else if (this.#running === 0) {
      this.#onVacant();
    }
  }

  #charge(message: IncomingMessage, octets: number): void {
    message.charged += octets;
    this.#context.account.take(octets);
  }

  /**
   * No handler needs the request any more. The settlement is kept until the peer has acknowledged it, and must not keep
   * the request in memory as long as that.
   */
  #letGo(message: IncomingMessage): void {
    this.#context.account.give(message.charged);
    message.charged = 0;
    // The listener of timeouts is told of a one-way message after its end.
    if (!message.oneWay) message.metadata = undefined;
    message.abortListener = undefined;
  }

  #freeHeld(message: IncomingMessage): void {
    if (message.charged > 0) this.#letGo(message);
    this.free(message.held, message.heldInSession);
    this.#context.pinned -= message.pinned;
    message.held = message.heldInSession = message.pinned = 0;
  }

  #freeInSession(octets: number): void {
    if (octets > 0 && !this.#isOver && this.window.free(octets)) this.#context.creditDue(this);
  }
}

function checkTotal({ id, total }: IncomingMessage, size: number): void {
  // [IC-9.4]
  if (total >= 0 && size !== total)
    throw violation(`Message ${id} has ${size} bytes and announced ${total}.`);
}

/** Octets that a message takes beside the octets of its frames. */
function priceOf({ metadata }: Meta): number {
  return MESSAGE_PRICE + (metadata === undefined ? 0 : metadata.length * ENTRY_PRICE);
}

const SHUTTING_DOWN = {
  code: Code.MESSAGE_DRAINING,
  text: 'This side is shutting down and takes nothing new.',
} as const;
const NO_MEMORY = {
  code: Code.BUSY,
  text: 'There is no memory to receive the message now.',
} as const;

const REPLY_TOO_LARGE_META = encodeMeta({
  code: Code.REPLY_TOO_LARGE,
  text: 'The response is larger than the sender of the message takes.',
});

const EXPIRED_META = encodeMeta({
  code: Code.EXPIRED,
  text: 'Its time was over before its turn came.',
});

const DEADLINE_META = encodeMeta({
  code: Code.DEADLINE,
  text: 'The handler neither accepted nor rejected the message in time.',
});
