/**
 * A message of this side, from `send` to its one outcome. Its states are in `outgoing-state.ts`.
 *
 * The message gets its id when its first frame is written. Before that, the message can be given up as if `send` had
 * never been called: its credit goes to others, and the peer never knows of it. The caller of a WITHDRAWN message has
 * been told a failure, and the id stays in use until the peer settles the message.
 *
 * The endpoint derives from this class, so that a message is one object: this floor makes no listener, closure or
 * promise for it.
 */
import { FrameType, Flag, type GrowingBuffer, type Meta } from '../../wire/index.js';
import type { Failure } from '../common/failure.js';
import type { ItemReceiver, ItemSink } from '../stream/item-receiver.js';
import type { ItemSender, ItemSource } from '../stream/item-sender.js';
import type { MoveEffects } from '../common/moves.js';
import { remainingUntil, type Unit } from '../output/unit.js';
import { OutgoingState } from './outgoing-state.js';

/** A settlement of which not all fragments have arrived. `arrived`: octets of its payload so far. */
export interface PartialSettlement {
  readonly type: number;
  readonly meta: Meta;
  body: GrowingBuffer | undefined;
  arrived: number;
  /** Octets that the account of the connection counts. */
  charged: number;
}

export abstract class OutgoingMessage extends OutgoingState implements ItemSource, ItemSink {
  /** The instant at which this side stops waiting. With `patience`, progress moves the instant. */
  deadline: number;
  readonly oneWay: boolean;
  /** The place of the message in the order of sending, over all connections. */
  order = ++count;
  /** Whether the message came back from a former connection, and waits for credit a second time. */
  hasReturned = false;
  /** Whether only the connection holds the payload. A one-way message with such a payload is done when it is written. */
  readonly copied: boolean;
  /** Whether the peer has acknowledged all of the message: its payload will not be written again. */
  acknowledged = false;
  /** The settlement, while it arrives in fragments. It has no body if the caller has given up. */
  partialSettlement: PartialSettlement | undefined;
  /**
   * The message is given up after this many milliseconds without progress of its streams; 0 = `deadline` is final. If
   * the request is no stream, the first progress is the first item of the response.
   */
  patience = 0;
  /** Whether the response may be a stream. If it may not, and an item arrives, the message is cancelled. */
  takesItems = false;
  /** Whether CANCEL was written for the message. */
  isCancelled = false;
  /** The items of the request, if it is a stream and its first frame is written. */
  requestItems: ItemSender | undefined;
  /** The items of the response, once the first one has arrived. */
  responseItems: ItemReceiver | undefined;
  /** Whether the settlement says that the response was a stream, which may have had no items. */
  isStreamed = false;
  /** The value of `requestItems.moved` at the last call of `touch`. */
  #moved = 0;
  /** The sending half of the session that sends the message. */
  sender:
    | {
        onMessageStart(message: OutgoingMessage): void;
        onMessageWritten(message: OutgoingMessage): void;
        onMessageAcknowledged(message: OutgoingMessage): void;
        onMessageUncertain(message: OutgoingMessage): void;
        /** Receives the changes of state, for a trace. */
        readonly watcher: MoveEffects;
      }
    | undefined;

  /**
   * `meta`: encoded fields without DEADLINE and TOTAL. `deadline`: the instant at which this side stops
   * waiting; `Infinity` = never. `copied`: only the connection holds the payload.
   */
  constructor(payload: Buffer, meta: Buffer, deadline: number, oneWay: boolean, copied = false) {
    super(FrameType.SEND, oneWay ? Flag.ONEWAY : 0, meta, payload);
    this.deadline = deadline;
    this.oneWay = oneWay;
    this.copied = copied;
  }

  /**
   * Whether the message bears a DEADLINE. A request stream with patience bears none: its items move the deadline of this
   * side, and the peer would not know. Items of the response may move the deadline, because they stop the peer's clock.
   */
  get hasDeadline(): boolean {
    const isPatient = this.patience > 0 && (this.flags & Flag.STREAM) !== 0;
    return this.deadline !== Infinity && !isPatient;
  }

  override remaining(now: number): number {
    return this.hasDeadline ? remainingUntil(this.deadline, now) : 0;
  }

  /** Whether the request is a stream that stopped before its end. */
  get isCut(): boolean {
    return this.requestItems?.isCut === true;
  }

  /** The streams of the message have made progress: moves the deadline. */
  touch(now: number): void {
    if (this.patience === 0) return;
    this.deadline = now + this.patience;
    this.#moved = this.requestItems?.moved ?? 0;
  }

  /**
   * Whether the message may wait longer although its deadline has passed. It may if a part of its request stream has left
   * since the last progress, or if an item has arrived that the application has not read: the delay is then not the peer's.
   */
  isPatient(now: number): boolean {
    if (this.patience === 0) return false;
    const hasMoved = this.#moved !== (this.requestItems?.moved ?? 0);
    // [IC-10.12]
    if (!hasMoved && this.responseItems?.hasUnread !== true) return false;
    this.touch(now);
    return true;
  }

  /** Takes the next item of the response. The payload belongs to the application from then on. */
  takeItem(now: number): Buffer | undefined {
    const item = this.responseItems?.take();
    if (item !== undefined) this.touch(now);
    return item;
  }

  override onStart(_now: number, isWhole: boolean): void {
    this.sender?.onMessageStart(this);
    this.onFirstFrame(isWhole);
  }

  onWritten(): void {
    this.onLastFrame();
    this.sender?.onMessageWritten(this);
  }

  onAcknowledged(): void {
    this.acknowledged = true;
    this.sender?.onMessageAcknowledged(this);
  }

  /** Ends the message without an outcome, and tells its caller why. */
  fail(failure: Failure): void {
    this.end(failure.kind);
    this.onFailure(failure);
  }

  protected get watcher(): MoveEffects | undefined {
    return this.sender?.watcher;
  }

  /** The peer has settled the message: `type` is ACCEPT or REJECT. Called once, and never after `onFailure`. */
  abstract onOutcome(type: number, meta: Meta, payload: Buffer): void;

  /** The message has no outcome. Called once, and never after `onOutcome`. */
  abstract onFailure(failure: Failure): void;

  /** An item of the response can be taken. Whole items may still be taken after `onOutcome`. */
  onItem(): void {
    // Only a message whose response is a stream needs this.
  }

  /** The next item of the request may be given. */
  onReady(): void {
    // Only a request stream needs this.
  }

  /** The payload of a one-way message is no longer needed. */
  abstract onSent(): void;
}

let count = 0;

/** The one-way messages among the units. Only the output knows them, because they have no settlement. */
export function oneWaysAmong(units: Iterable<Unit>): OutgoingMessage[] {
  const messages = new Set<OutgoingMessage>();
  for (const unit of units) {
    if (unit instanceof OutgoingMessage && unit.oneWay) messages.add(unit);
  }
  return [...messages];
}
