/** The reconnector: gives a connection its first socket, and another one after each loss. */
import { Backoff, type Delays, HEALTHY } from '../common/backoff.js';
import type { Clock } from '../common/clock.js';
import type { DialFailure } from '../socket/dial-errors.js';
import type { Dialer, DialEffects } from '../socket/dialer.js';

/** How a dialer reconnects after it has lost its socket. */
export interface ReconnectOptions {
  /** The limit of the first pause, in milliseconds. The limit doubles with each further pause. Default 100. */
  minDelay?: number | undefined;
  /** The longest pause, in milliseconds. Default 10,000. */
  maxDelay?: number | undefined;
  /** The number of rounds through all addresses without success after which the dialer gives up. Default: no limit. */
  attempts?: number | undefined;
}

/** @internal The options with every default filled in. */
export interface ReconnectSettings extends Delays {
  /** Rounds without success after a loss. */
  readonly attempts: number;
  /** Rounds without success before the first connection. */
  readonly firstAttempts: number;
  /** Whether the dialer looks for another socket after a loss. */
  readonly comesBack: boolean;
  /** Milliseconds before the very first attempt. */
  readonly startDelay: number;
}

/** @internal The reason to look for another socket. */
export type Occasion =
  /** The socket is lost. `hasProgressed`: sequenced frames have arrived at either side since the last loss. */
  | { readonly kind: 'lost'; readonly hasProgressed: boolean }
  /** The other side says that another socket carries this connection. */
  | { readonly kind: 'superseded' }
  /** The other side drains: the current address is about to be gone. */
  | { readonly kind: 'drained' };

/** @internal The events that a reconnector reports, and its questions to the connection. */
export interface ReconnectEffects extends DialEffects {
  /** Returns true if the process must stay alive for the next attempt. */
  isWanted(): boolean;
  /** All addresses have failed. Another round follows after a pause, unless `onGivenUp` follows. */
  onRoundFailed(failure: DialFailure): void;
  /** No further attempt follows. */
  onGivenUp(failure: DialFailure): void;
}

/** @internal The attempts to connect of one dialer, and the pauses between them. */
export class Reconnector {
  readonly #dialer: Dialer;
  readonly #settings: ReconnectSettings;
  readonly #clock: Clock;
  readonly #effects: ReconnectEffects;
  #round: AbortController | undefined;
  #pause: { readonly end: number; readonly stop: () => void } | undefined;
  /** Rounds without success since the last success. */
  #failures = 0;
  /** The pauses. They also grow if the other side accepts connections and closes them again and again. */
  readonly #backoff: Backoff;
  /** Whether a drain has led to an attempt without a pause, and no connection has lasted since. */
  #hasMoved = false;
  /** Whether another socket has taken over the connection: see `#keepAway`. */
  #mustKeepAway = false;
  /** Whether the other side refused the last attempt. */
  #wasRefused = false;
  /** When the newest connection was made; undefined before the first. */
  #connectedAt: number | undefined;
  #hurriedAt = -Infinity;

  constructor(
    dialer: Dialer,
    settings: ReconnectSettings,
    clock: Clock,
    effects: ReconnectEffects,
  ) {
    this.#dialer = dialer;
    this.#settings = settings;
    this.#clock = clock;
    this.#backoff = new Backoff(settings, clock);
    this.#effects = effects;
  }

  /** Whether the connection outlives its sockets. */
  get comesBack(): boolean {
    return this.#settings.comesBack;
  }

  /** Begins to look for the first socket. */
  begin(): void {
    const { startDelay } = this.#settings;
    this.#round = new AbortController();
    if (startDelay > 0) this.#wait(startDelay, this.#round.signal);
    else void this.#dial(this.#round.signal);
  }

