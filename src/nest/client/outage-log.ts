/**
 * What a client's log says about a connection that is lost, and about the attempts to come back. Sparing: a network that
 * flaps, or a server that is away for a day, must not fill the log.
 */
import type { LoggerService } from '@nestjs/common';
import { messageOf } from '../../endpoint/index.js';
import type { Connection, InterconnectError } from '../../endpoint/index.js';
import { lineOf } from '../common/log-lines.js';
import type { Timers } from '../common/timers.js';

/** When something was logged, and when it may be logged again. */
interface Told {
  readonly at: number;
  readonly interval: number;
  /** How often it has happened since. */
  unsaid: number;
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
    // Whatever happened before a long quiet time is news again.
    if (now - this.backAt >= LONGEST_INTERVAL) this.told.clear();
    this.begin(now);
    const what = `The connection to ${nameOf(connection)} has lost its socket`;
    this.tell(LOST, `${what}: ${messageOf(error)} What is sent waits for another socket.`, now);
  }

  /** A round of attempts has failed. */
  onFailed(error: InterconnectError): void {
    const now = this.timers.now();
    this.begin(now);
    const reason = messageOf(error);
    // One that changes each time is no news each time.
    if (!this.told.has(reason) && now - this.reasonAt < LEAST_INTERVAL) return;
    this.reasonAt = now;
    this.tell(reason, reason, now);
  }

  /** Calls fail from now on. */
  onOffline(error: InterconnectError): void {
    this.tell(
      OFFLINE,
      `${messageOf(error)} Calls fail at once until it is back.`,
      this.timers.now(),
    );
  }

  /** There is a connection, or one again. */
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

  /** The connection is given up, by whichever side. */
  onClosed(): void {
    this.since = undefined;
    this.hasSpoken = false;
  }

  private begin(now: number): void {
    this.since ??= now;
  }

  /** Once, and then ever less often. */
  private tell(key: string, text: string, now: number): void {
    const former = this.told.get(key);
    if (former !== undefined && now - former.at < former.interval) {
      former.unsaid += 1;
      return;
    }
    const interval = Math.min(LONGEST_INTERVAL, (former?.interval ?? FIRST_INTERVAL / 2) * 2);
    // In the order of their age.
    this.told.delete(key);
    this.told.set(key, { at: now, interval, unsaid: 0 });
    if (this.told.size > MOST_TOLD) this.told.delete([...this.told.keys()][0] ?? '');
    const times =
      former === undefined || former.unsaid === 0
        ? ''
        : ` (${former.unsaid} times more since this was said last)`;
    this.hasSpoken = true;
    this.logger.warn(lineOf(`${text}${times}`));
  }
}

function nameOf({ peer }: Connection): string {
  return peer.port === undefined ? peer.address : `${peer.address}:${peer.port}`;
}

const LOST = 'lost';
const OFFLINE = 'offline';
/** Milliseconds between two lines that say the same, at first. Each further one comes after twice as long. */
const FIRST_INTERVAL = 10_000;
/** Milliseconds that no interval exceeds; after so long with a connection, everything is news again. */
const LONGEST_INTERVAL = 600_000;
/** Milliseconds between two reasons that differ. */
const LEAST_INTERVAL = 1000;
/** Reasons that are kept. */
const MOST_TOLD = 16;
