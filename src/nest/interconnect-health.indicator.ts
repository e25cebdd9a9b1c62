import { Injectable } from '@nestjs/common';
import type { Observable } from 'rxjs';
import {
  InterconnectError,
  isInterconnectError,
  messageOf,
  systemClock,
} from '../endpoint/index.js';
import type { ErrorCode } from '../endpoint/index.js';
import { InterconnectClient } from './client/interconnect.client.js';
import { InterconnectStatus } from './common/interconnect.events.js';
import { InterconnectServer } from './server/interconnect.server.js';
import type { Timers } from './common/timers.js';

const TIMEOUT = 1000;

/** For `check()`. */
export interface InterconnectHealthOptions {
  /** Milliseconds within which the connection must stand and the round trip be over. Default 1000. */
  timeout?: number | undefined;
  /** @internal Tests own the clock. */
  clock?: Timers | undefined;
}

/** How one client or server is. */
export type InterconnectHealth = {
  /** A server that shuts down is down: nothing new is to come to it. */
  status: 'up' | 'down';
  /** What `client.status` or `server.status` said last. */
  state: InterconnectStatus;
  /** Of a client that is up: the round trip in milliseconds. */
  latency?: number;
  /** Of a server: how many are connected to it. */
  peers?: number;
  /** Of a client that is down: why. */
  message?: string;
  /** The same, for programs. */
  code?: ErrorCode;
  /** Of a client that is down: milliseconds for which it has had no connection, if it has none. */
  downFor?: number;
};

/** What Terminus takes from an indicator, in every version. */
export type InterconnectHealthResult<Key extends string = string> = Record<Key, InterconnectHealth>;

/**
 * Whether others can be reached, and whether this process can be, for Terminus or a page of one's own:
 *
 * ```ts
 * this.health.check([
 *   () => this.interconnect.check('replicas', this.client),
 *   () => this.interconnect.checkServer('server', this.server),
 * ]);
 * ```
 *
 * It needs nothing of Terminus, and never throws: what is wrong is in the result. `InterconnectModule` provides it.
 */
@Injectable()
export class InterconnectHealthIndicator {
  /**
   * Up if the other side's library answers over the client's own connection, which is opened where there is none.
   * No handler runs there.
   */
  async check<Key extends string>(
    key: Key,
    client: Pick<InterconnectClient, 'connect' | 'status'> &
      Partial<Pick<InterconnectClient, 'outage'>>,
    options: InterconnectHealthOptions = {},
  ): Promise<InterconnectHealthResult<Key>> {
    const { timeout = TIMEOUT, clock = systemClock } = options;
    let stopTimer = () => {};
    const lateness = silent(timeout);
    const late = new Promise<never>((_resolve, reject) => {
      stopTimer = clock.setAlarm(timeout, () => reject(lateness));
    });
    try {
      const latency = await Promise.race([roundTrip(client), late]);
      return result(key, { status: 'up', state: stateOf(client), latency });
    } catch (error) {
      const { outage } = client;
      return result(key, {
        status: 'down',
        state: stateOf(client),
        // Why there is no connection tells more than that nobody answers.
        ...reasonOf(error === lateness ? (outage?.error ?? error) : error),
        ...(outage !== undefined && { downFor: Math.round(outage.duration) }),
      });
    } finally {
      stopTimer();
    }
  }

  /** Up if it listens, or with `connect` has its connection; and down as soon as it begins to shut down. */
  checkServer<Key extends string>(
    key: Key,
    server: InterconnectServer,
  ): InterconnectHealthResult<Key> {
    const state = stateOf(server);
    const status = state === InterconnectStatus.CONNECTED ? 'up' : 'down';
    return result(key, { status, state, peers: server.peers.size });
  }
}

async function roundTrip(client: Pick<InterconnectClient, 'connect'>): Promise<number> {
  const connection = await client.connect();
  return connection.ping();
}

function silent(timeout: number): InterconnectError {
  return new InterconnectError(
    'IC_ERR_TIMEOUT',
    `There was no answer within ${timeout} ms. Look at the other side, or give the check a longer timeout.`,
  );
}

function stateOf({ status }: { status: Observable<InterconnectStatus> }): InterconnectStatus {
  let state: InterconnectStatus = InterconnectStatus.DISCONNECTED;
  status.subscribe((last) => (state = last)).unsubscribe();
  return state;
}

function reasonOf(error: unknown): Pick<InterconnectHealth, 'message' | 'code'> {
  const message = messageOf(error);
  return isInterconnectError(error) ? { message, code: error.code } : { message };
}

function result<Key extends string>(
  key: Key,
  health: InterconnectHealth,
): InterconnectHealthResult<Key> {
  return { [key]: health } as InterconnectHealthResult<Key>;
}
