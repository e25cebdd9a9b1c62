/**
 * The connections of a listener that dialers can resume, found by the tokens that the dialers received. Those without a
 * socket are bounded in number, and share the room: the one that ends is of the principal or address that has most, and
 * there the one that was used least.
 */
import { timingSafeEqual } from 'node:crypto';
import { TokenBucket } from '../../protocol/index.js';
import type { Connection } from './connection.js';
import type { Peer } from '../common/peer.js';
import { Ranking } from '../common/ranking.js';
import type { AddressGroup } from '../socket/places.js';

interface Entry {
  readonly connection: Connection;
  readonly token: Buffer;
  readonly identity: string;
  readonly share: Share;
  /** How often the connection may be resumed. */
  readonly rate: TokenBucket;
  /** How much the connection had been used when it lost its socket; undefined while it has one. */
  use: number | undefined;
}

/** The waiting connections of one principal, or of one address without a principal. */
interface Share {
  readonly key: string;
  /** How many of them may wait at once. */
  readonly most: number;
  /** By use, the least used first; in each set the oldest first. */
  readonly waiting: readonly Set<Entry>[];
  /** All connections of the share, with and without a socket. */
  users: number;
}

/** The limits of the connections without a socket. */
export interface ResumableLimits {
  readonly all: number;
  /** For an address that is counted, unless the dialer has a principal. */
  readonly perAddress: number;
}

export class Resumables {
  readonly #limits: ResumableLimits;
  readonly #entries = new Map<string, Entry>();
  readonly #byConnection = new Map<Connection, Entry>();
  readonly #shares = new Map<string, Share>();
  readonly #ranking = new Ranking<Share>();
  /** How many connections wait for their dialers. */
  #waiting = 0;

  constructor(limits: ResumableLimits) {
    this.#limits = limits;
  }

  /** `group`: the address of the dialer. */
  add(
    connection: Connection,
    token: Buffer,
    identity: string,
    group: Pick<AddressGroup, 'key' | 'isCounted'>,
    now: number,
  ): void {
    const share = this.#shareFor(identity, group);
    const rate = new TokenBucket(RESUMES, RESUMES_PER_SECOND, now);
    const entry: Entry = { connection, token, identity, share, rate, use: undefined };
    this.#entries.set(keyOf(token), entry);
    this.#byConnection.set(connection, entry);
  }

  /**
   * Finds a connection. The dialer must have the whole token and the same identity. No reply reveals which of the two
   * was wrong. [IC-17.30]
   */
  find(token: Buffer, identity: string): Connection | undefined {
    const entry = this.#entries.get(keyOf(token));
    if (entry === undefined || entry.connection.isOver) return undefined;
    // [IC-17.19]
    const isSame = timingSafeEqual(entry.token, token) && entry.identity === identity;
    return isSame ? entry.connection : undefined;
  }

  /** Whether this is the token of a connection. */
  knows(token: Buffer): boolean {
    const entry = this.#entries.get(keyOf(token));
    return entry !== undefined && timingSafeEqual(entry.token, token);
  }

  /** Whether the connection may be resumed now, or has been resumed too often. Counts a resume. */
  mayResume(connection: Connection, now: number): boolean {
    return this.#byConnection.get(connection)?.rate.take(now) ?? true;
  }

  /** The connection has a socket again. */
  onAttached(connection: Connection): void {
    const entry = this.#byConnection.get(connection);
    if (entry !== undefined) this.#leave(entry);
  }

  /** The connection has lost its socket. Returns the connections that have to end, because too many wait. */
  onDetached(connection: Connection): readonly Connection[] {
    const entry = this.#byConnection.get(connection);
    if (entry === undefined || entry.use !== undefined) return [];
    const { share } = entry;
    entry.use = useOf(connection);
    share.waiting[entry.use]?.add(entry);
    this.#waiting += 1;
    this.#ranking.grow(share);
    const surplus: Connection[] = [];
    if (this.#ranking.sizeOf(share) > share.most) this.#evict(share, surplus);
    const { largest } = this.#ranking;
    if (this.#waiting > this.#limits.all && largest !== undefined) this.#evict(largest, surplus);
    return surplus;
  }

  delete(connection: Connection): void {
    const entry = this.#byConnection.get(connection);
    if (entry === undefined) return;
    this.#leave(entry);
    this.#byConnection.delete(connection);
    this.#entries.delete(keyOf(entry.token));
    const { share } = entry;
    share.users -= 1;
    if (share.users === 0) this.#shares.delete(share.key);
  }

  #shareFor(identity: string, group: Pick<AddressGroup, 'key' | 'isCounted'>): Share {
    const isNamed = identity !== NOBODY;
    const key = isNamed ? `principal ${identity}` : `address ${group.key}`;
    let share = this.#shares.get(key);
    if (share === undefined) {
      const most = group.isCounted && !isNamed ? this.#limits.perAddress : Infinity;
      share = { key, most, waiting: Array.from({ length: CLASSES }, () => new Set()), users: 0 };
      this.#shares.set(key, share);
    }
    share.users += 1;
    return share;
  }

  #evict(share: Share, surplus: Connection[]): void {
    for (const [least] of share.waiting) {
      if (least === undefined) continue;
      this.#leave(least);
      surplus.push(least.connection);
      return;
    }
  }

  #leave(entry: Entry): void {
    const { share, use } = entry;
    if (use === undefined) return;
    entry.use = undefined;
    share.waiting[use]?.delete(entry);
    this.#waiting -= 1;
    this.#ranking.shrink(share);
  }
}

/** The identity of a dialer: its certificate, and the principal of its accepted handshake. */
export function identityOf({ certificate }: Peer, principal: string): string {
  return `${certificate?.fingerprint256 ?? ''} ${principal}`;
}

/** Returns 0 for a connection that was never used, and one more for each fourfold number of frames. */
function useOf(connection: Connection): number {
  return Math.min(CLASSES - 1, Math.ceil(Math.log2(connection.frames + 1) / 2));
}

/** Half of the token finds the entry; the other half is compared in constant time. */
function keyOf(token: Buffer): string {
  return token.toString('latin1', 0, token.length / 2);
}

/** The identity of a dialer that the application did not name. */
const NOBODY = ' ';
const CLASSES = 12;
/** How often a connection may be resumed at once, and in a second. A resume can cost some milliseconds. */
const RESUMES = 60;
const RESUMES_PER_SECOND = 5;
