import { describe, expect, it } from '@jest/globals';
import { noSocket } from '../../../src/endpoint/socket/dial-errors.js';

const address = { host: 'a', port: 1 };

/** What a caller reads, and whether another attempt would not help. */
function told(code: string, text: string, stage: 'plain' | 'encrypting' | 'encrypted'): unknown[] {
  const { error, isLasting } = noSocket(address, Object.assign(new Error(text), { code }), stage);
  return [error.message.replace('No connection to a:1: ', ''), isLasting];
}

const MAY_BE =
  'A TLS server that refuses the client certificate, or misses one, can end the connection in this way.';

describe('A server that refuses the client certificate', () => {
  it.each([
    ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', 'The server wants a client certificate.'],
    ['ERR_SSL_SSLV3_ALERT_NO_CERTIFICATE', 'The server wants a client certificate.'],
    ['ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE', 'The server refuses the client certificate.'],
    ['ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED', 'The server refuses the client certificate.'],
    ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', 'The server refuses the client certificate.'],
    ['ERR_SSL_TLSV1_ALERT_ACCESS_DENIED', 'The server refuses the client certificate.'],
    ['ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE', 'Does it want a client certificate?'],
  ])('says so by the alert %s, which no other attempt mends', (code, words) => {
    expect(told(code, 'an alert', 'encrypted')).toEqual([`an alert. ${words}`, true]);
  });

  it.each(['ECONNRESET', 'EPIPE'])('may look like %s, which may also pass', (code) => {
    expect(told(code, 'gone', 'encrypted')).toEqual([`gone. ${MAY_BE}`, false]);
    expect(told(code, 'gone', 'encrypting')).toEqual([`gone. ${MAY_BE}`, false]);
  });

  it('is not suspected where there is no TLS, or no server', () => {
    expect(told('ECONNRESET', 'gone', 'plain')).toEqual(['gone.', false]);
    expect(told('ECONNREFUSED', 'refused', 'encrypting')).toEqual(['refused.', false]);
  });

  it('is not suspected where this side refuses the certificate of the server', () => {
    const code = 'DEPTH_ZERO_SELF_SIGNED_CERT';

    expect(told(code, 'self-signed', 'encrypted')).toEqual(['self-signed.', true]);
  });
});
