/** The services of a connection for the two halves of each session. The connection implements them; tests may too. */
import type { Account } from '../flow/account.js';
import type { Failure } from '../common/failure.js';
import type { BlockedSender } from '../flow/blocked-senders.js';
import type { ItemContext } from '../stream/item-receiver.js';
import type { Limits } from '../flow/limits.js';
import type { Output } from '../output/output.js';
import type { Unit } from '../output/unit.js';
import type { ReceiveWindow, SendWindow } from '../flow/windows.js';

export interface HalfContext extends ItemContext {
  /** The limits that the peer has announced. */
  readonly peerLimits: Limits;
  /** The first message of a session gets the id after this one. Only tests of the wrap use another value than 0. */
  readonly lastId: number;
  /** The memory that the connection holds. */
  readonly account: Account;
  readonly output: Output;
  readonly sendWindow: SendWindow;
  readonly receiveWindow: ReceiveWindow;
  /** A frame waits to be written: write it before this tick ends. */
  wake(): void;
  /** There is a deadline at `at`: call `onTime` then. */
  arm(at: number): void;
  /** False while too many octets of settlements wait for the peer to read them: no handler starts then. */
  readonly mayDispatch: boolean;
  /** Whether this side drains: it takes no new sessions and messages. */
  readonly drains: boolean;
  /** Whether the peer drains. */
  readonly peerDrains: boolean;
  /** Adds `bytes` to the octets of settlements that wait to be written; negative when they are written. */
  addUnread(bytes: number): void;
  /** Write the session's CREDIT with the next output. */
  creditDue(receiver: CreditSource): void;
  /** Write the connection's CREDIT with the next output, if it changes something. */
  connectionCreditDue(): void;
  /** The sender waits for byte credit of the connection. Its `pump` is called when the window has this `room`. */
  waitForBytes(sender: BlockedSender, room: number): void;
  /** Counts a message that waits for credit or for room in the output. Returns a failure if too many wait already. */
  chargeQueue(message: Unit): Failure | undefined;
  /** The message waits no longer: takes it out of the count of `chargeQueue`. */
  releaseQueue(message: Unit): void;
  /** Gives octets back that were charged to the connection's byte credit and are not sent after all. */
  giveBack(octets: number): void;
}

/** The receiving half of a session, as the connection sees it: the source of the session's CREDIT. */
export interface CreditSource {
  readonly sessionId: number;
  /** Whether the CREDIT waits to be written. The connection sets it. */
  isCreditDue: boolean;
  /** Grants all that was freed. Returns the new limits, as absolute values. */
  grant(): { messages: number; bytes: number };
}
