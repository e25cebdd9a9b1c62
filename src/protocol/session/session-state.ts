/**
 * The state of one session: the tables of PROTOCOL.md §7.2 and §7.3, with one method for each event.
 * [IC-7.2] [IC-7.3]
 *
 *     opener:    OPENING ──OPENED──► OPEN ──END(0) of one side──► ENDING ──both END(0), all settled──► CLOSED
 *                   └──the application ends──► UNANSWERED ──OPENED──▲
 *     acceptor:  PENDING ──accepted──► OPEN
 *                   └──accepted after END(0)──► ENDING
 *
 * A refusal, a timeout, an abort, and the end of the connection lead from every state to CLOSED. A session can be OPENING
 * or UNANSWERED before OPEN is written. If such a session is given up, no frame is written. The row "the application
 * aborts" has no method, because this library never aborts a session that it has accepted.
 */
import { Code, quote } from '../../wire/index.js';
import { type MoveEffects, noSuchMove } from '../common/moves.js';
import { violation } from '../common/violation.js';

type StateName = 'OPENING' | 'UNANSWERED' | 'PENDING' | 'OPEN' | 'ENDING' | 'CLOSED';

/** The effect that END of the peer has on the session. */
type EndMeaning =
  /** The session ends in order, and is not CLOSED yet. */
  | 'ending'
  /** The session has ended in order. */
  | 'ended'
  /** END was the answer to OPEN. */
  | 'refused'
  /** The other side has aborted the session. */
  | 'aborted';

export class SessionState {
  readonly #session: { readonly id: number; readonly name: string };
  readonly #effects: MoveEffects;
  #name: StateName;
  #isEndSent = false;
  #isEndSeen = false;

  /** `name`: the first state, OPENING at the opener and PENDING at the acceptor. */
  constructor(
    session: { readonly id: number; readonly name: string },
    name: 'OPENING' | 'PENDING',
    effects: MoveEffects,
  ) {
    this.#session = session;
    this.#effects = effects;
    this.#name = name;
  }

  get name(): StateName {
    return this.#name;
  }

  /** Whether this side has sent its END(0). */
  get isEndSent(): boolean {
    return this.#isEndSent;
  }

  /** Whether the other side's END(0) has arrived. */
  get isEndSeen(): boolean {
    return this.#isEndSeen;
  }

  /** Whether this side opened the session, and the other side has not answered OPEN yet. */
  get isUnanswered(): boolean {
    return this.#name === 'OPENING' || this.#name === 'UNANSWERED';
  }

  /** Whether the session ends if the acceptor does not decide in time. */
  get isTimed(): boolean {
    // When the opener has sent END(0), only the acceptor's clock counts: the acceptor may have accepted meanwhile.
    return this.#name === 'PENDING' || (this.isUnanswered && !this.#isEndSent);
  }

  /** OPENED has arrived. Returns whether the session is open now; if not, this side has already ended it. */
  opened(): boolean {
    switch (this.#name) {
      case 'OPENING':
        this.#move('OPEN', 'OPENED');
        return true;
      case 'UNANSWERED':
        this.#move('ENDING', 'OPENED');
        return false;
      case 'CLOSED':
        throw this.#refusal('OPENED');
      default:
        throw violation(`OPENED for session ${this.#session.id}, which is open.`);
    }
  }