  /** Begins to look for another socket, unless this already happens. */
  start(occasion: Occasion): void {
    if (this.#round !== undefined) return;
    this.#round = new AbortController();
    this.#failures = 0;
    const { signal } = this.#round;
    const hasLasted = this.#clock.now() - (this.#connectedAt ?? -Infinity) >= HEALTHY;
    if (hasLasted) this.#hasMoved = false;
    // [IC-17.13]
    if (hasLasted || (occasion.kind === 'lost' && occasion.hasProgressed)) this.#backoff.reset();
    switch (occasion.kind) {
      case 'lost':
        return this.#waitLonger(signal);
      case 'superseded':
        return this.#keepAway(signal);
      case 'drained':
        this.#dialer.avoid();
        // Only the first drain leads to an attempt without a pause. Otherwise a listener that drains again and again
        // would be dialed without end.
        if (this.#hasMoved || this.#backoff.hasTried) return this.#waitLonger(signal);
        this.#hasMoved = true;
        this.#backoff.count();
        void this.#dial(signal);
    }
  }

  /** Ends a long pause because a call needs the connection; at most once a second. */
  hurry(): void {
    const now = this.#clock.now();
    const pause = this.#pause;
    if (pause === undefined || this.#round === undefined || this.#mustKeepAway) return;
    if (pause.end - now <= LONG_PAUSE || now - this.#hurriedAt < LONG_PAUSE) return;
    this.#hurriedAt = now;
    pause.stop();
    void this.#dial(this.#round.signal);
  }

  /** Ends the current pause or attempt. */
  stop(): void {
    this.#pause?.stop();
    this.#pause = undefined;
    this.#round?.abort();
    this.#round = undefined;
  }

  #waitLonger(signal: AbortSignal): void {
    // [IC-17.12]
    this.#wait(this.#backoff.next(), signal);
  }

  /**
   * Waits longer after a takeover by another socket. If both dialers came back at once, each would take the connection
   * from the other for ever. [IC-17.14]
   */
  #keepAway(signal: AbortSignal): void {
    const longest = Math.max(this.#settings.maxDelay, LEAST_ABSENCE);
    this.#mustKeepAway = true;
    this.#backoff.count();
    this.#wait(Math.max(LEAST_ABSENCE, (longest * (1 + this.#clock.random())) / 2), signal);
  }

  #wait(delay: number, signal: AbortSignal): void {
    const end = this.#clock.now() + delay;
    const begin = (): void => void this.#dial(signal);
    const stop = this.#effects.isWanted()
      ? this.#clock.setAlarm(delay, begin)
      : this.#clock.setTimer(delay, begin);
    this.#pause = { end, stop };
  }

  async #dial(signal: AbortSignal): Promise<void> {
    this.#pause = undefined;
    this.#mustKeepAway = false;
    const effects = this.#effects;
    // This must run before the promise resolves, because the socket may be lost again by then.
    const succeeded = (): void => {
      this.#round = undefined;
      this.#wasRefused = false;
      this.#connectedAt = this.#clock.now();
    };
    const failure = await this.#dialer.dial(
      {
        get resumable() {
          return effects.resumable;
        },
        onBegin: () => effects.onBegin(),
        onOpen: (...connected) => {
          succeeded();
          effects.onOpen(...connected);
        },
        onResumed: (...connected) => {
          succeeded();
          effects.onResumed(...connected);
        },
        onUnresumable: (unresumable) => effects.onUnresumable(unresumable),
      },
      signal,
    );
    if (failure !== undefined) this.#onFailure(failure, signal);
  }

  #onFailure(failure: DialFailure, signal: AbortSignal): void {
    this.#failures += 1;
    const isHopeless = this.#isHopeless(failure);
    this.#wasRefused = failure.isRefusal;
    this.#effects.onRoundFailed(failure);
    // A 'connectError' listener may have closed the connection.
    if (signal.aborted) return;
    if (!isHopeless) return this.#waitLonger(signal);
    this.#round = undefined;
    this.#effects.onGivenUp(failure);
  }

  #isHopeless({ error, isLasting, isRefusal }: DialFailure): boolean {
    const { attempts, firstAttempts } = this.#settings;
    // Before the first connection, no message was sent. If the application has made a mistake, it gets the error at once.
    if (this.#connectedAt === undefined) return isLasting || this.#failures >= firstAttempts;
    if (error.code === 'IC_ERR_OPTION') return true;
    return (isRefusal && this.#wasRefused) || this.#failures >= attempts;
  }
}

/** Milliseconds. A call may end a pause whose rest is longer, and at most one pause in this time. */
const LONG_PAUSE = 1000;
/** Milliseconds before this side reconnects to a connection that another socket has taken over. */
const LEAST_ABSENCE = 1000;
