/**
 * The TLS options of listeners and dialers. They are Node's options and a few of this library. Here they are checked,
 * and become options for Node whose defaults are stricter than Node's own.
 */
import { constants, createHash, type Hash } from 'node:crypto';
import type {
  ConnectionOptions as NodeDialerOptions,
  TlsOptions as NodeListenerOptions,
  TLSSocket,
} from 'node:tls';
import { checkObject } from '../common/checks.js';
import { optionError } from '../common/errors.js';
import { inspectShort, isObject } from '../common/words.js';

/** The options that this library adds to Node's TLS options on both sides. */
export interface AlpnOptions {
  /**
   * Whether the other side must agree on the ALPN identifier `intc/1`. Set `false` if a proxy in between ends TLS and
   * does not pass ALPN on. Default `true`.
   */
  requireAlpn?: boolean | undefined;
}

/**
 * The TLS options of a listener: Node's `tls.createServer` options, with other defaults. `minVersion` is `'TLSv1.3'`
 * and may be `'TLSv1.2'`; the ciphers for TLS 1.2 are those with forward secrecy and authenticated encryption.
 */
export interface ListenerTlsOptions extends NodeListenerOptions, AlpnOptions {
  /**
   * Whether dialers get session tickets, with which a later TLS handshake costs less. A ticket counts only as long as
   * `ca`, `crl`, `pfx`, `requestCert` and `rejectUnauthorized` stay the same. A dialer with a ticket does not show its
   * certificate again, so an expired or revoked certificate can pass until the ticket expires (`sessionTimeout`,
   * 300 seconds). Default: `true` without `requestCert`, and `false` with it.
   */
  sessionTickets?: boolean | undefined;
}

/**
 * The TLS options of a dialer: Node's `tls.connect` options, with other defaults. `minVersion` is `'TLSv1.3'` and may
 * be `'TLSv1.2'`. The listener's certificate is verified unless `rejectUnauthorized` is `false`: the environment
 * variable `NODE_TLS_REJECT_UNAUTHORIZED` has no effect.
 */
export interface DialerTlsOptions extends NodeDialerOptions, AlpnOptions {}

/** @internal The demands on a socket whose TLS handshake is over. */
export interface TlsPolicy {
  readonly requireAlpn: boolean;
  readonly minVersion: TlsVersion;
}

/** @internal TLS options for Node, and what is checked beside them. */
export interface CheckedTls<Options> {
  readonly options: Options;
  readonly policy: TlsPolicy;
}

type TlsVersion = 'TLSv1.2' | 'TLSv1.3';

/** @internal @throws IC_ERR_OPTION naming the option, its value and the remedy. */
export function listenerTlsOf(tls: ListenerTlsOptions): CheckedTls<NodeListenerOptions> {
  checkObject('tls', tls);
  const { requireAlpn: _, sessionTickets, ...given } = tls;
  checkFlag('sessionTickets', sessionTickets);
  const policy = policyOf(tls);
  const hasTickets = sessionTickets ?? tls.requestCert !== true;
  const noTickets = hasTickets ? 0 : constants.SSL_OP_NO_TICKET;
  const options: NodeListenerOptions = {
    ...given,
    ...defaultsOf(tls, policy),
    secureOptions: (tls.secureOptions ?? 0) | noTickets,
    sessionIdContext: trustOf(tls),
  };
  return { options, policy };
}

/** @internal @throws IC_ERR_OPTION naming the option, its value and the remedy. */
export function dialerTlsOf(setup: DialerTlsOptions | true): CheckedTls<NodeDialerOptions> {
  const tls: DialerTlsOptions = setup === true ? {} : setup;
  checkObject('tls', tls);
  const { requireAlpn: _, ...given } = tls;
  const policy = policyOf(tls);
  const options: NodeDialerOptions = {
    ...given,
    ...defaultsOf(given, policy),
    // Without a value, Node takes the value of an environment variable.
    rejectUnauthorized: given.rejectUnauthorized ?? true,
    // A listener asks for another TLS handshake only to change keys or identities of TLS 1.2.
    secureOptions: (given.secureOptions ?? 0) | constants.SSL_OP_NO_RENEGOTIATION,
  };
  return { options, policy };
}

/**
 * @internal Returns why a socket must not be used after its TLS handshake, as the end of a sentence; undefined if all is
 * well. [IC-2.2] [IC-2.12]
 */
