/**
 * The state of a message at its receiver: the table of PROTOCOL.md §7.4, with one method for each kind of event. [IC-7.4]
 *
 *     RECEIVING ──last FRAG──► WAITING ──the handler starts──► RUNNING
 *         │                       │ refused                      │ the handler settles, deadline
 *         │ refused               ▼                              ▼
 *         └──────► CUT ──────► SETTLED ◄─────────────────────────┘
 *            last FRAG, next SEND
 *
 * If the session or the connection ends, the message is GONE, whatever its state was. The table writes GONE as a dash.
 * A message that the table calls FORGOTTEN has no object any more.
 *
 * Two facts stand beside the state. The settlement can still wait to be written (`isReleased` is false), and the handler
 * of a settled message can still run (`hasHandler`). The place of the message is free when neither is the case.
 *
 * The message itself extends this class, so that a message and its state are one object.
 */
import { type MoveEffects, noSuchMove, watch } from '../common/moves.js';
import { EMPTY } from '../../wire/index.js';
import { Unit } from '../output/unit.js';

export type IncomingStateName = 'RECEIVING' | 'WAITING' | 'RUNNING' | 'CUT' | 'SETTLED' | 'GONE';

export abstract class IncomingState extends Unit {
  #state: IncomingStateName;
  #isReleased = false;
  #hasHandler = false;

  /** `isWhole`: the SEND has no MORE, so that nothing is left to receive. */
  constructor(isWhole: boolean) {
    super(NO_TYPE, 0, EMPTY, EMPTY);
    this.#state = isWhole ? 'WAITING' : 'RECEIVING';
  }

  get state(): IncomingStateName {
    return this.#state;
  }

  /** Whether the message is settled, or its session is gone. */
  get isSettled(): boolean {
    return this.#state === 'SETTLED' || this.#state === 'CUT' || this.#state === 'GONE';
  }

  /** Whether the settlement is written, or never will be: the message is one-way, or its session is over. */
  get isReleased(): boolean {
    return this.#isReleased;
  }

  /** Whether the handler has started, and has not ended. So long, the message keeps its place. */
  get hasHandler(): boolean {
    return this.#hasHandler;
  }

  /** Receives the changes of state, for a trace. */
  protected abstract get watcher(): MoveEffects | undefined;

  /** The last frame of the request has arrived. */
  onWhole(): void {
    if (this.#state !== 'RECEIVING') throw this.#refusal('the last frame of the request');
    this.#move('WAITING', 'the request is whole');
  }

  /** The handler starts. */
  onStarted(): void {
    if (this.#state !== 'WAITING') throw this.#refusal('the start of the handler');
    this.#hasHandler = true;
    this.#move('RUNNING', 'the handler starts');
  }

  /** The handler has ended, whether the message is settled or not. */
  onHandlerEnded(): void {
    this.#hasHandler = false;
  }

  /** The message is settled. `isPartial`: its last frame is still to come. */
  onSettled(isPartial: boolean, why: string): void {
    switch (this.#state) {
      case 'RECEIVING':
        return this.#move(isPartial ? 'CUT' : 'SETTLED', why);
      case 'WAITING':
      case 'RUNNING':
        return this.#move('SETTLED', why);
      default:
        throw this.#refusal(why);
    }
  }

  /** The message was settled before its last FRAG, and no further FRAG of it can arrive now. */
  onRestOver(why: 'last FRAG' | 'the next SEND'): void {
    // The session may have ended meanwhile.
    if (this.#state === 'GONE') return;
    if (this.#state !== 'CUT') throw this.#refusal(why);
    this.#move('SETTLED', why);
  }

  /** The settlement is written, or the message is one-way and needs none. */
  onReleased(): void {
    if (!this.isSettled) throw this.#refusal('the last octet of its settlement');
    this.#isReleased = true;
  }

  /** The session or the connection ends. */
  onGone(): void {
    if (this.#state === 'GONE') throw this.#refusal('the end of its session');
    this.#isReleased = true;
    this.#move('GONE', 'the session ends');
  }

  #move(to: IncomingStateName, why: string): void {
    const from = this.#state;
    this.#state = to;
    if (watch.isOn) this.watcher?.onMove?.(this.#name, from, to, why);
  }

  get #name(): string {
    return `session ${this.sessionId} message ${this.id} in`;
  }

  #refusal(event: string): Error {
    return noSuchMove(this.#name, this.#state, event);
  }
}

/** The unit has no type before it becomes the settlement. */
const NO_TYPE = 0;
