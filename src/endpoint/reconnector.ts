/**
 * Gives a connection another socket when it has lost the one it had, as often as it takes. The pauses between
 * the attempts grow, and are random: a thousand dialers that lost the same listener must not come back as one.
 */
import type { Clock } from './clock.js';
import type { Dialer, DialListener } from './dialer.js';
import { isInterconnectError } from './errors.js';
import { Code } from '../wire/index.js';

/** How a dialer comes back after it has lost its socket. */
export interface ReconnectOptions {
  /** Milliseconds; the first pause is at most that long, each further one at most twice the former. Default 100. */
  minDelay?: number;
  /** Milliseconds that no pause exceeds. Default 10,000. */
  maxDelay?: number;
  /** Rounds through all addresses without success, after which it gives up. Default: never. */
  attempts?: number;
}

/** @internal With every default filled in. */
export interface ReconnectSettings {
  readonly minDelay: number;
  readonly maxDelay: number;
  readonly attempts: number;
}

/** @internal What becomes of the attempts. */
export interface ReconnectListener extends DialListener {
  /** It is of no use to go on. */
  onGivenUp(error: unknown): void;
}

/** @internal */
export class Reconnector {
  readonly #dialer: Dialer;
  readonly #settings: ReconnectSettings;
  readonly #clock: Clock;
  readonly #listener: ReconnectListener;
  #attempt: AbortController | undefined;
  #stopPause: (() => void) | undefined;
  /** Rounds without success, since the last one. */
  #failures = 0;
  /** Pauses since a connection lasted: one that is taken in and thrown out again comes back ever later. */
  #pauses = 0;
  /** Whether the last attempt was refused for a reason that time alone does not mend. */
  #wasRefused = false;
  #connectedAt: number;

  constructor(
    dialer: Dialer,
    settings: ReconnectSettings,
    clock: Clock,
    listener: ReconnectListener,
  ) {
    this.#dialer = dialer;
    this.#settings = settings;
    this.#clock = clock;
    this.#listener = listener;
    this.#connectedAt = clock.now();
  }

  /** Begins, unless it is at it. `elsewhere`: the address of the moment is about to be gone. */
  start(elsewhere: boolean): void {
    if (this.#attempt !== undefined) return;
    this.#attempt = new AbortController();
    this.#failures = 0;
    if (this.#clock.now() - this.#connectedAt >= HEALTHY) this.#pauses = 0;
    if (elsewhere) this.#dialer.avoid();
    // At once, but not again and again: whoever sends everybody away would be asked without end.
    if (!elsewhere || this.#pauses > 0) return this.#pause(this.#attempt.signal);
    this.#pauses = 1;
    void this.#dial(this.#attempt.signal);
  }

  /** Ends what is under way. */
  stop(): void {
    this.#stopPause?.();
    this.#attempt?.abort();
    this.#attempt = undefined;
  }

  #pause(signal: AbortSignal): void {
    const { minDelay, maxDelay } = this.#settings;
    const most = Math.min(maxDelay, minDelay * 2 ** Math.min(this.#pauses, MOST_DOUBLINGS));
    this.#pauses += 1;
    // [IC-17.12]
    this.#stopPause = this.#clock.setAlarm(this.#clock.random() * most, () => {
      void this.#dial(signal);
    });
  }

  async #dial(signal: AbortSignal): Promise<void> {
    const listener = this.#listener;
    // Not when the promise resolves: by then the socket may be lost again.
    const succeeded = (): void => {
      this.#attempt = undefined;
      this.#wasRefused = false;
      this.#connectedAt = this.#clock.now();
    };
    try {
      await this.#dialer.dial(
        {
          get resumable() {
            return listener.resumable;
          },
          onBegin: () => listener.onBegin(),
          onOpen: (...connected) => {
            succeeded();
            listener.onOpen(...connected);
          },
          onResumed: (...connected) => {
            succeeded();
            listener.onResumed(...connected);
          },
        },
        signal,
      );
    } catch (error) {
      if (!signal.aborted) this.#onFailure(error, signal);
    }
  }

  #onFailure(error: unknown, signal: AbortSignal): void {
    this.#failures += 1;
    const refused = isRefusal(error);
    const hopeless = (refused && this.#wasRefused) || isUseless(error);
    this.#wasRefused = refused;
    if (!hopeless && this.#failures < this.#settings.attempts) return this.#pause(signal);
    this.#attempt = undefined;
    this.#listener.onGivenUp(error);
  }
}

/** Who is not let in twice in a row will not be at the third time. */
function isRefusal(error: unknown): boolean {
  if (!isInterconnectError(error)) return false;
  if (error.code === 'IC_ERR_PROTOCOL') return true;
  const { status } = error;
  return status === Code.UNAUTHENTICATED || status === Code.FORBIDDEN || status === Code.VERSION;
}

function isUseless(error: unknown): boolean {
  return isInterconnectError(error) && error.code === 'IC_ERR_OPTION';
}

/** Milliseconds after which a connection counts as a success. */
const HEALTHY = 10_000;
const MOST_DOUBLINGS = 20;
