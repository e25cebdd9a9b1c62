/**
 * The matrix of TLS and authentication: which versions, identifiers and options let a dialer in. Each
 * row is one connection over a real socket.
 */
import { beforeAll, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import {
  connect as connectTls,
  createServer as createTlsServer,
  type ConnectionOptions,
  type TlsOptions,
  type TLSSocket,
} from 'node:tls';
import {
  connect,
  type DialerTlsOptions,
  type InterconnectError,
  type ListenerTlsOptions,
} from 'nestjs-interconnect/core';
import { afterTest } from '../../support/after-test.js';
import { failure } from '../../support/events.js';
import { authority, type Identity, issue } from '../../support/peers/certificates.js';
import { addressOf, listening, outcomeOf, tcpAddressOf } from '../../support/peers/connected.js';

let ca: Identity;
let server: Identity;

beforeAll(async () => {
  ca = await authority('authority');
  server = await issue(ca, { names: ['localhost'] });
});

const V12 = 'TLSv1.2';
const V13 = 'TLSv1.3';

describe('versions', () => {
  type Range = Pick<ListenerTlsOptions, 'minVersion' | 'maxVersion'>;
  const old: Range = { minVersion: V12, maxVersion: V12 };

  it.each<[string, Range, Range, string]>([
    ['defaults', {}, {}, V13],
    ['1.3 and up to 1.3', { minVersion: V13 }, { maxVersion: V13 }, V13],
    ['1.2 allowed by both', { minVersion: V12 }, { minVersion: V12 }, V13],
    ['1.2 allowed by the listener', { minVersion: V12 }, {}, V13],
    ['1.2 allowed by the dialer', {}, { minVersion: V12 }, V13],
    ['1.2 only, by the listener', old, { minVersion: V12 }, V12],
    ['1.2 only, by the dialer', { minVersion: V12 }, old, V12],
    ['1.2 only, by both', old, old, V12],
    ['1.2 only, and the dialer wants 1.3', old, {}, 'refused'],
    ['1.2 only, and the listener wants 1.3', {}, old, 'refused'],
    ['undefined for the defaults', { minVersion: undefined }, { maxVersion: undefined }, V13],
  ])('%s [IC-2.12]', async (_name, atListener, atDialer, expected) => {
    const listener = await listening({ tls: { ...server, ...atListener } });
    const tls = { ca: ca.cert, ...atDialer };

    const result = await connect({ ...addressOf(listener), tls, reconnect: false }).then(
      (connection) => {
        afterTest(() => connection.close());
        const socket = connection.socket as TLSSocket;
        const isSafe = /GCM|CHACHA/u.test(socket.getCipher().name);
        return `${socket.getProtocol()} ${isSafe}`;
      },
      ({ code }: InterconnectError) => code,
    );

    expect(result).toBe(expected === 'refused' ? 'IC_ERR_CONNECT' : `${expected} true`);
  });

  it('a context of the application does not pass the limit by [IC-2.12]', async () => {
    const { createSecureContext } = await import('node:tls');
    const secureContext = createSecureContext({ ca: ca.cert, minVersion: V12, maxVersion: V12 });
    const bound = { tls: { ...server, minVersion: V12 as typeof V12 } };

    expect(await outcomeOf(bound, { secureContext })).toContain('tls.minVersion is TLSv1.3');
  });

  it('CBC is not spoken in 1.2', async () => {
    const listener = await listening({ tls: { ...server, minVersion: V12 } });
    const { port } = tcpAddressOf(listener);
    const ciphers = 'ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA';

    const socket = connectTls({ port, host: '127.0.0.1', ca: ca.cert, maxVersion: V12, ciphers });

    const [error] = (await once(socket, 'error')) as [Error];
    expect(error.message).toContain('handshake failure');
  });
});

describe('ALPN', () => {
  it.each<[string, ListenerTlsOptions, ConnectionOptions, 'taken' | 'refused' | 'alert']>([
    ['intc/1', {}, { ALPNProtocols: ['intc/1'] }, 'taken'],
    ['intc/1 among others', {}, { ALPNProtocols: ['h2', 'intc/1'] }, 'taken'],
    ['another identifier', {}, { ALPNProtocols: ['h2'] }, 'alert'],
    ['intc/2', {}, { ALPNProtocols: ['intc/2'] }, 'alert'],
    ['none', {}, {}, 'refused'],
    ['none, in 1.2', { minVersion: V12 }, { maxVersion: V12 }, 'refused'],
    ['none, where it may be missing', { requireAlpn: false }, {}, 'taken'],
    ['none, at a callback', { ALPNCallback: () => 'intc/1' }, {}, 'refused'],
    [
      'intc/1, at a callback',
      { ALPNCallback: () => 'intc/1' },
      { ALPNProtocols: ['intc/1'] },
      'taken',
    ],
    [
      'h2, at a callback for h2',
      { ALPNCallback: () => 'h2' },
      { ALPNProtocols: ['h2'] },
      'refused',
    ],
  ])('of a dialer: %s [IC-2.2]', async (_name, tls, dialer, expected) => {
    const listener = await listening({ tls: { ...server, ...tls } });
    const reports: string[] = [];
    listener.on('tlsError', (error) => reports.push(error.message));
    const { port } = tcpAddressOf(listener);

    const socket = connectTls({ port, host: '127.0.0.1', ca: ca.cert, ...dialer });
    afterTest(() => socket.destroy());
    let octets = 0;
    socket.on('error', () => undefined).on('data', (data) => (octets += data.length));
    // A listener that takes the socket answers this preface of version 0.
    socket.once('secureConnect', () => socket.write(Buffer.from('f1494e54430d0a00', 'hex')));
    await new Promise((resolve) => socket.once('close', resolve));

    const namesOption = reports.some((each) => /'intc\/1'.*tls\.requireAlpn/u.test(each));
    expect({ isAnswered: octets > 0, reports: reports.length, namesOption }).toEqual({
      isAnswered: expected === 'taken',
      reports: expected === 'taken' ? 0 : 1,
      namesOption: expected === 'refused',
    });
  });

  it.each<[string, TlsOptions, DialerTlsOptions, string]>([
    ['none', {}, {}, 'has no ALPN, and tls.requireAlpn'],
    ['none, where it may be missing', {}, { requireAlpn: false }, ''],
    ['h2', { ALPNProtocols: ['h2'] }, {}, 'IC_ERR_CONNECT'],
    [
      'h2, offered by the dialer too',
      { ALPNProtocols: ['h2'] },
      { ALPNProtocols: ['h2', 'intc/1'] },
      'agreed on "h2", and tls.requireAlpn',
    ],
  ])('of a server: %s [IC-2.2]', async (_name, tls, dialer, expected) => {
    const chunks: Buffer[] = [];
    const foreign = createTlsServer({ ...server, ...tls }, (socket) => {
      socket
        .on('error', () => undefined)
        .on('data', (chunk) => {
          chunks.push(chunk);
          socket.destroy();
        });
    });
    afterTest(() => foreign.close());
    await once(foreign.listen(0, '127.0.0.1'), 'listening');
    const { port } = foreign.address() as { port: number };

    const error = await failure(
      connect({ host: '127.0.0.1', port, tls: { ca: ca.cert, ...dialer }, reconnect: false }),
    );

    expect(`${error.code} ${error.message}`).toContain(expected);
    // The foreign server read the HELLO only if the dialer does without ALPN.
    expect(Buffer.concat(chunks).length > 0).toBe(expected === '');
  });
});

describe('options that are refused before there is a socket', () => {
  it.each<[string, object, string]>([
    [
      'minVersion',
      { minVersion: 'TLSv9' },
      "tls.minVersion must be 'TLSv1.2' or 'TLSv1.3', and is \"TLSv9\"",
    ],
    ['an old minVersion', { minVersion: 'TLSv1' }, 'Older versions are not safe'],
    ['maxVersion', { maxVersion: 'TLSv1.1', minVersion: V12 }, 'tls.maxVersion must be'],
    ['maxVersion below the default', { maxVersion: V12 }, 'Set tls.minVersion to TLSv1.2 too'],
    ['secureProtocol', { secureProtocol: 'TLSv1_2_method' }, 'Set tls.minVersion instead'],
    ['requireAlpn', { requireAlpn: 'no' }, 'tls.requireAlpn must be true or false, and is "no"'],
    ['ALPNProtocols', { ALPNProtocols: ['h2'] }, "tls.ALPNProtocols must contain 'intc/1'"],
    [
      'ALPNProtocols as octets',
      { ALPNProtocols: Buffer.from('\u0002h2') },
      "must contain 'intc/1'",
    ],
  ])('%s', async (_name, tls, message) => {
    const atListener = await failure(listening({ tls }));
    const atDialer = await failure(connect({ port: 1, tls }));
    const atFunction = await failure(connect({ port: 1, tls: () => tls }));

    for (const error of [atListener, atDialer, atFunction]) {
      expect(error.code).toBe('IC_ERR_OPTION');
      expect(error.message).toContain(message);
    }
  });

  it('sessionTickets', async () => {
    const tls = { sessionTickets: 1 as never };

    expect((await failure(listening({ tls }))).message).toContain(
      'tls.sessionTickets must be true or false, and is 1',
    );
  });

  it.each([[['intc/1', 'h2']], [Buffer.from('\u0006intc/1')]])(
    'but not ALPNProtocols with intc/1 in any form: %p',
    async (ALPNProtocols) => {
      const tls = { ca: ca.cert, ALPNProtocols: ALPNProtocols as string[] };

      expect(await outcomeOf({ tls: { ...server, ALPNProtocols: tls.ALPNProtocols } }, tls)).toBe(
        'open',
      );
    },
  );
});
