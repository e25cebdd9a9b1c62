/**
 * The state of a message at its sender: the table of PROTOCOL.md §7.5, with one method for each kind of event. [IC-7.5]
 *
 *     QUEUED ──first frame──► SENDING ──last frame──► SENT ──settled, the session ends──► DONE
 *       │ │                    │   └──settled, the session ends─────────────────────────► ▲ ▲
 *       │ └──only frame────────┼────────────────────► SENT                                │ │
 *       │                      └──given up──► WITHDRAWN ◄──given up── SENT                │ │
 *       │                                        └──settled, the session ends─────────────┘ │
 *       └──given up, the session ends───────────────────────────────────────────────────────┘
 *
 * The message itself extends this class, so that a message and its state are one object.
 */
import { type MoveEffects, noSuchMove, watch } from '../common/moves.js';
import { Unit } from '../output/unit.js';

export type OutgoingStateName = 'QUEUED' | 'SENDING' | 'SENT' | 'WITHDRAWN' | 'DONE';

export abstract class OutgoingState extends Unit {
  #state: OutgoingStateName = 'QUEUED';
  #hasCredit = false;

  get state(): OutgoingStateName {
    return this.#state;
  }

  /** Whether the message is QUEUED, has credit, and waits in the output for its turn. */
  get hasCredit(): boolean {
    return this.#hasCredit;
  }

  /** Whether a frame of the message is written, and its caller still waits: SENDING or SENT. */
  get isAwaited(): boolean {
    return this.#state === 'SENT' || this.#state === 'SENDING';
  }

  /** Receives the changes of state, for a trace. Undefined until a session has taken the message. */
  protected abstract get watcher(): MoveEffects | undefined;

  /** The message is charged to the credit of the peer, or is large, and waits in the output. */
  onCredit(): void {
    if (this.#state !== 'QUEUED') throw this.#refusal('credit');
    this.#hasCredit = true;
  }

  /** The first frame is written next. `isWhole`: no other frame follows. */
  onFirstFrame(isWhole: boolean): void {
    if (this.#state !== 'QUEUED') throw this.#refusal('the first frame');
    this.#hasCredit = false;
    this.#move(isWhole ? 'SENT' : 'SENDING', isWhole ? 'SEND' : 'SEND with MORE');
  }

  /** The last frame is written. */
  onLastFrame(): void {
    switch (this.#state) {
      case 'SENDING':
        return this.#move('SENT', 'last FRAG');
      case 'SENT':
      case 'DONE':
        // The only frame was the last one, or a one-way message has ended meanwhile.
        return;
      default:
        throw this.#refusal('the last frame');
    }
  }

  /** The caller has given up or been told a failure, and the peer has not settled the message yet. */
  withdraw(why: string): void {
    if (!this.isAwaited) throw this.#refusal(why);
    this.#move('WITHDRAWN', why);
  }

  /** The message is settled, its session or connection ends, or it is given up before its first frame. */
  end(why: string): void {
    if (this.#state === 'DONE') throw this.#refusal(why);
    this.#hasCredit = false;
    this.#move('DONE', why);
  }

  #move(to: OutgoingStateName, why: string): void {
    const from = this.#state;
    this.#state = to;
    if (watch.isOn) this.watcher?.onMove?.(this.#name, from, to, why);
  }

  get #name(): string {
    return `session ${this.sessionId} message ${this.id} out`;
  }

  #refusal(event: string): Error {
    return noSuchMove(this.#name, this.#state, event);
  }
}
