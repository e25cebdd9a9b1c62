/** New certificates and authorities for a listener that goes on listening. */
import { TLSSocket } from 'node:tls';
import { optionError } from '../common/errors.js';
import { checkObject } from '../common/checks.js';
import { inspectShort } from '../common/words.js';
import { listenerTlsOf, type ListenerTlsOptions } from '../socket/tls-options.js';
import { TrustSet } from '../socket/tls-trust.js';
import type { Connection } from './connection.js';

/** The TLS options that can change while a listener listens. Each that is not given stays as it is. */
export type SecureContextChanges = Pick<
  ListenerTlsOptions,
  'key' | 'cert' | 'pfx' | 'passphrase' | 'ca' | 'crl' | 'ticketKeys'
>;

/** What happens to the connections that exist. */
export interface SecureContextOptions {
  /**
   * `'drain'` (the default): if `ca`, `crl` or `pfx` change, connections whose certificate is no longer trusted are
   * drained, and sockets whose handshake is under way are ended. With `crl` or `pfx`, these are all connections with a
   * certificate; dialers that are still trusted come back. `'keep'`: connections stay until their sockets are lost.
   */
  untrusted?: 'drain' | 'keep' | undefined;
  /** Milliseconds of the drain. Default 30,000; 0 = at once. */
  timeout?: number | undefined;
}

/** @internal Returns the former options with the changes. @throws IC_ERR_OPTION naming the option and the remedy. */
export function changedTls(
  former: ListenerTlsOptions | undefined,
  changes: SecureContextChanges,
): ListenerTlsOptions {
  checkObject('The options of setSecureContext', changes);
  if (former === undefined) {
    throw optionError('setSecureContext needs a listener with the option tls.');
  }
  const given = Object.entries(changes).filter(([, value]) => value !== undefined);
  const wrong = given.find(([name]) => !CHANGEABLE.has(name));
  if (wrong !== undefined) {
    throw optionError(
      `setSecureContext cannot change tls.${wrong[0]}. It takes ${[...CHANGEABLE].join(', ')}. Listen again for others.`,
    );
  }
  const tls: ListenerTlsOptions = { ...former, ...Object.fromEntries(given) };
  listenerTlsOf(tls);
  return tls;
}

/** @internal @throws IC_ERR_OPTION */
export function keepsUntrusted({ untrusted }: SecureContextOptions): boolean {
  if (untrusted === 'keep') return true;
  const given: unknown = untrusted;
  if (given === undefined || given === 'drain') return false;
  throw optionError(`untrusted must be 'drain' or 'keep', and is ${inspectShort(untrusted)}.`);
}

/** @internal The connections whose dialers have shown a certificate that the new options do not trust. */
export function untrustedOf(
  connections: Iterable<Connection>,
  tls: ListenerTlsOptions,
): Connection[] {
  const trust = new TrustSet(tls);
  return [...connections].filter(({ continuity, peer, socket }) => {
    // A certificate that was not verified was let in by the application, which does not judge by authorities.
    if (!peer.authorized || !(socket instanceof TLSSocket)) return false;
    // A connection without a socket waits for the next TLS handshake of its dialer, which judges.
    return continuity.driver !== undefined && !trust.trusts(socket);
  });
}

const CHANGEABLE: ReadonlySet<string> = new Set<keyof SecureContextChanges>([
  'key',
  'cert',
  'pfx',
  'passphrase',
  'ca',
  'crl',
  'ticketKeys',
]);
