/**
 * The matrix of TLS and authentication: which certificates and judgements let a dialer in. Each
 * row is one connection over a real socket.
 */
import { beforeAll, describe, expect, it } from '@jest/globals';
import {
  Code,
  type DialerTlsOptions,
  type ListenerOptions,
  type ListenerTlsOptions,
} from 'nestjs-interconnect/core';
import {
  authority,
  type CertificateFields,
  type Certificates,
  certificates,
  type Identity,
  issue,
} from '../../support/peers/certificates.js';
import { run } from '../../support/peers/program.js';
import { outcomeOf } from '../../support/peers/connected.js';

let made: Certificates;
let ca: Identity;
let otherCa: Identity;
let server: Identity;

beforeAll(async () => {
  made = await certificates();
  [ca, otherCa] = await Promise.all([authority('authority'), authority('other')]);
  server = await issue(ca, { names: ['localhost'] });
});

const DAY = 86_400_000;

describe('the certificate of the listener', () => {
  const now = Date.now();

  it.each<[string, CertificateFields, string]>([
    ['of the authority', {}, 'open'],
    ['for servers only', { usage: 'server' }, 'open'],
    ['for clients only', { usage: 'client' }, 'unsuitable certificate purpose'],
    ['for another address', { altNames: [{ type: 7, ip: '10.0.0.1' }] }, 'not in the cert'],
    ['without a name', { altNames: [] }, 'IC_ERR_CONNECT'],
    [
      'that has expired',
      { notBefore: new Date(now - 2 * DAY), notAfter: new Date(now - DAY) },
      'expired',
    ],
    ['that is not valid yet', { notBefore: new Date(now + DAY) }, 'not yet valid'],
  ])('%s', async (_name, fields, expected) => {
    const identity = await issue(ca, fields);

    expect(await outcomeOf({ tls: identity }, { ca: ca.cert })).toContain(expected);
  });

  it.each<[string, () => DialerTlsOptions, string]>([
    ['that the dialer does not know', () => ({ ca: otherCa.cert }), 'certificate'],
    ['that only the system could know', () => ({}), 'certificate'],
    ['that is not verified, as the dialer wants', () => ({ rejectUnauthorized: false }), 'open'],
    ['for a name that was asked for', () => ({ ca: made.ca, servername: 'localhost' }), 'open'],
    [
      'for a name that was not asked for',
      () => ({ ca: made.ca, servername: 'else.example' }),
      'else.example',
    ],
  ])('%s', async (_name, tls, expected) => {
    expect(await outcomeOf({ tls: made.server }, tls())).toContain(expected);
  });

  it('is verified even if the environment variable of Node says otherwise', async () => {
    const program = new URL('../programs/insecure.ts', import.meta.url);

    const { code, stdout } = await run(program, [], { NODE_TLS_REJECT_UNAUTHORIZED: '0' });

    expect(stdout).toBe('explained\nexplained\nexplained\nopen\n');
    expect(code).toBe(0);
  });
});

describe('the certificate of the dialer', () => {
  const now = Date.now();
  const asked: ListenerTlsOptions = { requestCert: true };
  const shown: ListenerTlsOptions = { requestCert: true, rejectUnauthorized: false };
  const accepts: ListenerOptions = { authenticate: (handshake) => handshake.accept() };
  const authorized: ListenerOptions = {
    authenticate: (handshake) =>
      handshake.peer.authorized ? handshake.accept() : handshake.reject(Code.FORBIDDEN),
  };

  it.each<
    [string, ListenerTlsOptions, ListenerOptions, CertificateFields | 'none' | 'other', string]
  >([
    ['none, not asked for', {}, {}, 'none', 'open'],
    ['one, not asked for', {}, {}, {}, 'open'],
    ['one that was asked for', asked, {}, {}, 'open'],
    ['none that was asked for', asked, {}, 'none', 'IC_ERR_CONNECT'],
    ['of another authority', asked, {}, 'other', 'IC_ERR_CONNECT'],
    ['for clients only', asked, {}, { usage: 'client' }, 'open'],
    ['for servers only', asked, {}, { usage: 'server' }, 'IC_ERR_CONNECT'],
    [
      'expired',
      asked,
      {},
      { notBefore: new Date(now - 2 * DAY), notAfter: new Date(now - DAY) },
      'IC_ERR_CONNECT',
    ],
    ['not valid yet', asked, {}, { notBefore: new Date(now + DAY) }, 'IC_ERR_CONNECT'],
    [
      'none that was asked for, whatever authenticate says',
      asked,
      accepts,
      'none',
      'IC_ERR_CONNECT',
    ],
    ['of another authority, whatever authenticate says', asked, accepts, 'other', 'IC_ERR_CONNECT'],
    ['none, and authenticate decides', shown, accepts, 'none', 'open'],
    ['of another authority, and authenticate decides', shown, accepts, 'other', 'open'],
    ['none, and authenticate refuses it', shown, authorized, 'none', 'IC_ERR_CONNECTION_REJECTED'],
    [
      'of another authority, and authenticate refuses it',
      shown,
      authorized,
      'other',
      'IC_ERR_CONNECTION_REJECTED',
    ],
    ['one, and authenticate takes it', shown, authorized, {}, 'open'],
  ])('%s', async (_name, tls, listener, fields, expected) => {
    const identity =
      fields === 'none'
        ? {}
        : await issue(fields === 'other' ? otherCa : ca, fields === 'other' ? {} : fields);

    const outcome = await outcomeOf(
      { ...listener, tls: { ...server, ca: ca.cert, ...tls } },
      { ca: ca.cert, ...identity },
    );

    expect(outcome).toContain(expected);
  });
});
