/**
 * Gives a connection its sockets: the first, and another whenever the connection has lost the socket that it had.
 */
import { Backoff, type Delays, HEALTHY } from '../common/backoff.js';
import type { Clock } from '../common/clock.js';
import type { DialFailure } from '../socket/dial-errors.js';
import type { Dialer, DialEffects } from '../socket/dialer.js';

/** How a dialer comes back after it has lost its socket. */
export interface ReconnectOptions {
  /** Milliseconds; the first pause is at most that long, each further one at most twice the former. Default 100. */
  minDelay?: number | undefined;
  /** Milliseconds that no pause exceeds. Default 10,000. */
  maxDelay?: number | undefined;
  /** Rounds through all addresses without success, after which it gives up. Default: never. */
  attempts?: number | undefined;
}

/** @internal With every default filled in. */
export interface ReconnectSettings extends Delays {
  /** Rounds without success after a loss. */
  readonly attempts: number;
  /** Rounds without success before the first connection. */
  readonly firstAttempts: number;
  /** Whether there is to be another socket after the first. */
  readonly comesBack: boolean;
  /** Milliseconds to wait before the first attempt of all. */
  readonly startDelay: number;
}

/** @internal Why another socket is wanted. */
export type Occasion =
  /** The socket is lost. `hasProgressed`: since the loss before, one side has acknowledged frames of the other. */
  | { readonly kind: 'lost'; readonly hasProgressed: boolean }
  /** The other side says that another socket goes on with this connection. */
  | { readonly kind: 'superseded' }
  /** The other side drains: the current address is about to be gone. */
  | { readonly kind: 'drained' };

/** @internal What a reconnector reports, and asks of the connection. */
export interface ReconnectEffects extends DialEffects {
  /** Whether it is worth keeping the process alive for the next attempt. */
  isWanted(): boolean;
  /** All addresses have failed, and another round follows after a pause, unless `onGivenUp` does. */
  onRoundFailed(failure: DialFailure): void;
  /** No further attempt follows. */
  onGivenUp(failure: DialFailure): void;
}

/** @internal */
export class Reconnector {
  readonly #dialer: Dialer;
  readonly #settings: ReconnectSettings;
  readonly #clock: Clock;
  readonly #effects: ReconnectEffects;
  #round: AbortController | undefined;
  #pause: { readonly end: number; readonly stop: () => void } | undefined;
  /** Rounds without success, since the last one. */
  #failures = 0;
  /** A connection that is accepted and closed again and again is made ever later. */
  readonly #backoff: Backoff;
  /** Whether a drain had its attempt without a pause since a connection lasted. */
  #hasMoved = false;
  /** The other side has said that another socket has taken the place of this side's. */
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

  /** Looks for the first socket. */
  begin(): void {
    const { startDelay } = this.#settings;
    this.#round = new AbortController();
    if (startDelay > 0) this.#wait(startDelay, this.#round.signal);
    else void this.#dial(this.#round.signal);
  }

  /** Looks for another socket, unless it does so already. */
  start(occasion: Occasion): void {
    if (this.#round !== undefined) return;
    this.#round = new AbortController();
    this.#failures = 0;
    const { signal } = this.#round;
    const hasLasted = this.#clock.now() - (this.#connectedAt ?? -Infinity) >= HEALTHY;
    if (hasLasted) this.#hasMoved = false;
    // [IC-17.31]
    if (hasLasted || (occasion.kind === 'lost' && occasion.hasProgressed)) this.#backoff.reset();
    switch (occasion.kind) {
      case 'lost':
        return this.#waitLonger(signal);
      case 'superseded':
        return this.#keepAway(signal);
      case 'drained':
        this.#dialer.avoid();
        // At once, but only once: a listener that drains again and again would be asked without end.
        if (this.#hasMoved || this.#backoff.hasTried) return this.#waitLonger(signal);
        this.#hasMoved = true;
        this.#backoff.count();
        void this.#dial(signal);
    }
  }

  /** A call needs the connection now: ends a long pause, at most once a second. */
  hurry(): void {
    const now = this.#clock.now();
    const pause = this.#pause;
    if (pause === undefined || this.#round === undefined || this.#mustKeepAway) return;
    if (pause.end - now <= LONG_PAUSE || now - this.#hurriedAt < LONG_PAUSE) return;
    this.#hurriedAt = now;
    pause.stop();
    void this.#dial(this.#round.signal);
  }

  /** Ends the pause or the attempt that is under way. */
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

  /** To come back at once would take the connection from the socket that has it now, and so on in turns. [IC-17.32] */
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
    // Called before the promise resolves: by then the socket may be lost again.
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
    // No call has left yet, and an application that made a mistake learns that at once.
    if (this.#connectedAt === undefined) return isLasting || this.#failures >= firstAttempts;
    if (error.code === 'IC_ERR_OPTION') return true;
    return (isRefusal && this.#wasRefused) || this.#failures >= attempts;
  }
}

/** Milliseconds. A call may end a pause that is longer, at most once in that time. */
const LONG_PAUSE = 1000;
/** Milliseconds before this side comes back to a connection that another socket has taken over. */
const LEAST_ABSENCE = 1000;
