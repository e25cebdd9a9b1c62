/**
 * Measures the round trips that an application asks for. Only one PING is under way at a time. It serves all callers who
 * asked before it was sent. Later callers wait for the next PING, which follows after a pause. The reason: each PING is
 * charged to the flood budget at the other side, and the connection ends when that budget is used up.
 */
import type { Clock } from '../common/clock.js';
import type { InterconnectError } from '../common/errors.js';

interface Waiter {
  readonly resolve: (milliseconds: number) => void;
  readonly reject: (error: unknown) => void;
}

export class RoundTrips {
  readonly #send: (done: (milliseconds: number) => void) => void;
  readonly #clock: Clock;
  /** When the next PING may be sent. */
  #mayAskAt = -Infinity;
  /** Ends the pause before the next PING, while there is one. */
  #stopPause: (() => void) | undefined;
  /** The callers who wait for the PONG of the PING that is under way. */
  #asked: readonly Waiter[] = [];
  /** The callers who have asked since that PING was sent. */
  #waiting: Waiter[] = [];

  /** `send` sends a PING and calls `done` with the milliseconds until its PONG. It throws if there is no socket. */
  constructor(send: (done: (milliseconds: number) => void) => void, clock: Clock) {
    this.#send = send;
    this.#clock = clock;
  }

  /** Resolves with the round trip in milliseconds. */
  ask(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      if (this.#asked.length === 0) this.#beginInTime();
    });
  }

  /** The socket is gone, and the PONG will not arrive: rejects its callers with `error`, and sends the next PING. */
  fail(error: InterconnectError): void {
    const asked = this.#asked;
    this.#asked = [];
    for (const { reject } of asked) reject(error);
    this.#begin();
  }

  /** Sends the next PING, now or after the pause. */
  #beginInTime(): void {
    if (this.#waiting.length === 0 || this.#stopPause !== undefined) return;
    const pause = this.#mayAskAt - this.#clock.now();
    if (pause <= 0) return this.#begin();
    this.#stopPause = this.#clock.setAlarm(pause, () => this.#begin());
  }

  #begin(): void {
    this.#stopPause?.();
    this.#stopPause = undefined;
    const asked = this.#waiting;
    if (asked.length === 0) return;
    this.#mayAskAt = this.#clock.now() + PAUSE;
    this.#waiting = [];
    this.#asked = asked;
    try {
      this.#send((milliseconds) => this.#end(asked, milliseconds));
    } catch (error) {
      this.#asked = [];
      for (const { reject } of asked) reject(error);
    }
  }

  #end(asked: readonly Waiter[], milliseconds: number): void {
    // This PONG belongs to a lost socket: its callers have been told already.
    if (this.#asked !== asked) return;
    this.#asked = [];
    for (const { resolve } of asked) resolve(milliseconds);
    this.#beginInTime();
  }
}

/** Milliseconds from one PING to the next. The other side would allow twice as many PINGs for ever. */
const PAUSE = 20;
