/**
 * A message of this side, from `send` to its one outcome. Its states are in `outgoing-state.ts`.
 *
 * The first frame gives the message its id. Before that, the message can be given up as if `send` had never been
 * called: its credit goes to others, and the peer never hears of it. A WITHDRAWN message has told its caller; its id
 * stays in use until the peer settles it.
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

export interface PartialSettlement {
  readonly type: number;
  readonly meta: Meta;
  body: GrowingBuffer | undefined;
  arrived: number;
}

export abstract class OutgoingMessage extends OutgoingState implements ItemSource, ItemSink {
  /** The instant at which this side stops waiting; `patience` moves it. */
  deadline: number;
  readonly oneWay: boolean;
  /** Its place in the order of sending, over all connections that it may be sent on. */
  order = ++count;
  /** The payload is a copy of the connection's own: who sent it may go on as soon as it is written. */
  readonly copied: boolean;
  /** The other side has all of it: its payload will not be written again. */
  acknowledged = false;
  /** The settlement, while it arrives in fragments; without a body where nobody wants it any more. */
  partialSettlement: PartialSettlement | undefined;
  /**
   * Milliseconds without progress of its streams after which it is given up; 0 = `deadline` is final. A request
   * that is no stream makes none before its answer has begun.
   */
  patience = 0;
  /** Whether its answer may be a stream; else one is cancelled. */
  takesItems = false;
  /** CANCEL has gone out for it. */
  isCancelled = false;
  /** The items of the request, once it is on its way, where it is a stream. */
  requestItems: ItemSender | undefined;
  /** The items of the answer, once the first has come. */
  responseItems: ItemReceiver | undefined;
  /** Whether its acceptance says that the answer was a stream, which may have had no items. */
  isStreamed = false;
  /** What of `requestItems` had left when it was touched last. */
  #moved = 0;
  /** Told by the session that sends it. */
  sender:
    | {
        onMessageStart(message: OutgoingMessage): void;
        onMessageWritten(message: OutgoingMessage): void;
        onMessageAcknowledged(message: OutgoingMessage): void;
        onMessageUncertain(message: OutgoingMessage): void;
        /** The hook for moves. */
        readonly watcher: MoveEffects;
      }
    | undefined;

  /**
   * `meta`: encoded fields without DEADLINE and TOTAL. `deadline`: the instant at which this side stops
   * waiting; `Infinity` = never. `copied`: nobody else holds the payload.
   */
  constructor(payload: Buffer, meta: Buffer, deadline: number, oneWay: boolean, copied = false) {
    super(FrameType.SEND, oneWay ? Flag.ONEWAY : 0, meta, payload);
    this.deadline = deadline;
    this.oneWay = oneWay;
    this.copied = copied;
    this.partialSettlement = undefined;
    this.requestItems = undefined;
    this.responseItems = undefined;
    this.sender = undefined;
  }

  /**
   * Whether a DEADLINE goes out with it. Not where its own items may move the deadline: the other side would not
   * know. The items of its answer do no harm: they stop the other side's clock.
   */
  get hasDeadline(): boolean {
    const isPatient = this.patience > 0 && (this.flags & Flag.STREAM) !== 0;
    return this.deadline !== Infinity && !isPatient;
  }

  override remaining(now: number): number {
    return this.hasDeadline ? remainingUntil(this.deadline, now) : 0;
  }

  /** Whether its request stream stopped before its end. */
  get isCut(): boolean {
    return this.requestItems?.isCut === true;
  }

  /** Its streams have made progress. */
  touch(now: number): void {
    if (this.patience === 0) return;
    this.deadline = now + this.patience;
    this.#moved = this.requestItems?.moved ?? 0;
  }

  /**
   * Whether it may wait longer although its time is over: something has left since, or what came lies unread,
   * for which the other side is not to blame.
   */
  isPatient(now: number): boolean {
    if (this.patience === 0) return false;
    const hasMoved = this.#moved !== (this.requestItems?.moved ?? 0);
    // [IC-10.10]
    if (!hasMoved && this.responseItems?.hasUnread !== true) return false;
    this.touch(now);
    return true;
  }

  /** The next item of the answer; it is the application's from here on. */
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

  /** The other side settled: `type` is ACCEPT or REJECT. Called once, and never after `onFailure`. */
  abstract onOutcome(type: number, meta: Meta, payload: Buffer): void;

  /** There is no outcome. Called once, and never after `onOutcome`. */
  abstract onFailure(failure: Failure): void;

  /** An item of the answer can be taken. Whole ones may still be taken after `onOutcome`. */
  onItem(): void {
    // Only streams have any.
  }

  /** The next item of the request may be given. */
  onReady(): void {
    // Only streams have any.
  }

  /** The payload of a one-way message is no longer needed. */
  abstract onSent(): void;
}

let count = 0;

/** The one-way messages among the units: only the output knows those, for no settlement is awaited for them. */
export function oneWaysAmong(units: Iterable<Unit>): OutgoingMessage[] {
  const messages = new Set<OutgoingMessage>();
  for (const unit of units) {
    if (unit instanceof OutgoingMessage && unit.oneWay) messages.add(unit);
  }
  return [...messages];
}
