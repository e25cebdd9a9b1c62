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

/** Options of `check()`. */
export interface InterconnectHealthOptions {
  /** The most milliseconds for the connection and the round trip together. Default 1000. */
  timeout?: number | undefined;
  /** @internal Tests own the clock. */
  clock?: Timers | undefined;
}

/** The health of one client or server. */
export type InterconnectHealth = {
  /** A server that shuts down is down, so that it gets no new connections. */
  status: 'up' | 'down';
  /** The current value of `client.status` or `server.status`. */
  state: InterconnectStatus;
  /** The round trip in milliseconds, of a client that is up. */
  latency?: number;
  /** The number of connected peers, of a server. */
  peers?: number;
  /** The reason, of a client that is down. */
  message?: string;
  /** The code of the reason, for programs. */
  code?: ErrorCode;
  /** Milliseconds without a connection, of a client that is down and has none. */
  downFor?: number;
};

/** The result that Terminus expects from an indicator, in every version. */
export type InterconnectHealthResult<Key extends string = string> = Record<Key, InterconnectHealth>;

/**
 * Tells whether other processes can be reached, and whether this one can be, for Terminus or a page of your own:
 *
 * ```ts
 * this.health.check([
 *   () => this.interconnect.check('replicas', this.client),
 *   () => this.interconnect.checkServer('server', this.server),
 * ]);
 * ```
 *
 * It does not need Terminus, and never throws: the result has the reason. `InterconnectModule` provides it.
 */
@Injectable()
export class InterconnectHealthIndicator {
  /**
   * Up if the other side's library responds over the client's own connection. Without a connection, this opens one. No handler
   * runs at the other side.
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
        // The reason of an outage tells more than the missing response.
        ...reasonOf(error === lateness ? (outage?.error ?? error) : error),
        ...(outage !== undefined && { downFor: Math.round(outage.duration) }),
      });
    } finally {
      stopTimer();
    }
  }

  /** Up if the server listens, or with `connect` has its connection. Down as soon as it begins to shut down. */
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
    `There was no response within ${timeout} ms. Look at the other side, or give the check a longer timeout.`,
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
