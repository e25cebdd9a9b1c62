/** What a session needs of the connection it runs on. The connection implements it; tests may as well. */
import type { Failure } from '../common/failure.js';
import type { ItemContext } from '../stream/item-receiver.js';
import type { Limits } from '../flow/limits.js';
import type { Output } from '../output/output.js';
import type { Unit } from '../output/unit.js';
import type { ReceiveWindow, SendWindow } from '../flow/windows.js';

export interface HalfContext extends ItemContext {
  /** What the other side allows this one. */
  readonly peerLimits: Limits;
  /** The id before that of a session's first message: 0 but in tests of the wrap. */
  readonly lastId: number;
  readonly output: Output;
  readonly sendWindow: SendWindow;
  readonly receiveWindow: ReceiveWindow;
  /** Output waits: have it written before this tick ends. */
  wake(): void;
  /** A deadline stands at `at`. */
  arm(at: number): void;
  /** False while the other side leaves too many settlements unread: no handler starts then. */
  readonly mayDispatch: boolean;
  /** Whether this side takes nothing new any more. */
  readonly drains: boolean;
  /** Whether the other side does not. */
  readonly peerDrains: boolean;
  /** Octets of settlements that wait to be written, more (or less) than before. */
  addUnread(bytes: number): void;
  /** The session's credit should go out with the next output. */
  creditDue(receiver: CreditSource): void;
  /** The connection's credit should. */
  connectionCreditDue(): void;
  /** The sender waits for the connection's byte credit, and is pumped when it comes. */
  waitForBytes(sender: { pump(): void }): void;
  /** Takes a message into the queue of those that wait; the reason where it is full. */
  chargeQueue(message: Unit): Failure | undefined;
  releaseQueue(message: Unit): void;
  /** Octets of the connection's byte credit that were charged are not used after all. */
  giveBack(octets: number): void;
}

export interface CreditSource {
  readonly sessionId: number;
  /** The newest limits, as absolute values. */
  grant(): { messages: number; bytes: number };
}