export function tlsFaultOf(socket: TLSSocket, policy: TlsPolicy): string | undefined {
  const version = socket.getProtocol();
  if (version !== 'TLSv1.3' && version !== policy.minVersion) {
    return `uses ${version ?? 'no TLS'}, and tls.minVersion is ${policy.minVersion}. Set tls.minVersion to 'TLSv1.2' to allow it`;
  }
  const { alpnProtocol } = socket;
  if (!policy.requireAlpn || alpnProtocol === ALPN) return undefined;
  const what =
    typeof alpnProtocol === 'string' ? `agreed on ${inspectShort(alpnProtocol)}` : 'has no ALPN';
  return `${what}, and tls.requireAlpn wants '${ALPN}'. Set tls.requireAlpn to false to do without`;
}

/**
 * @internal Returns a text that stands for all options that say which certificates are trusted. TLS sessions are bound
 * to the text: a session ticket opens nothing at a listener that trusts others.
 */
export function trustOf(tls: ListenerTlsOptions): string {
  const hash = createHash('sha256');
  const { sessionIdContext, ca, crl, pfx, requestCert, rejectUnauthorized } = tls;
  const flags = `${requestCert === true} ${rejectUnauthorized !== false}`;
  for (const each of [flags, sessionIdContext, ca, crl, pfx]) feed(hash, each);
  // OpenSSL takes at most 32 octets.
  return hash.digest('hex').slice(0, 32);
}

/** Feeds each part with its length, so that two different lists never look alike. */
function feed(hash: Hash, value: unknown): void {
  if (Array.isArray(value)) {
    hash.update(`[${value.length}`);
    for (const each of value) feed(hash, each);
  } else if (typeof value === 'string' || value instanceof Uint8Array) {
    hash.update(`=${Buffer.byteLength(value)} `).update(value);
  } else if (isObject(value)) {
    feed(hash, Object.values(value));
  } else {
    hash.update(`-${String(value)}`);
  }
}

function policyOf(tls: ListenerTlsOptions | DialerTlsOptions): TlsPolicy {
  const { requireAlpn, minVersion = 'TLSv1.3', maxVersion = 'TLSv1.3', secureProtocol } = tls;
  checkFlag('requireAlpn', requireAlpn);
  if (secureProtocol !== undefined) {
    throw optionError(
      `tls.secureProtocol is not supported, and is ${inspectShort(secureProtocol)}. Set tls.minVersion instead.`,
    );
  }
  checkVersion('minVersion', minVersion);
  checkVersion('maxVersion', maxVersion);
  if (maxVersion < minVersion) {
    throw optionError(
      `tls.maxVersion (${maxVersion}) must not be below tls.minVersion (${minVersion}). Set tls.minVersion to ${maxVersion} too.`,
    );
  }
  const policy = { requireAlpn: requireAlpn ?? true, minVersion };
  if (policy.requireAlpn && !offersAlpn(tls.ALPNProtocols)) {
    throw optionError(
      `tls.ALPNProtocols must contain '${ALPN}', or tls.requireAlpn must be false: the other side would be refused.`,
    );
  }
  return policy;
}

function defaultsOf(
  tls: ListenerTlsOptions | DialerTlsOptions,
  { minVersion }: TlsPolicy,
): Pick<NodeListenerOptions, 'ALPNProtocols' | 'minVersion' | 'ciphers'> {
  const hasCallback = 'ALPNCallback' in tls && tls.ALPNCallback !== undefined;
  return {
    minVersion,
    ...(tls.ciphers === undefined && { ciphers: CIPHERS }),
    // Node takes either the list or a callback.
    ...(!hasCallback && { ALPNProtocols: tls.ALPNProtocols ?? [ALPN] }),
  };
}

function offersAlpn(protocols: NodeListenerOptions['ALPNProtocols']): boolean {
  if (protocols === undefined) return true;
  if (Array.isArray(protocols)) return protocols.some((each) => String(each) === ALPN);
  if (!(protocols instanceof Uint8Array)) return false;
  // The form of the wire: each name after its length.
  return Buffer.from(protocols).includes(`${String.fromCharCode(ALPN.length)}${ALPN}`);
}

function checkVersion(name: string, version: unknown): asserts version is TlsVersion {
  if (version === 'TLSv1.2' || version === 'TLSv1.3') return;
  throw optionError(
    `tls.${name} must be 'TLSv1.2' or 'TLSv1.3', and is ${inspectShort(version)}. Older versions are not safe.`,
  );
}

function checkFlag(name: string, value: unknown): void {
  if (value === undefined || typeof value === 'boolean') return;
  throw optionError(`tls.${name} must be true or false, and is ${inspectShort(value)}.`);
}

const ALPN = 'intc/1';

/** The ciphers of TLS 1.3, and those of TLS 1.2 with forward secrecy and authenticated encryption. */
const CIPHERS = [
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'TLS_AES_128_GCM_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');
