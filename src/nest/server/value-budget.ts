/** The limit of the bytes that wait for callers because Observables of handlers are faster: for each connection, in total. */
import { InterconnectError } from '../../endpoint/index.js';
import type { Connection } from '../../endpoint/index.js';
import type { InterconnectServerOptions } from '../common/interconnect.options.js';

/** The default of `maxQueuedBytes`. */
export const DEFAULT_QUEUED_BYTES = 64 * 1024 * 1024;
const MOST_QUEUED_BYTES = 2 ** 40;

/** The bytes that wait on one connection. */
export class ValueBudget {
  /** `maxQueuedBytes`. */
  readonly limit: number;
  private used = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  /** Counts a value and returns true if there is room for it. */
  take(bytes: number): boolean {
    if (this.used + bytes > this.limit) return false;
    this.used += bytes;
    return true;
  }

  /** Counts a value, with or without room for it. */
  force(bytes: number): void {
    this.used += bytes;
  }

  /** The value no longer waits. */
  give(bytes: number): void {
    this.used -= bytes;
  }
}

/** One budget for each connection of a server. */
export class ValueBudgets {
  private readonly limit: number;
  private readonly byConnection = new WeakMap<Connection, ValueBudget>();

  /** @throws IC_ERR_OPTION for a `maxQueuedBytes` out of its range. */
  constructor(options: InterconnectServerOptions) {
    this.limit = limitOf(options);
  }

  of(connection: Connection): ValueBudget {
    const known = this.byConnection.get(connection);
    if (known !== undefined) return known;
    const budget = new ValueBudget(this.limit);
    this.byConnection.set(connection, budget);
    return budget;
  }
}

/** The limit. A server that connects has the limits of its connection in `connect`. */
function limitOf({ maxQueuedBytes, connect = {} }: InterconnectServerOptions): number {
  const own = 'maxQueuedBytes' in connect ? connect.maxQueuedBytes : undefined;
  const limit = own ?? maxQueuedBytes ?? DEFAULT_QUEUED_BYTES;
  if (Number.isInteger(limit) && limit >= 0 && limit <= MOST_QUEUED_BYTES) return limit;
  throw new InterconnectError(
    'IC_ERR_OPTION',
    `maxQueuedBytes must be an integer from 0 to ${MOST_QUEUED_BYTES}, and is ${String(limit)}.`,
  );
}
