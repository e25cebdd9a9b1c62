/** An alarm: one timer for many instants, which fires at the earliest of them. */
import type { Clock } from './clock.js';

export class Alarm {
  readonly #clock: Clock;
  readonly #set: Clock['setTimer'];
  readonly #onDue: () => void;
  /** `ended`: the alarm accepts no further instant. */
  #state: 'unset' | 'set' | 'ended' = 'unset';
  /** When the alarm is due, if it is set. */
  #at = Infinity;
  #stopTimer: (() => void) | undefined;

  /** `kind`: `awake` keeps the process alive while the alarm is set. */
  constructor(clock: Clock, onDue: () => void, kind: 'asleep' | 'awake' = 'asleep') {
    this.#clock = clock;
    this.#set =
      kind === 'awake'
        ? (delay, callback) => clock.setAlarm(delay, callback)
        : (delay, callback) => clock.setTimer(delay, callback);
    this.#onDue = onDue;
  }

  /** Calls back at the instant `at`. Does nothing if the alarm is already due earlier, or has ended. */
  set(at: number): void {
    if (at >= this.#at || this.#state === 'ended') return;
    this.#stopTimer?.();
    this.#state = 'set';
    this.#at = at;
    this.#stopTimer = this.#set(at - this.#clock.now(), this.#ring);
  }

  /** Cancels the pending call, until the alarm is set anew. */
  unset(): void {
    if (this.#state === 'set') this.#to('unset');
  }

  /** Cancels the pending call for good: `set` has no effect any more. */
  end(): void {
    this.#to('ended');
  }

  readonly #ring = (): void => {
    this.#stopTimer = undefined;
    this.#to('unset');
    this.#onDue();
  };

  #to(state: 'unset' | 'ended'): void {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    this.#state = state;
    this.#at = Infinity;
  }
}
