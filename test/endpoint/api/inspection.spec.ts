/** No secret stands in what `console.log` shows of this library's objects. */
import { describe, expect, it } from '@jest/globals';
import { inspect } from 'node:util';
import { certificates } from '../../support/peers/certificates.js';
import { connected } from '../../support/peers/connected.js';

/** The forms in which a part of a secret can stand in a text. */
function formsOf(secret: string | Buffer): string[] {
  const bytes = Buffer.from(secret).subarray(40, 64);
  return [
    bytes.toString(),
    bytes.toString('hex'),
    bytes.toString('hex').replaceAll(/../gu, '$& ').trim(),
    bytes.subarray(0, 24).toString('base64'),
    [...bytes].join(','),
    [...bytes].join(', '),
  ];
}

describe('inspection', () => {
  it('shows no private key, passphrase or credential', async () => {
    const { ca, client, server } = await certificates();
    const data = Buffer.from('a token of forty octets before the secret part of the token begins');
    const passphrase = 'a passphrase of forty octets before its own secret part begins';
    const tls = { ...server, passphrase, ca, requestCert: true };
    const listenerOptions = { tls: { ...tls, key: Buffer.from(server.key) } };

    const { acceptor, dialer, listener } = await connected(listenerOptions, {
      data,
      tls: { ca, ...client, passphrase },
    });

    const objects = { acceptor, dialer, listener, server: listener.server };
    const sockets = { accepted: acceptor.socket, dialed: dialer.socket };
    const all = { ...objects, ...sockets, peers: [acceptor.peer, dialer.peer] };
    const shown = [
      inspect(all, { depth: 12, showHidden: true, maxArrayLength: null, maxStringLength: null }),
      ...Object.values(all).map((each) => inspect(each)),
    ].join('\n');
    const secrets = [server.key, client.key, passphrase, data].flatMap(formsOf);
    expect(secrets.filter((secret) => shown.includes(secret))).toEqual([]);
    expect(shown).toContain('[tls.Server of a Listener]');
    expect(shown).toContain('[TLSSocket of a Connection]');
    expect(shown).toContain('Listener');
  });
});
