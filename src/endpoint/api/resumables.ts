/** Connections of a listener that their dialers can come back to, by what was given to them for that. */
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

  /** Who asks must have the whole token, and be who it was given to; nothing tells which of the two was wrong. [IC-17.28] */
  find(token: Buffer, identity: string): Connection | undefined {
    const entry = this.#entries.get(keyOf(token));
    if (entry === undefined || entry.connection.isOver) return undefined;
    // [IC-17.17]
    const isSame = timingSafeEqual(entry.token, token) && entry.identity === identity;
    return isSame ? entry.connection : undefined;
  }

  delete(token: Buffer): void {
    this.#entries.delete(keyOf(token));
  }

  /** The one without a socket that came first. */
  oldestDetached(): Connection | undefined {
    for (const { connection } of this.#entries.values()) {
      if (connection.status === 'detached') return connection;
    }
    return undefined;
  }
}

/** Who a dialer is: its certificate, and what the judgement of its handshake found. */
export function identityOf({ certificate }: Peer, principal: string): string {
  return `${certificate?.fingerprint256 ?? ''} ${principal}`;
}

/** Half of the token finds the entry; the other half is compared in constant time. */
function keyOf(token: Buffer): string {
  return token.toString('latin1', 0, token.length / 2);
}