  applicationAccepts(): void {
    if (this.#name !== 'PENDING') throw this.#refusal('the application accepts');
    this.#move(this.#isEndSeen ? 'ENDING' : 'OPEN', 'the application accepts');
  }

  applicationRefuses(): void {
    if (this.#name !== 'PENDING') throw this.#refusal('the application refuses');
    this.#move('CLOSED', 'the application refuses');
  }

  applicationEnds(): void {
    switch (this.#name) {
      case 'OPENING':
        return this.#move('UNANSWERED', 'the application ends');
      case 'OPEN':
        return this.#move('ENDING', 'the application ends');
      default:
        throw this.#refusal('the application ends');
    }
  }

  /** This side has sent its END(0): all messages that were queued are on their way. */
  endSent(): void {
    const mayEnd = this.#name === 'UNANSWERED' || this.#name === 'ENDING';
    if (!mayEnd || this.#isEndSent) throw this.#refusal('END(0) of this side');
    this.#isEndSent = true;
  }

  /** END of the other side has arrived. */
  endSeen(code: number): EndMeaning {
    return code === Code.OK ? this.#endedInOrder() : this.#endedByCode();
  }

  /** The time of the acceptor is over. */
  timeIsOver(): void {
    if (!this.isTimed) throw this.#refusal('time is over');
    this.#move('CLOSED', 'time is over');
  }

  /** OPEN is not written, and this side gives the session up. */
  givenUp(): void {
    if (!this.isUnanswered) throw this.#refusal('given up before OPEN is written');
    this.#move('CLOSED', 'given up before OPEN is written');
  }

  /** All messages of both directions are settled. Returns whether that has closed the session. */
  allSettled(): boolean {
    switch (this.#name) {
      case 'PENDING':
        // The opener has ended the session, and nothing is left to decide on.
        if (!this.#isEndSeen) return false;
        this.#move('CLOSED', 'END(0), and no message is unsettled');
        return true;
      case 'ENDING':
        // [IC-6.26]
        if (!this.#isEndSent || !this.#isEndSeen) return false;
        this.#move('CLOSED', 'both END(0) are done, and no message is unsettled');
        return true;
      case 'OPENING':
      case 'UNANSWERED':
      case 'OPEN':
        return false;
      default:
        throw this.#refusal('no message is unsettled');
    }
  }

  connectionEnds(): void {
    if (this.#name === 'CLOSED') throw this.#refusal('the connection ends');
    this.#move('CLOSED', 'the connection ends');
  }

  /**
   * Throws if the frame `what` came before OPENED. Such a frame bears the result of a handler, and no handler of the
   * acceptor starts before OPENED. [IC-6.39] [IC-6.53]
   */
  checkAnswered(what: string): void {
    if (this.isUnanswered) throw violation(`${what} on session ${this.#session.id} before OPENED.`);
  }

  /** Throws if the frame `what`, a part of a request, came before OPENED or after the peer's END(0). [IC-6.24] */
  checkOpen(what: string): void {
    this.checkAnswered(what);
    if (this.#isEndSeen) throw violation(`${what} on session ${this.#session.id} after its END.`);
  }

  #endedInOrder(): EndMeaning {
    switch (this.#name) {
      case 'OPENING':
        this.#move('CLOSED', 'END(0)');
        return 'refused';
      case 'UNANSWERED':
        this.#move('CLOSED', 'END(0)');
        return 'ended';
      case 'OPEN':
        this.#isEndSeen = true;
        // [IC-6.25]
        this.#move('ENDING', 'END(0)');
        return 'ending';
      case 'PENDING':
      case 'ENDING':
        // [IC-6.28]
        if (this.#isEndSeen) throw violation(`Session ${this.#session.id} ends twice.`);
        this.#isEndSeen = true;
        return 'ending';
      default:
        throw this.#refusal('END(0)');
    }
  }

  #endedByCode(): EndMeaning {
    switch (this.#name) {
      case 'OPENING':
      case 'UNANSWERED':
        this.#move('CLOSED', 'END, code not 0');
        return 'refused';
      case 'PENDING':
      case 'OPEN':
      case 'ENDING':
        // A side may also abort a session that it has begun to end in order.
        this.#move('CLOSED', 'END, code not 0');
        return 'aborted';
      default:
        throw this.#refusal('END, code not 0');
    }
  }

  #move(to: StateName, why: string): void {
    const from = this.#name;
    this.#name = to;
    this.#effects.onMove?.(this.#what, from, to, why);
  }

  #refusal(event: string): Error {
    return noSuchMove(this.#what, this.#name, event);
  }

  get #what(): string {
    return `session ${this.#session.id} ${quote(this.#session.name, 256)}`;
  }
}
