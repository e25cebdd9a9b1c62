/** The certificates of this run: two authorities, and the certificates that each has signed. */
import { generate } from 'selfsigned';

interface Identity {
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

function authority(name: string): Promise<Identity> {
  return identity(name, {
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    ],
  });
}

function signed(ca: Identity, name: string): Promise<Identity> {
  return identity(name, {
    ca,
    extensions: [
      { name: 'basicConstraints', cA: false },
      { name: 'extKeyUsage', serverAuth: true, clientAuth: true },
      {
        name: 'subjectAltName',
        altNames: [
          { type: 2, value: name },
          { type: 7, ip: '127.0.0.1' },
          { type: 7, ip: '::1' },
        ],
      },
    ],
  });
}

async function identity(name: string, options: Parameters<typeof generate>[1]): Promise<Identity> {
  const fast = { keyType: 'ec', algorithm: 'sha256' } as const;
  const pair = await generate([{ name: 'commonName', value: name }], { ...fast, ...options });
  return { key: pair.private, cert: pair.cert };
}
