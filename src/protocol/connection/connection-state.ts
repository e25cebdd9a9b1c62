/**
 * The state of one connection: the table of PROTOCOL.md §7.8, with one method for each event. [IC-7.8]
 *
 *     NEW ──WELCOME──► ATTACHED ──socket lost──► DETACHED ──resumed──► ATTACHED
 *      │                  │ ▲ └──resumed, at the listener              │
 *      │                  │ └─┘                                        │
 *      └──given up──────► ENDED ◄──closed, given up, too late──────────┘
 *
 * The table writes NEW as "–". A connection is NEW before its first WELCOME, while only this side knows it. Sessions and
 * messages can wait in a NEW connection. If the application gives up a NEW connection, no frame is written.
 */
import type { Failure } from '../common/failure.js';
import { type MoveEffects, noSuchMove } from '../common/moves.js';

type State =
  | { readonly name: 'NEW' }
  | { readonly name: 'ATTACHED' }
  | { readonly name: 'DETACHED' }
  | {
      readonly name: 'ENDED';
      readonly failure: Failure;
      /** Whether a socket has ever carried the connection. */
      readonly hasBegun: boolean;
    };

const NEW = { name: 'NEW' } as const;
const ATTACHED = { name: 'ATTACHED' } as const;
const DETACHED = { name: 'DETACHED' } as const;

export class ConnectionState {
  readonly #role: 'dialer' | 'listener';
  readonly #effects: MoveEffects;
  #current: State = NEW;

  /** `role`: the role of this side. */
  constructor(role: 'dialer' | 'listener', effects: MoveEffects) {
    this.#role = role;
    this.#effects = effects;
  }

  get name(): State['name'] {
    return this.#current.name;
  }

  /** Whether a socket carries the connection, or has carried it before. */
  get hasBegun(): boolean {
    return this.#current.name === 'ENDED' ? this.#current.hasBegun : this.#current !== NEW;
  }

  /** Why the connection is over, if it is. */
  get failure(): Failure | undefined {
    return this.#current.name === 'ENDED' ? this.#current.failure : undefined;
  }

  /** WELCOME without RESUMED is written or read. */
  begin(): void {
    if (this.#current !== NEW) throw this.#refusal('WELCOME without RESUMED');
    this.#move(ATTACHED, 'WELCOME without RESUMED');
  }

  /** WELCOME with RESUMED is written or read, and its count of received frames is possible. */
  resume(): void {
    // The dialer resumes only after it has lost the former socket. The listener may not have noticed the loss yet.
    const mayBeAttached = this.#role === 'listener' && this.#current === ATTACHED;
    if (!mayBeAttached && this.#current !== DETACHED) {
      throw this.#refusal('WELCOME with RESUMED');
    }
    this.#move(ATTACHED, 'WELCOME with RESUMED');
  }

  /** The socket is lost, and the dialer has a TOKEN with which it can resume. */
  detach(why: string): void {
    if (this.#current !== ATTACHED) throw this.#refusal('the loss of the socket');
    this.#move(DETACHED, why);
  }

  /** The connection is over: all pending work fails with `failure`. */
  end(failure: Failure): void {
    if (this.#current.name === 'ENDED') throw this.#refusal('the end');
    this.#move({ name: 'ENDED', failure, hasBegun: this.hasBegun }, failure.message);
  }

  #move(to: State, why: string): void {
    const from = this.#current.name;
    this.#current = to;
    this.#effects.onMove?.('connection', from, to.name, why);
  }

  #refusal(event: string): Error {
    return noSuchMove('connection', this.#current.name, event);
  }
}
