/**
 * A client's log about its outages: the lost connection, and the attempts to come back. A flapping network, or a server
 * that is away for a day, must not fill the log.
 */
import type { LoggerService } from '@nestjs/common';
import { messageOf } from '../../endpoint/index.js';
import type { Connection, InterconnectError } from '../../endpoint/index.js';
import { LinePause } from '../common/line-pause.js';
import { lineOf } from '../common/log-lines.js';
import type { Timers } from '../common/timers.js';

/** When a line was printed, and the pause until it may be printed again. */
interface Told {
  readonly at: number;
  readonly pause: LinePause;
}

export class OutageLog {
  private readonly logger: Pick<LoggerService, 'warn'>;
  private readonly timers: Pick<Timers, 'now'>;
  private readonly told = new Map<string, Told>();
  /** When the last reason was logged. */
  private reasonAt = -Infinity;
  /** When the connection was lost, or the first attempt failed; undefined while there is a connection. */
  private since: number | undefined;
  private hasSpoken = false;
  private backAt = -Infinity;

  constructor(logger: Pick<LoggerService, 'warn'>, timers: Pick<Timers, 'now'>) {
    this.logger = logger;
    this.timers = timers;
  }

  onDetached(connection: Connection, error: InterconnectError): void {
    const now = this.timers.now();
    // After a long time with a connection, each line is printed at once again.
    if (now - this.backAt >= LONGEST_PAUSE) this.told.clear();
    this.begin(now);
    const what = `The connection to ${nameOf(connection)} has lost its socket`;
    this.tell(LOST, `${what}: ${messageOf(error)} Calls wait for another socket.`, now);
  }

  /** A round of attempts has failed. */
  onFailed(error: InterconnectError): void {
    const now = this.timers.now();
    this.begin(now);
    const reason = messageOf(error);
    // A reason that changes each time must not be printed each time.
    if (!this.told.has(reason) && now - this.reasonAt < REASON_PAUSE) return;
    this.reasonAt = now;
    this.tell(reason, reason, now);
  }

  /** From now on calls fail, because there is no connection. */
  onOffline(error: InterconnectError): void {
    this.tell(
      OFFLINE,
      `${messageOf(error)} Calls fail at once until it is back.`,
      this.timers.now(),
    );
  }

  /** There is a connection, perhaps again. */
  onBack(connection: Connection): void {
    const now = this.timers.now();
    this.backAt = now;
    const { since, hasSpoken } = this;
    this.since = undefined;
    this.hasSpoken = false;
    if (since === undefined || !hasSpoken) return;
    const seconds = ((now - since) / 1000).toFixed(1);
    this.logger.warn(
      lineOf(`There is a connection to ${nameOf(connection)} again, after ${seconds} s.`),
    );
  }

  /** One of the two sides has closed the connection. */
  onClosed(): void {
    this.since = undefined;
    this.hasSpoken = false;
  }

  private begin(now: number): void {
    this.since ??= now;
  }

  /** Prints the line of this key at once, and then after pauses that double. */
  private tell(key: string, text: string, now: number): void {
    const former = this.told.get(key);
    if (former !== undefined && now - former.at < former.pause.length) {
      former.pause.leftOut += 1;
      return;
    }
    const pause = former?.pause ?? new LinePause(FIRST_PAUSE, LONGEST_PAUSE);
    if (former !== undefined) pause.lengthen();
    // Deleted first, so that the keys are in the order of their age.
    this.told.delete(key);
    this.told.set(key, { at: now, pause });
    if (this.told.size > MOST_TOLD) this.told.delete([...this.told.keys()][0] ?? '');
    this.hasSpoken = true;
    this.logger.warn(lineOf(pause.withCount(text)));
  }
}

function nameOf({ peer }: Connection): string {
  return peer.port === undefined ? peer.address : `${peer.address}:${peer.port}`;
}

const LOST = 'lost';
const OFFLINE = 'offline';
/** Milliseconds: the pause after the first line of a key. */
const FIRST_PAUSE = 10_000;
/** Milliseconds: the longest pause, and the time with a connection after which the pauses are short again. */
const LONGEST_PAUSE = 600_000;
/** Milliseconds between two reasons that differ. */
const REASON_PAUSE = 1000;
/** The most lines that are remembered. */
const MOST_TOLD = 16;
