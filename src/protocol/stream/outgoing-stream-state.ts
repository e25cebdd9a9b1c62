/**
 * The state of a stream that this side writes: the tables of PROTOCOL.md §7.6 at the sender of the message, and of §7.7
 * at its receiver, with one method for each event. [IC-7.6] [IC-7.7]
 *
 *     request stream:     HELD ──SEND is whole──► FLOWING ──ITEM with END──► ENDED
 *                           └────────────────────────┴──settled, given up──► STOPPED
 *     response stream:    HELD ──the handler streams──► FLOWING ──settled, the session ends──► OVER
 *                           └──────────────────────────────────────────────────────────────────▲
 *
 * The tables begin when the first item may be written. So HELD has no row: it is the time before that, in which CREDIT
 * for the stream may arrive. CREDIT changes no state.
 */
import { type MoveEffects, noSuchMove } from '../common/moves.js';

type StateName = 'HELD' | 'FLOWING' | 'ENDED' | 'STOPPED' | 'OVER';

export class OutgoingStreamState {
  readonly #message: { readonly sessionId: number; readonly id: number };
  /** Whether the stream is the response to a message of the other side. */
  readonly #isResponse: boolean;
  readonly #effects: MoveEffects;
  #name: StateName = 'HELD';

  /** `message`: the message that the stream belongs to. */
  constructor(
    message: { readonly sessionId: number; readonly id: number },
    isResponse: boolean,
    effects: MoveEffects,
  ) {
    this.#message = message;
    this.#isResponse = isResponse;
    this.#effects = effects;
  }

  get name(): StateName {
    return this.#name;
  }

  /** Whether items may be written. */
  get isFlowing(): boolean {
    return this.#name === 'FLOWING';
  }

  /** Whether no further item can be given. */
  get isOver(): boolean {
    return this.#name !== 'HELD' && this.#name !== 'FLOWING';
  }

  /** Whether the stream is over, and no ITEM with END was sent. */
  get isCut(): boolean {
    return this.#name === 'STOPPED' || this.#name === 'OVER';
  }

  /** All of SEND has left, or the handler responds with a stream. Returns false if the stream was stopped before. */
  begun(): boolean {
    switch (this.#name) {
      case 'HELD':
        this.#move('FLOWING', this.#isResponse ? 'the handler streams' : 'SEND is whole');
        return true;
      case 'STOPPED':
      case 'OVER':
        return false;
      default:
        throw this.#refusal('the beginning of the stream');
    }
  }

  /** ITEM with END is sent. */
  ended(): void {
    if (this.#name !== 'FLOWING' || this.#isResponse) throw this.#refusal('ITEM with END');
    this.#move('ENDED', 'ITEM with END');
  }

  /** The message is settled or given up, or the session ends. Returns whether that has stopped the stream. */
  stopped(): boolean {
    switch (this.#name) {
      case 'HELD':
      case 'FLOWING':
        if (this.#isResponse) this.#move('OVER', 'settled, or the session ends');
        else this.#move('STOPPED', 'settled or given up, or the session ends');
        return true;
      case 'ENDED':
      case 'STOPPED':
      case 'OVER':
        return false;
      default:
        throw this.#refusal('the end of the message');
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
    const stream = this.#isResponse ? 'in, response stream' : 'out, request stream';
    return `session ${this.#message.sessionId} message ${this.#message.id} ${stream}`;
  }
}
