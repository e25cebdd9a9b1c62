import { describe, expect, it } from '@jest/globals';
import { connect, type ListenerOptions } from 'nestjs-interconnect/core';
import { certificates } from '../../support/peers/certificates.js';
import { addressOf, connected, listening } from '../../support/peers/connected.js';
import { failure } from '../../support/events.js';

async function demanding(): Promise<Required<Pick<ListenerOptions, 'tls'>>> {
  const { ca, server } = await certificates();
  return { tls: { ...server, ca, requestCert: true } };
}

describe('mutual TLS', () => {
  it('shows the listener who the dialer is', async () => {
    const { ca, client } = await certificates();

    const { acceptor } = await connected(await demanding(), { tls: { ca, ...client } });

    expect(acceptor.peer).toMatchObject({ encrypted: true, authorized: true });
    expect(acceptor.peer.certificate?.subject.CN).toBe('replica-7');
    expect(acceptor.peer.certificate?.subjectaltname).toContain('DNS:replica-7');
  });

  it('shows the certificate to authenticate', async () => {
    const { ca, client } = await certificates();
    const names: unknown[] = [];
    const authenticate: ListenerOptions['authenticate'] = (handshake) => {
      names.push(handshake.peer.authorized, handshake.peer.certificate?.subject.CN);
      handshake.accept();
    };

    await connected({ ...(await demanding()), authenticate }, { tls: { ca, ...client } });

    expect(names).toEqual([true, 'replica-7']);
  });

  it.each([
    ['TLSv1.2', /Does it want a client certificate\?$/u],
    [
      'TLSv1.3',
      /The server wants a client certificate\.$|or misses one, can end the connection in this way\.$/u,
    ],
  ] as const)(
    'refuses a dialer that shows no certificate, in %s, and the error says so',
    async (version, words) => {
      const { ca } = await certificates();
      const { tls } = await demanding();
      const versions = { minVersion: version, maxVersion: version };
      const listener = await listening({ tls: { ...tls, ...versions } });

      const error = await failure(
        connect({ ...addressOf(listener), tls: { ca, minVersion: version } }),
      );

      expect(error).toMatchObject({ code: 'IC_ERR_CONNECT', executed: 'no' });
      expect(error.message).toMatch(words);
      expect(listener.connections.size).toBe(0);
    },
  );

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'refuses a dialer whose certificate another authority has signed, in %s, and the error says how that looks',
    async (version) => {
      const { ca, strangeClient } = await certificates();
      const { tls } = await demanding();
      const versions = { minVersion: version, maxVersion: version };
      const listener = await listening({ tls: { ...tls, ...versions } });

      const error = await failure(
        connect({ ...addressOf(listener), tls: { ca, minVersion: version, ...strangeClient } }),
      );

      expect(error).toMatchObject({ code: 'IC_ERR_CONNECT', executed: 'no' });
      expect(error.message).toMatch(/refuses the client certificate, .* in this way\.$/u);
      expect(listener.connections.size).toBe(0);
    },
  );

  it('leaves the judgement to authenticate where the listener says so', async () => {
    const { ca, strangeClient } = await certificates();
    const { tls } = await demanding();

    const { acceptor } = await connected(
      { tls: { ...tls, rejectUnauthorized: false } },
      { tls: { ca, ...strangeClient } },
    );

    expect(acceptor.peer).toMatchObject({ encrypted: true, authorized: false });
    expect(acceptor.peer.certificate?.subject.CN).toBe('replica-7');
  });
});
