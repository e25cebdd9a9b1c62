/** The certificates of this run: two authorities, and the certificates that each has signed. */
import { generate } from 'selfsigned';

/** A private key and its certificate, both in PEM. */
export interface Identity {
  readonly key: string;
  readonly cert: string;
}

export interface Certificates {
  /** The certificate of the authority. */
  readonly ca: string;
  /** A server certificate for `localhost`, `127.0.0.1` and `::1`. */
  readonly server: Identity;
  /** A client certificate with the name `replica-7`. */
  readonly client: Identity;
  /** The certificate of another authority. It has signed neither `server` nor `client`. */
  readonly strangeCa: string;
  /** A client certificate that the other authority has signed. */
  readonly strangeClient: Identity;
}

let made: Promise<Certificates> | undefined;

/** The certificates. Each test file creates them once. */
export function certificates(): Promise<Certificates> {
  return (made ??= make());
}

async function make(): Promise<Certificates> {
  const [ca, strangeCa] = await Promise.all([authority('authority'), authority('stranger')]);
  const [server, client, strangeClient] = await Promise.all([
    signed(ca, 'localhost'),
    signed(ca, 'replica-7'),
    signed(strangeCa, 'replica-7'),
  ]);
  return { ca: ca.cert, server, client, strangeCa: strangeCa.cert, strangeClient };
}

/** The fields of a certificate that a test can choose. */
export interface CertificateFields {
  /** The common names. Default: one, `replica-7`. */
  readonly names?: readonly string[];
  /** The alternative names. Default: the addresses of this machine. */
  readonly altNames?: readonly AltName[];
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  /** Default: both. */
  readonly usage?: 'server' | 'client' | 'both';
  /** Whether the certificate may sign others. Default: no. */
  readonly cA?: boolean;
}

export type AltName =
  { readonly type: 2 | 6; readonly value: string } | { readonly type: 7; readonly ip: string };

/** A new certificate that `ca` signs. */
export function issue(ca: Identity, fields: CertificateFields = {}): Promise<Identity> {
  const { names = ['replica-7'], altNames = LOOPBACK, notBefore, notAfter } = fields;
  const { usage = 'both', cA = false } = fields;
  return identity(names, {
    ca,
    ...(notBefore !== undefined && { notBeforeDate: notBefore }),
    ...(notAfter !== undefined && { notAfterDate: notAfter }),
    extensions: [
      { name: 'basicConstraints', cA },
      { name: 'extKeyUsage', serverAuth: usage !== 'client', clientAuth: usage !== 'server' },
      ...(altNames.length > 0
        ? [{ name: 'subjectAltName' as const, altNames: [...altNames] }]
        : []),
    ],
  });
}

/** A new authority. */
export function authority(name: string): Promise<Identity> {
  return identity([name], {
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    ],
  });
}

function signed(ca: Identity, name: string): Promise<Identity> {
  return issue(ca, { names: [name], altNames: [{ type: 2, value: name }, ...LOOPBACK] });
}

async function identity(
  names: readonly string[],
  options: Parameters<typeof generate>[1],
): Promise<Identity> {
  const fast = { keyType: 'ec', algorithm: 'sha256' } as const;
  const subject = names.map((value) => ({ name: 'commonName', value }));
  const pair = await generate(subject, { ...fast, ...options });
  return { key: pair.private, cert: pair.cert };
}

const LOOPBACK: readonly AltName[] = [
  { type: 7, ip: '127.0.0.1' },
  { type: 7, ip: '::1' },
];
