/** The implementation under test, and the way in which a case gets a socket to it. */
import type { Peer } from './peer.js';
import type { Waits } from './waits.js';

/** The role of the implementation under test. The suite has the opposite role. */
export type Role = 'listener' | 'dialer';

/** The implementation under test during one case. */
export interface Subject extends Waits {
  readonly role: Role;
  /** Whether the suite uses TLS. */
  readonly isEncrypted: boolean;
  /**
   * A new socket, on which the suite has written nothing. Each call gives the next socket that a dialer under test
   * has opened. `alpn`: the identifiers that the suite offers to a listener on TLS.
   */
  connect(alpn?: readonly string[]): Promise<Peer>;
  /** Ends everything that the case has started. */
  dispose(): Promise<void>;
}
