import { InterconnectError } from '../../endpoint/index.js';
import type { Message } from '../../endpoint/index.js';
import type { Timers } from '../common/timers.js';

/** The time limit of one run of a handler, besides that of its message: the extra `timeout`. */
export class HandlerLimit {
  readonly timeout: number;
  private readonly message: Message;
  private readonly timers: Timers;
  private readonly end: number;
  private readonly stopTimer: () => void;
  private readonly controller = new AbortController();
  private combined: AbortSignal | undefined;

  constructor(message: Message, timeout: number, timers: Timers, onExpired: () => void) {
    this.message = message;
    this.timeout = timeout;
    this.timers = timers;
    this.end = timers.now() + timeout;
    this.stopTimer = timers.setTimer(timeout, () => {
      onExpired();
      const text = `The handler did not settle within ${timeout} ms.`;
      this.controller.abort(new InterconnectError('IC_ERR_TIMEOUT', text, { executed: 'maybe' }));
    });
  }

  /** Aborts with the message's signal and at the end of the limit. A one-way message has no caller, so only the limit counts. */
  get signal(): AbortSignal {
    if (this.message.oneWay) return this.controller.signal;
    return (this.combined ??= AbortSignal.any([this.message.signal, this.controller.signal]));
  }

  /** Aborts at the end of the limit only. */
  get expired(): AbortSignal {
    return this.controller.signal;
  }

  /** Milliseconds until the message or the limit is over, whichever is sooner. */
  get remaining(): number {
    const left = Math.max(0, this.end - this.timers.now());
    return Math.min(left, this.message.remaining ?? Infinity);
  }

  /** The handler has ended. */
  clear(): void {
    this.stopTimer();
  }
}
