/**
 * The state of a stream that this side reads: the tables of PROTOCOL.md §7.6 at the receiver of the message, and of §7.7
 * at its sender, with one method for each event. [IC-7.6] [IC-7.7]
 *
 *     request stream:     FLOWING ──a whole item with END──► ENDED ──settled, the session ends──► DROPPED
 *                            └──CANCEL, settled, the session ends─────────────────────────────────▲
 *     response stream:    FLOWING ──given up, item too large──► DROPPED ──settled──► OVER
 *                            └──settled──────────────────────────────────────────────▲
 *
 * Two facts stand beside the state. One is whether an item with END has begun. In DROPPED this fact still counts, because
 * late items are checked before they are ignored. The other one is whether the application still takes elements. In OVER
 * it takes the elements that came before the settlement, unless they were dropped.
 *
 * When the session ends, a response stream becomes DROPPED, and its message is forgotten. No event can follow. So the
 * stream need not become OVER as well.
 */
import { type MoveEffects, noSuchMove } from '../common/moves.js';
import { violation } from '../common/violation.js';

type StateName = 'FLOWING' | 'ENDED' | 'DROPPED' | 'OVER';

export class IncomingStreamState {
  readonly #message: { readonly sessionId: number; readonly id: number };
  /** Whether the stream is the response to a message of this side. */
  readonly #isResponse: boolean;
  readonly #effects: MoveEffects;
  #name: StateName = 'FLOWING';
  #isEndSeen = false;
  #isWanted = true;

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

  /** Whether further items can come, and the application wants them. */
  get isFlowing(): boolean {
    return this.#name === 'FLOWING';
  }

  /** Whether an item with END has begun. No item follows it. */
  get isEndSeen(): boolean {
    return this.#isEndSeen;
  }

  /** Whether elements are kept until the application takes them. If not, they are dropped. */
  get isWanted(): boolean {
    return this.#isWanted;
  }

  /** Whether the sender can use credit for further items. */
  get takesMore(): boolean {
    return this.#name === 'FLOWING' && !this.#isEndSeen;
  }

  /** ITEM has arrived. `hasEnd`: the ITEM has the flag END. */
  itemBegun(hasEnd: boolean): void {
    switch (this.#name) {
      case 'FLOWING':
      case 'ENDED':
      case 'DROPPED':
        if (this.#isEndSeen) {
          throw violation(`Message ${this.#message.id} has an item after its last.`);
        }
        this.#isEndSeen = hasEnd;
        return;
      default:
        throw this.#refusal('ITEM');
    }
  }

  /** The newest item is whole. */
  itemWhole(): void {
    switch (this.#name) {
      case 'FLOWING':
        if (this.#isEndSeen) this.#move('ENDED', 'a whole item with END');
        return;
      case 'DROPPED':
        return;
      default:
        throw this.#refusal('a whole item');
    }
  }

  /** ACCEPT or REJECT of this side's message has begun. The application may still take whole items. */
  settled(): void {
    const isPossible = this.#isResponse && this.#name !== 'OVER';
    if (!isPossible) throw this.#refusal('ACCEPT or REJECT');
    this.#move('OVER', 'ACCEPT or REJECT');
  }

  /**
   * The application takes no further element: the message is cancelled, given up or settled by this side, or the session
   * ends.
   */
  dropped(): void {
    this.#isWanted = false;
    switch (this.#name) {
      case 'FLOWING':
      case 'ENDED':
        return this.#move('DROPPED', 'cancelled, given up or settled, or the session ends');
      case 'DROPPED':
      case 'OVER':
        return;
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
    const stream = this.#isResponse ? 'out, response stream' : 'in, request stream';
    return `session ${this.#message.sessionId} message ${this.#message.id} ${stream}`;
  }
}
