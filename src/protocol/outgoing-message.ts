/**
 * A message of this side, from `send` to its one outcome.
 *
 *     queued ──credit──► sent ──ACCEPT/REJECT──► settled
 *        │                 │                        ▲
 *        │                 └─cancel, deadline─► abandoned (the caller has its answer;
 *        └─cancel, deadline─► settled            the id is still the other side's to settle)
 *
 * The endpoint derives from it, so that a message is one object: no listener, closure or promise of its
 * own in this floor.
 */
import { FrameType, Flag, type GrowingBuffer, type Meta } from '../wire/index.js';
import type { Failure } from './failure.js';
import { Unit } from './unit.js';

export interface PartialSettlement {
  readonly type: number;
  readonly meta: Meta;
  body: GrowingBuffer | undefined;
  arrived: number;
}

export abstract class OutgoingMessage extends Unit {
  state: 'queued' | 'sent' | 'abandoned' | 'settled' = 'queued';
  readonly deadline: number;
  readonly oneWay: boolean;
  /** The settlement, while it arrives in fragments; without a body where nobody wants it any more. */
  reply: PartialSettlement | undefined;
  /** Told by the session that sends it. */
  sender: { onMessageWritten(message: OutgoingMessage): void } | undefined;

  /**
   * `meta`: encoded fields without DEADLINE and TOTAL. `deadline`: the instant at which this side stops
   * waiting; `Infinity` = never.
   */
  constructor(payload: Buffer, meta: Buffer, deadline: number, oneWay: boolean) {
    super(FrameType.SEND, oneWay ? Flag.ONEWAY : 0, 0, 0, meta, payload, undefined);
    this.deadline = deadline;
    this.oneWay = oneWay;
    this.reply = undefined;
    this.sender = undefined;
  }

  override remaining(now: number): number {
    if (this.deadline === Infinity) return 0;
    return Math.max(1, Math.ceil(this.deadline - now));
  }

  onWritten(): void {
    this.sender?.onMessageWritten(this);
  }

  /** The other side settled: `type` is ACCEPT or REJECT. Called once, and never after `onFailure`. */
  abstract onOutcome(type: number, meta: Meta, payload: Buffer): void;

  /** There is no outcome. Called once, and never after `onOutcome`. */
  abstract onFailure(failure: Failure): void;

  /** A one-way message has been handed to the socket. */
  abstract onSent(): void;
}
