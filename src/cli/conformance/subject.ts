/** The implementation under test, and how a case comes to a socket with it. */
import type { Peer } from './peer.js';
import type { Waits } from './waits.js';

/** What the implementation under test is: the other side of the suite. */
export type Role = 'listener' | 'dialer';

/** One implementation under test, for one case. */
export interface Subject extends Waits {
  readonly role: Role;
  /** Whether the suite speaks TLS with it. */
  readonly isEncrypted: boolean;
  /** A new socket on which the suite has said nothing: a dialer's first one, and then the next that it opens. */
  connect(): Promise<Peer>;
  /** Ends everything that the case has begun. */
  dispose(): Promise<void>;
}
