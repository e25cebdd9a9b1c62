/** The time in which a connection has no socket: for how long, and why. */
import type { Clock } from './clock.js';
import type { DialFailure } from './dial-errors.js';
import type { InterconnectError } from './errors.js';

/** What a connection without a socket knows of its state. */
export interface Outage {
  /** Milliseconds for which there has been no socket, so far. */
  readonly duration: number;
  /**
   * What the last round of attempts failed with; before the first has failed, how the socket was lost. Undefined while the
   * first attempt of all is under way.
   */
  readonly error: InterconnectError | undefined;
}

/** @internal */
export class OutageWatch {
  readonly #clock: Clock;
  /** Who cannot be reached, in a sentence. */
  readonly #whom: () => string;
  #since: number | undefined;
  #error: InterconnectError | undefined;
  #reason = '';

  constructor(clock: Clock, whom: () => string) {
    this.#clock = clock;
    this.#whom = whom;
  }

  get current(): Outage | undefined {
    if (this.#since === undefined) return undefined;
    return { duration: this.#clock.now() - this.#since, error: this.#error };
  }

  /** There is no socket from now on. */
  begin(reason: string, error: InterconnectError | undefined): void {
    this.#since ??= this.#clock.now();
    this.#reason = reason;
    this.#error = error;
  }

  /** All addresses have been tried in vain. For a connection that was sent elsewhere, the outage begins with this. */
  onRoundFailed({ reason, error }: DialFailure): void {
    this.begin(reason, error);
  }

  end(): void {
    this.#since = this.#error = undefined;
  }

  /** "No connection to hub:5000 for 7.3 s: connect ECONNREFUSED 10.0.0.1:5000" */
  get sentence(): string {
    const { current } = this;
    if (current === undefined) return `No connection to ${this.#whom()}: it takes nothing new`;
    const { duration } = current;
    return `No connection to ${this.#whom()} for ${spanOf(duration)}: ${this.#reason}`;
  }
}

/** Milliseconds in a sentence. */
function spanOf(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 600_000) return `${(milliseconds / 1000).toFixed(1)} s`;
  return `${Math.round(milliseconds / 60_000)} min`;
}
