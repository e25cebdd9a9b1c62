/** The connections of a listener that dialers can resume, found by the tokens that the dialers received. */
import { timingSafeEqual } from 'node:crypto';
import type { Connection } from './connection.js';
import type { Peer } from '../common/peer.js';

interface Entry {
  readonly connection: Connection;
  readonly token: Buffer;
  readonly identity: string;
}

export class Resumables {
  readonly #entries = new Map<string, Entry>();

  get size(): number {
    return this.#entries.size;
  }

  add(connection: Connection, token: Buffer, identity: string): void {
    this.#entries.set(keyOf(token), { connection, token, identity });
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

  delete(token: Buffer): void {
    this.#entries.delete(keyOf(token));
  }

  /** Returns the oldest connection without a socket. */
  oldestDetached(): Connection | undefined {
    for (const { connection } of this.#entries.values()) {
      if (connection.status === 'detached') return connection;
    }
    return undefined;
  }
}

/** The identity of a dialer: its certificate, and the principal of its accepted handshake. */
export function identityOf({ certificate }: Peer, principal: string): string {
  return `${certificate?.fingerprint256 ?? ''} ${principal}`;
}

/** Half of the token finds the entry; the other half is compared in constant time. */
function keyOf(token: Buffer): string {
  return token.toString('latin1', 0, token.length / 2);
}
