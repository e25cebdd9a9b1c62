import { describe, expect, it } from '@jest/globals';
import { encodePreface, speakerOf } from '../../src/wire/index.js';

const KNOWN = [
  ['PROXY TCP4 192.0.2.1 192.0.2.2 5000 5000\r\n', 'proxy-v1', 'the PROXY protocol, version 1'],
  ['\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c', 'proxy-v2', 'the PROXY protocol, version 2'],
  ['\x16\x03\x01\x00\xc8\x01', 'tls', 'a TLS client'],
  ['\x15\x03\x03\x00\x02\x02\x46', 'tls', 'a TLS server'],
  ['GET / HTTP/1.1\r\n', 'http', 'an HTTP client'],
  ['CONNECT x:443 HTTP/1.1\r\n', 'http', 'an HTTP client'],
  ['HTTP/1.1 400 Bad Request\r\n', 'http', 'an HTTP server'],
  ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'http2', 'an HTTP/2 or gRPC client'],
  ['\0\0\x12\x04\0\0\0\0\0\0\x03', 'http2', 'an HTTP/2 or gRPC server'],
  ['SSH-2.0-OpenSSH_9.0\r\n', 'ssh', 'an SSH peer'],
  ['-ERR unknown command\r\n', 'redis', 'a Redis server'],
  ['*1\r\n$4\r\nPING\r\n', 'redis', 'a Redis client'],
  ['AMQP\0\0\x09\x01', 'amqp', 'an AMQP peer'],
  ['\x10\x0e\0\x04MQTT\x04\x02', 'mqtt', 'an MQTT client'],
  ['\0\0\0\x08\x04\xd2\x16\x2f', 'postgres', 'a PostgreSQL client'],
  ['\0\0\0\x29\0\x03\0\0user\0', 'postgres', 'a PostgreSQL client'],
  ['\x4a\0\0\0\x0a8.0.36\0', 'mysql', 'a MySQL server'],
  ['220 mail.example ESMTP\r\n', 'mail', 'a mail or FTP server'],
  ['57#{"pattern":"sum","data":[1]}', 'nest-tcp', "Nest's TCP transport"],
] as const;

describe('Who speaks', () => {
  it.each(KNOWN)('%j: %s', (octets, kind, name) => {
    expect(speakerOf(Buffer.from(octets, 'latin1'))).toEqual({ kind, name });
  });

  it('is known of ourselves, too', () => {
    expect(speakerOf(encodePreface(7)).kind).toBe('interconnect');
  });

  it.each(['', '\xde\xad\xbe\xef', 'P', '2', '22', '*', '\0', 'hello', '1234567890#{'])(
    'is not guessed of %j, which may be several or none',
    (octets) => {
      expect(speakerOf(Buffer.from(octets, 'latin1')).kind).toBe('unknown');
    },
  );

  it('is not taken for another, however little has come', () => {
    for (const [octets, kind] of KNOWN) {
      for (let length = 1; length <= octets.length; length++) {
        const guess = speakerOf(Buffer.from(octets.slice(0, length), 'latin1'));
        expect([kind, 'unknown']).toContain(guess.kind);
      }
    }
  });
});
