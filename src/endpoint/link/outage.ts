/**
 * An outage: the time in which a connection has no socket. An outage has a duration and a reason, and fails the calls
 * whose patience is over.
 *
 *     up ──socket lost, first attempt──► waiting ──`whenOffline` is over──► offline
 *      ▲                                    │ a socket                         │ a socket
 *      └────────────────────────────────────┴──────────────────────────────────┘
 */
import type { Failure } from '../../protocol/index.js';
import { Alarm } from '../common/alarm.js';
import type { Clock } from '../common/clock.js';
import type { DialFailure } from '../socket/dial-errors.js';
import { errorOf, type InterconnectError, optionError } from '../common/errors.js';
import { inspectShort } from '../common/words.js';

/** The outage of a connection: how long it has had no socket, and why. */
export interface Outage {
  /** Milliseconds since the socket was lost, or since the first attempt began. */
  readonly duration: number;
  /**
   * The error of the last round of attempts. Before a round has failed: the error with which the socket was lost.
   * Undefined during the very first round.
   */
  readonly error: InterconnectError | undefined;
}

/**
 * How long calls wait while the connection has no socket. A number limits the age of the *outage*, in milliseconds. Calls
 * wait while the outage is younger. At this age, all waiting calls fail with `IC_ERR_OFFLINE` and `executed: 'no'`. Every
 * further call fails at once, until there is a socket. `'fail'` is the same as 0: calls fail while there is no socket,
 * but before the first socket they wait for one round of attempts. With `'wait'`, calls wait until their own timeout.
 * Messages that were written to a lost socket are not affected: they wait until the connection is resumed.
 */
export type WhenOffline = number | 'wait' | 'fail';

/** @internal Returns the option as milliseconds of outage; `Infinity` = no limit. @throws IC_ERR_OPTION */
export function patienceOf(whenOffline: WhenOffline): number {
  if (whenOffline === 'wait') return Infinity;
  if (whenOffline === 'fail') return 0;
  if (Number.isInteger(whenOffline) && whenOffline >= 0 && whenOffline < 2 ** 31)
    return whenOffline;
  throw optionError(
    `whenOffline must be milliseconds from 0 to ${2 ** 31 - 1}, 'wait' or 'fail', and is ${inspectShort(whenOffline)}.`,
  );
}

/** @internal The calls of an outage to its connection. */
export interface OutageEffects {
  /** Returns the name of the other side, for a sentence. */
  whom(): string;
  /**
   * Fails each call that is not written and whose patience is at most `patience` milliseconds. Returns the least patience
   * of the remaining calls; `Infinity` if no call remains.
   */
  giveUp(patience: number, failure: Failure): number;
  /** From now on, calls without a patience of their own fail at once. */
  onOffline(error: InterconnectError): void;
  /** A call has failed because there is no socket: it is time to look for one. */
  hurry(): void;
}

/** @internal Watches the outages of one connection, and fails the calls whose patience is over. */
export class OutageWatch {
  readonly #clock: Clock;
  readonly #effects: OutageEffects;
  /** Milliseconds that a call without a `whenOffline` of its own waits. */
  readonly #patience: number;
  /**
   * The least patience of any call so far. At the beginning of an outage, the watch does not know the waiting calls, and
   * looks for them when this patience is over.
   */
  #leastPatience: number;
  #since: number | undefined;
  #error: InterconnectError | undefined;
  #reason = '';
  /** Whether no attempt has ended yet. A call without patience waits until the first attempt has failed. */
  #isUntried = false;
  #isOffline = false;
  /** One alarm for all calls: it is set for the calls with the least patience. */
  readonly #alarm: Alarm;
  /** The patience that is over when the alarm is due. */
  #alarmPatience = Infinity;

  constructor(clock: Clock, patience: number, effects: OutageEffects) {
    this.#clock = clock;
    this.#effects = effects;
    this.#patience = this.#leastPatience = patience;
    this.#alarm = new Alarm(clock, () => this.#expire(this.#alarmPatience), 'awake');
  }

