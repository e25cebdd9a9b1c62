/**
 * Whether a certificate that was verified once is still trusted after the authorities of a listener have changed. Node
 * verifies certificates only in a TLS handshake, so this file follows the chain of signatures itself.
 */
import { X509Certificate } from 'node:crypto';
import { rootCertificates, type DetailedPeerCertificate, type TLSSocket } from 'node:tls';
import { wallTime } from '../common/runtime.js';
import type { ListenerTlsOptions } from './tls-options.js';

/** @internal The authorities of a listener, read once for many certificates. */
export class TrustSet {
  readonly #authorities: readonly X509Certificate[];
  readonly #fingerprints: ReadonlySet<string>;
  /** Whether these options trust in a way that this file cannot follow. */
  readonly #isOpaque: boolean;

  constructor({ ca, crl, pfx }: ListenerTlsOptions) {
    this.#authorities = certificatesIn(ca ?? [...rootCertificates]);
    this.#fingerprints = new Set(this.#authorities.map(({ fingerprint256 }) => fingerprint256));
    this.#isOpaque = crl !== undefined || pfx !== undefined;
  }

  /**
   * Returns true if the certificate of the socket's peer leads to an authority of this set. Returns false if that cannot
   * be known: the peer may connect again, and TLS then judges.
   */
  trusts(socket: TLSSocket): boolean {
    const chain = chainOf(socket);
    const [leaf] = chain;
    if (leaf === undefined || this.#isOpaque) return false;
    return this.#leadsToAuthority(leaf, [...chain, ...this.#authorities], MAX_DEPTH);
  }

  #leadsToAuthority(
    certificate: X509Certificate,
    pool: readonly X509Certificate[],
    depth: number,
  ): boolean {
    if (depth === 0 || !isCurrent(certificate)) return false;
    if (isSignedBy(certificate, certificate)) {
      return this.#fingerprints.has(certificate.fingerprint256);
    }
    return pool.some(
      (issuer) =>
        issuer.ca &&
        isSignedBy(certificate, issuer) &&
        this.#leadsToAuthority(issuer, pool, depth - 1),
    );
  }
}

/** @internal The certificates in an option of Node: texts or octets in PEM, each with one certificate or several. */
export function certificatesIn(option: ListenerTlsOptions['cert']): X509Certificate[] {
  const texts = [option ?? []].flat().map(String);
  return texts.flatMap((text) => (text.match(PEM) ?? []).map((pem) => new X509Certificate(pem)));
}

/** The certificates that the peer has shown, its own first. Node adds the former authority. */
function chainOf(socket: TLSSocket): X509Certificate[] {
  const chain: X509Certificate[] = [];
  const seen = new Set<unknown>();
  // Node's type does not say that a closed socket has no certificate, and that the chain may end early.
  let each = socket.getPeerCertificate(true) as Partial<DetailedPeerCertificate> | null | undefined;
  while (each?.raw !== undefined && !seen.has(each) && chain.length < MAX_DEPTH) {
    seen.add(each);
    chain.push(new X509Certificate(each.raw));
    each = each.issuerCertificate;
  }
  return chain;
}

function isSignedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

function isCurrent({ validFrom, validTo }: X509Certificate): boolean {
  const now = wallTime();
  return new Date(validFrom).getTime() <= now && now <= new Date(validTo).getTime();
}

const PEM =
  /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]+-----END (?:TRUSTED |X509 )?CERTIFICATE-----/gu;
/** Certificates of a chain. */
const MAX_DEPTH = 8;
