/** The option `identify`: which name of a certificate is the principal, and which certificates have no clear name. */
import { beforeAll, describe, expect, it } from '@jest/globals';
import { inspect } from 'node:util';
import { Code, connect, type Handshake, type Identify, Listener } from 'nestjs-interconnect/core';
import { failure, next } from '../../support/events.js';
import {
  type AltName,
  authority,
  type CertificateFields,
  type Identity,
  issue,
} from '../../support/peers/certificates.js';
import { addressOf, connected, dial, listening } from '../../support/peers/connected.js';

let ca: Identity;
let stranger: Identity;
let server: Identity;

beforeAll(async () => {
  [ca, stranger] = await Promise.all([authority('authority'), authority('stranger')]);
  server = await issue(ca, { names: ['localhost'] });
});

const dns = (value: string): AltName => ({ type: 2, value });
const uri = (value: string): AltName => ({ type: 6, value });
const tlsOf = (more: object = {}) => ({ ...server, ca: ca.cert, requestCert: true, ...more });
const ESCAPE = String.fromCharCode(27);

describe('a clear name', () => {
  it.each<[Identify, CertificateFields, string]>([
    ['cn', { names: ['replica-7'] }, 'replica-7'],
    ['cn', { names: ['Zoë 7'] }, 'Zoë 7'],
    ['dns', { names: ['x'], altNames: [dns('a.example'), uri('urn:x')] }, 'a.example'],
    ['uri', { altNames: [dns('a.example'), uri('spiffe://example/db')] }, 'spiffe://example/db'],
    [({ subject }) => `role:${String(subject.CN)}`, { names: ['db'] }, 'role:db'],
  ])('is the principal: %p of %j is %s', async (identify, fields, name) => {
    const options = { tls: tlsOf(), identify };

    const { acceptor } = await connected(options, {
      tls: { ca: ca.cert, ...(await issue(ca, fields)) },
    });

    expect(acceptor.principal).toBe(name);
  });

  it('is shown to authenticate, which may choose another principal', async () => {
    const seen: string[] = [];
    const authenticate = (handshake: Handshake): void => {
      seen.push(handshake.identity);
      handshake.accept(undefined, handshake.data.toString() || undefined);
    };
    const listener = await listening({ tls: tlsOf(), identify: 'cn', authenticate });
    const tls = { ca: ca.cert, ...(await issue(ca, { names: ['db'] })) };
    const principals: string[] = [];
    listener.on('connection', ({ principal }) => principals.push(principal));

    await dial(listener, { tls });
    await dial(listener, { tls, data: Buffer.from('other') });

    expect(seen).toEqual(['db', 'db']);
    expect(principals).toEqual(['db', 'other']);
  });
});