  get current(): Outage | undefined {
    if (this.#since === undefined) return undefined;
    return { duration: this.#clock.now() - this.#since, error: this.#error };
  }

  /** Whether calls without a `whenOffline` of their own fail at once. */
  get isOffline(): boolean {
    return this.#isOffline;
  }

  /** Begins the first outage: there has been no socket yet. */
  beginUntried(): void {
    this.#isUntried = true;
    this.begin('the first attempt has not ended yet', undefined);
    this.watch();
  }

  /** Begins an outage. Call `watch` when the listeners have been told. */
  begin(reason: string, error: InterconnectError | undefined): void {
    this.#reason = reason;
    this.#error = error;
    this.#since ??= this.#clock.now();
  }

  /** A round of attempts has failed at every address. If the socket left because of a drain, the outage begins here. */
  onRoundFailed({ reason, error }: DialFailure): void {
    this.#isUntried = false;
    this.begin(reason, error);
  }

  /** Fails the calls whose patience is over: now, and later when the patience of further calls ends. */
  watch(): void {
    if (!this.#isOffline) this.#watch(this.#leastPatience);
  }

  /** Ends the outage: there is a socket, or the connection is over. */
  end(): void {
    this.#unset();
    this.#since = this.#error = undefined;
    this.#isUntried = this.#isOffline = false;
  }

  /** Returns the failure of a call that must fail at once; undefined if the call may wait. @throws IC_ERR_OPTION */
  refusal(whenOffline: WhenOffline | undefined): Failure | undefined {
    if (whenOffline === undefined && this.#since === undefined) return undefined;
    const patience = this.patienceOf(whenOffline);
    this.#leastPatience = Math.min(this.#leastPatience, patience);
    if (this.#since === undefined) return undefined;
    if (this.#isOverAt(patience) <= this.#clock.now()) {
      this.#effects.hurry();
      return this.failure;
    }
    this.#watch(patience);
    return undefined;
  }

  /** Returns the patience of a call, in milliseconds of outage. @throws IC_ERR_OPTION */
  patienceOf(whenOffline: WhenOffline | undefined): number {
    return whenOffline === undefined ? this.#patience : patienceOf(whenOffline);
  }

  /** The failure of a call whose patience is over. */
  get failure(): Failure {
    return { kind: 'offline', executed: 'no', message: `${this.sentence}.`, cause: this.#error };
  }

  /** For instance "No connection to hub:5000 for 7.3 s: connect ECONNREFUSED 10.0.0.1:5000". */
  get sentence(): string {
    const { current } = this;
    const whom = this.#effects.whom();
    if (current === undefined) return `No connection to ${whom}: it takes nothing new`;
    return `No connection to ${whom} for ${spanOf(current.duration)}: ${this.#reason}`;
  }

  /** Returns the instant at which a patience is over. */
  #isOverAt(patience: number): number {
    if (this.#since === undefined) return Infinity;
    if (patience === 0) return this.#isUntried ? Infinity : -Infinity;
    return this.#since + patience;
  }

  /** Sets the alarm to the end of this patience, unless the alarm is due earlier. */
  #watch(patience: number): void {
    const end = this.#isOverAt(patience);
    if (end === Infinity || this.#alarmPatience <= patience) return;
    this.#unset();
    if (end <= this.#clock.now()) return this.#expire(patience);
    this.#alarmPatience = patience;
    this.#alarm.set(end);
  }

  #unset(): void {
    this.#alarm.unset();
    this.#alarmPatience = Infinity;
  }

  #expire(patience: number): void {
    this.#unset();
    const { failure } = this;
    if (patience >= this.#patience && !this.#isOffline) {
      this.#isOffline = true;
      this.#effects.onOffline(errorOf(failure));
      // An 'offline' listener may have closed the connection.
      if (this.#since === undefined) return;
    }
    const next = this.#effects.giveUp(patience, failure);
    this.#watch(this.#isOffline ? next : Math.min(next, this.#patience));
  }
}

/** Returns a duration in milliseconds as a text, such as `7.3 s`. */
function spanOf(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 600_000) return `${(milliseconds / 1000).toFixed(1)} s`;
  return `${Math.round(milliseconds / 60_000)} min`;
}
