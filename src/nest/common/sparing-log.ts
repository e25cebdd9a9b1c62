/** Lines of the log that others can bring about as often as they like. */
import type { LoggerService } from '@nestjs/common';
import { lineOf } from './log-lines.js';
import type { Timers } from './timers.js';

/** Milliseconds: the first pause of a kind, the longest, and the silence after which the pauses begin anew. */
const SHORTEST = 1000;
const LONGEST = 60_000;
const FORGOTTEN = 300_000;

interface Kind {
  pause: number;
  /** Of the newest line that was asked for, printed or not. */
  last: number;
  leftOut: number;
  newest: string;
  stop: (() => void) | undefined;
}

/**
 * Warns of each kind of event at once, and then less and less often: after a line there is a pause of 1 s, and each
 * further line of that kind doubles it, up to 60 s. What came in a pause is told at its end, in one line: the newest,
 * and how many there were. After 5 minutes without an event of a kind, its pauses are short again.
 */
export class SparingLog {
  private readonly logger: LoggerService;
  private readonly timers: Timers;
  private readonly kinds = new Map<string, Kind>();

  constructor(logger: LoggerService, timers: Timers) {
    this.logger = logger;
    this.timers = timers;
  }

  /** `kind` is one of a few: each one is kept. */
  warn(kind: string, message: string): void {
    const now = this.timers.now();
    const known = this.kinds.get(kind);
    if (known?.stop !== undefined) {
      known.last = now;
      known.leftOut += 1;
      known.newest = message;
      return;
    }
    const isFresh = known === undefined || now - known.last >= FORGOTTEN;
    const pause = isFresh ? SHORTEST : Math.min(LONGEST, known.pause * 2);
    const entry: Kind = { pause, last: now, leftOut: 0, newest: '', stop: undefined };
    this.kinds.set(kind, entry);
    this.logger.warn(lineOf(message));
    this.rest(entry);
  }

  /** Prints what was left out so far, and forgets the pauses. */
  flush(): void {
    for (const entry of this.kinds.values()) {
      entry.stop?.();
      this.tell(entry);
    }
    this.kinds.clear();
  }

  private rest(entry: Kind): void {
    entry.stop = this.timers.setTimer(entry.pause, () => {
      entry.stop = undefined;
      if (entry.leftOut === 0) return;
      this.tell(entry);
      entry.pause = Math.min(LONGEST, entry.pause * 2);
      this.rest(entry);
    });
  }

  private tell(entry: Kind): void {
    const { leftOut, newest } = entry;
    if (leftOut === 0) return;
    entry.leftOut = 0;
    const more = leftOut === 1 ? 'once more' : `${leftOut} more times, the last of them this`;
    this.logger.warn(lineOf(`${newest} (${more} since the last such line)`));
  }
}