describe('a certificate without a clear name', () => {
  it.each<[string, Identify, CertificateFields, string]>([
    ['two common names', 'cn', { names: ['mallory', 'alice'] }, '2 values as common name'],
    ['a blank common name', 'cn', { names: ['" "'] }, 'not one clear name'],
    ['a space at the end', 'cn', { names: ['"alice "'] }, 'not one clear name'],
    ['an escape sequence', 'cn', { names: [`alice${ESCAPE}[2J`] }, 'not one clear name'],
    ['a backslash', 'cn', { names: ['"ali\\\\1bce"'] }, 'not one clear name'],
    ['a mark of direction', 'cn', { names: ['alice\u202e'] }, 'not one clear name'],
    ['a character of no width', 'cn', { names: ['ali\u200bce'] }, 'not one clear name'],
    ['two DNS names', 'dns', { altNames: [dns('a'), dns('b')] }, '2 values as alternative name'],
    ['no DNS name', 'dns', { altNames: [uri('urn:x')] }, '0 values as alternative name'],
    ['no alternative name', 'uri', { altNames: [] }, '0 values as alternative name'],
    ['two URIs', 'uri', { altNames: [uri('urn:a'), uri('urn:b')] }, '2 values'],
    ['a comma in the URI', 'uri', { altNames: [uri('urn:a, URI:urn:b')] }, 'not one clear name'],
    [
      'an escape sequence in a DNS name',
      'dns',
      { altNames: [dns(`a${ESCAPE}[2J`)] },
      'not one clear name',
    ],
    ['no text of the function', (() => undefined) as never, {}, 'not one clear name'],
    ['an empty text of the function', () => '', {}, 'not one clear name'],
    ['a text that is too long', () => 'x'.repeat(257), {}, 'not one clear name'],
  ])('is refused: %s', async (_name, identify, fields, reason) => {
    let asked = 0;
    const authenticate = (handshake: Handshake): void => {
      asked += 1;
      handshake.accept();
    };
    const listener = await listening({ tls: tlsOf(), identify, authenticate });
    const reported = next(listener, 'tlsError');
    const tls = { ca: ca.cert, ...(await issue(ca, fields)) };

    const error = await failure(connect({ ...addressOf(listener), tls }));

    expect(error).toMatchObject({
      code: 'IC_ERR_CONNECTION_REJECTED',
      status: Code.UNAUTHENTICATED,
    });
    expect(error.reason).toContain(reason);
    expect((await reported)[0].message).toContain(reason);
    expect((await reported)[0].message).not.toContain(ESCAPE);
    expect(asked).toBe(0);
  });

  it('is refused if the function throws', async () => {
    const identify = (): string => {
      throw new Error('broken');
    };
    const listener = await listening({ tls: tlsOf(), identify });
    const reported = next(listener, 'handlerError');
    const tls = { ca: ca.cert, ...(await issue(ca)) };

    const error = await failure(connect({ ...addressOf(listener), tls }));

    expect(error.reason).toBe('The certificate could not be judged.');
    expect((await reported)[0]).toMatchObject({ message: 'broken' });
  });

  it('is refused if no certificate is verified, unless authenticate judges', async () => {
    const tls = { ca: ca.cert, ...(await issue(stranger, { names: ['alice'] })) };
    const lenient = tlsOf({ rejectUnauthorized: false });
    const alone = await listening({ tls: lenient, identify: 'cn' });
    const error = await failure(connect({ ...addressOf(alone), tls }));
    expect(error.reason).toContain('missing or not verified');

    const authenticate = (handshake: Handshake): void => handshake.accept();
    const { acceptor } = await connected({ tls: lenient, identify: 'cn', authenticate }, { tls });
    expect(acceptor.principal).toBe('');
  });
});

describe('the option identify', () => {
  it.each([
    ['email', "identify must be 'uri', 'dns', 'cn' or a function, and is \"email\""],
    [5, "identify must be 'uri', 'dns', 'cn' or a function, and is 5"],
  ])('is checked: %p', (identify, message) => {
    expect(() => new Listener({ tls: tlsOf(), identify: identify as never })).toThrow(message);
  });

  it('needs certificates', () => {
    expect(() => new Listener({ identify: 'cn' })).toThrow('identify needs tls.requestCert');
    expect(() => new Listener({ identify: 'cn', tls: server })).toThrow('tls.requestCert');
  });
});

describe('inspection of a handshake', () => {
  it('does not show the connect data', async () => {
    const secret = Buffer.from('a secret token of alice');
    let shown = '';
    const authenticate = (handshake: Handshake): void => {
      shown = inspect(handshake, { depth: 9, showHidden: true }) + JSON.stringify(handshake);
      handshake.accept();
    };

    await connected({ authenticate }, { data: secret });

    expect(shown).toContain('peer');
    for (const form of ['utf8', 'hex', 'base64'] as const) {
      expect(shown).not.toContain(secret.toString(form));
    }
    expect(shown).not.toContain(secret.toString('hex', 0, 8).replaceAll(/../gu, '$& ').trim());
    expect(shown).not.toContain([...secret.subarray(0, 8)].join(','));
  });
});
