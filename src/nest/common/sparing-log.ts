/** The lines of a server or client about events that others can cause at any rate. */
import { AsyncResource } from 'node:async_hooks';
import type { LoggerService } from '@nestjs/common';
import { LinePause } from './line-pause.js';
import { lineOf, partsOf } from './log-lines.js';
import type { Timers } from './timers.js';

/** Milliseconds: the first pause of a kind, the longest pause, and the silence after which the pauses are short again. */
const SHORTEST = 1000;
const LONGEST = 60_000;
const FORGOTTEN = 300_000;

type Level = 'warn' | 'error';

/** The lines of one kind of event. */
interface Kind {
  readonly pause: LinePause;
  readonly level: Level;
  /** When the newest line was asked for, printed or not. */
  last: number;
  newest: string;
  /** The stack that belongs to `newest`. */
  stack: string | undefined;
  /** Ends the pause; undefined if there is none now. */
  stop: (() => void) | undefined;
}

/** A line to print. */
interface Line {
  readonly kind: string;
  readonly level: Level;
  readonly message: string;
  readonly stack?: string | undefined;
  /** Milliseconds: the longest pause. */
  readonly longest: number;
}

/**
 * Tells of each kind of event at once, and of further ones after a pause of 1 s: one line then has the newest of the messages
 * that came meanwhile, and their number. So each kind has at most one line a second, at whatever rate its events come.
 *
 * A kind is a constant, or a constant and a registered pattern: words of the other side would make as many kinds as it likes.
 * All lines go through `lineOf`.
 */
export class SparingLog {
  private readonly logger: LoggerService;
  private readonly timers: Timers;
  private readonly kinds = new Map<string, Kind>();
  /** A line at the end of a pause belongs to no single request. */
  private readonly scope = new AsyncResource('InterconnectLog');

  constructor(logger: LoggerService, timers: Timers) {
    this.logger = logger;
    this.timers = timers;
  }

  /**
   * Warns of an event of the network, less and less often: each further line doubles the pause of its kind, up to 60 s. After 5
   * minutes without an event of the kind, its pauses are short again. Returns whether the line was printed at once.
   */
  warn(kind: string, message: string): boolean {
    return this.say({ kind, level: 'warn', message, longest: LONGEST });
  }

  /** Warns of an event that the application should see. The pauses stay at 1 s. */
  notice(kind: string, message: string): boolean {
    return this.say({ kind, level: 'warn', message, longest: SHORTEST });
  }

  /** Tells of a failure, with its stack if the application's own code has failed. The pauses stay at 1 s. */
  fail(kind: string, message: string, stack?: string): boolean {
    return this.say({ kind, level: 'error', message, stack, longest: SHORTEST });
  }

  /** Tells of an error that no caller gets: its message on one line, and then its stack. The pauses stay at 1 s. */
  error(kind: string, error: unknown): boolean {
    const { message, stack } = partsOf(error);
    return this.fail(kind, message, stack);
  }

  /** Prints a line for each kind that has left some out, and forgets the pauses. */
  flush(): void {
    for (const entry of this.kinds.values()) {
      entry.stop?.();
      if (entry.pause.leftOut > 0) this.printRest(entry);
    }
    this.kinds.clear();
  }

  private say({ kind, level, message, stack, longest }: Line): boolean {
    const now = this.timers.now();
    const known = this.kinds.get(kind);
    if (known?.stop !== undefined) {
      known.last = now;
      known.pause.leftOut += 1;
      known.newest = message;
      known.stack = stack;
      return false;
    }
    const isFresh = known === undefined || now - known.last >= FORGOTTEN;
    const pause = isFresh ? new LinePause(SHORTEST, longest) : known.pause;
    if (!isFresh) pause.lengthen();
    const entry: Kind = { pause, level, last: now, newest: '', stack: undefined, stop: undefined };
    this.kinds.set(kind, entry);
    this.print(level, message, stack);
    this.beginPause(entry);
    return true;
  }

  private beginPause(entry: Kind): void {
    const { pause } = entry;
    const end = () => {
      entry.stop = undefined;
      if (pause.leftOut === 0) return;
      this.printRest(entry);
      pause.lengthen();
      this.beginPause(entry);
    };
    entry.stop = this.scope.runInAsyncScope(() => this.timers.setTimer(pause.length, end));
  }

  private printRest(entry: Kind): void {
    const { level, pause, newest, stack } = entry;
    // The stack would stay in memory as long as the kind.
    entry.stack = undefined;
    this.print(level, pause.withCount(newest), stack);
  }

  private print(level: Level, message: string, stack: string | undefined): void {
    if (level === 'warn') this.logger.warn(lineOf(message));
    else if (stack === undefined) this.logger.error(lineOf(message));
    else this.logger.error(lineOf(message), stack);
  }
}
