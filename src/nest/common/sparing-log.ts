/** Warnings about events that others can cause at any rate. */
import type { LoggerService } from '@nestjs/common';
import { LinePause } from './line-pause.js';
import { lineOf } from './log-lines.js';
import type { Timers } from './timers.js';

/** Milliseconds: the first pause of a kind, the longest pause, and the silence after which the pauses are short again. */
const SHORTEST = 1000;
const LONGEST = 60_000;
const FORGOTTEN = 300_000;

/** The lines of one kind of event. */
interface Kind {
  readonly pause: LinePause;
  /** When the newest line was asked for, printed or not. */
  last: number;
  newest: string;
  /** Ends the pause; undefined if there is none now. */
  stop: (() => void) | undefined;
}

/**
 * Warns of each kind of event at once, and then less and less often. After a line there is a pause of 1 s, and each
 * further line of that kind doubles it, up to 60 s. At the end of a pause, one line has the newest of the messages that
 * came meanwhile, and their number. After 5 minutes without an event of a kind, its pauses are short again.
 */
export class SparingLog {
  private readonly logger: LoggerService;
  private readonly timers: Timers;
  private readonly kinds = new Map<string, Kind>();

  constructor(logger: LoggerService, timers: Timers) {
    this.logger = logger;
    this.timers = timers;
  }

  /** There must be few values of `kind`, because the log keeps each one. */
  warn(kind: string, message: string): void {
    const now = this.timers.now();
    const known = this.kinds.get(kind);
    if (known?.stop !== undefined) {
      known.last = now;
      known.pause.leftOut += 1;
      known.newest = message;
      return;
    }
    const isFresh = known === undefined || now - known.last >= FORGOTTEN;
    const pause = isFresh ? new LinePause(SHORTEST, LONGEST) : known.pause;
    if (!isFresh) pause.lengthen();
    const entry: Kind = { pause, last: now, newest: '', stop: undefined };
    this.kinds.set(kind, entry);
    this.logger.warn(lineOf(message));
    this.beginPause(entry);
  }

  /** Prints a line for each kind that has left some out, and forgets the pauses. */
  flush(): void {
    for (const entry of this.kinds.values()) {
      entry.stop?.();
      if (entry.pause.leftOut > 0) this.print(entry);
    }
    this.kinds.clear();
  }

  private beginPause(entry: Kind): void {
    const { pause } = entry;
    entry.stop = this.timers.setTimer(pause.length, () => {
      entry.stop = undefined;
      if (pause.leftOut === 0) return;
      this.print(entry);
      pause.lengthen();
      this.beginPause(entry);
    });
  }

  private print({ pause, newest }: Kind): void {
    this.logger.warn(lineOf(pause.withCount(newest)));
  }
}
