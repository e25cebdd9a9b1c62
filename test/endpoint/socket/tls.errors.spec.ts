import { describe, expect, it } from '@jest/globals';
import {
  connect,
  Listener,
  type ConnectOptions,
  type ListenerOptions,
} from 'nestjs-interconnect/core';
import { certificates } from '../../support/peers/certificates.js';
import { addressOf, listening } from '../../support/peers/connected.js';
import { failure, next } from '../../support/events.js';

describe('a TLS handshake that fails', () => {
  it('tells the dialer without a certificate why, and the listener as well', async () => {
    const { ca, server } = await certificates();
    const listener = await listening({ tls: { ...server, ca, requestCert: true } });
    const reported = next(listener, 'tlsError');

    const error = await failure(connect({ ...addressOf(listener), tls: { ca } }));

    expect(error.message).toMatch(
      /^No connection to .+certificate required.+The server wants a client certificate\.$/s,
    );
    expect(error.cause).toHaveProperty('code', expect.stringContaining('ERR_SSL'));
    const [reason, address] = await reported;
    expect(reason.message).toContain('certificate');
    expect(address).toContain('127.0.0.1');
  });

  it.each([5, 'yes', [], new Map()])('is not tried with %p for its options', async (tls) => {
    const wrong: object = { port: 1, tls };

    const dialed = await failure(connect(wrong));

    expect(dialed).toMatchObject({ code: 'IC_ERR_OPTION' });
    expect(dialed.message).toContain('tls must be an object');
    expect(() => new Listener(wrong as ListenerOptions)).toThrow('tls must be an object');
  });
});

describe('options', () => {
  it('that are no object are refused by name', async () => {
    const wrong: unknown = 5;

    expect(() => new Listener(wrong as ListenerOptions)).toThrow('The options must be an object');
    const error = await failure(connect(wrong as ConnectOptions));
    expect(error.message).toContain('The options must be an object');
  });
});
