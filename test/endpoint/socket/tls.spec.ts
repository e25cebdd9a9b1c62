import { describe, expect, it } from '@jest/globals';
import { connect as connectTcp } from 'node:net';
import { connect as connectTls, type TlsOptions, type TLSSocket } from 'node:tls';
import { connect, type Handshake, Listener } from 'nestjs-interconnect/core';
import { certificates } from '../../support/peers/certificates.js';
import {
  addressOf,
  connected,
  echo,
  listening,
  tcpAddressOf,
} from '../../support/peers/connected.js';
import { failure, next, until } from '../../support/events.js';
import { ManualClock } from '../../support/sim/manual-clock.js';
import { afterTest } from '../../support/after-test.js';

describe('a connection over TLS', () => {
  it.each(['127.0.0.1', '::1', 'localhost'])('carries messages to %s', async (host) => {
    const { ca, server } = await certificates();
    const { acceptor, dialer } = await connected({ host, tls: server }, { host, tls: { ca } });
    echo(acceptor);
    const session = await dialer.createSession('echo');
    const large = Buffer.alloc(3_000_000, 'large');

    expect(await session.send(Buffer.from('small'))).toMatchObject({ data: Buffer.from('small') });
    const outcome = await session.send(large);

    expect(outcome.data.equals(large)).toBe(true);
    expect(dialer.peer).toMatchObject({ encrypted: true, authorized: true });
    expect(dialer.peer.certificate?.subject.CN).toBe('localhost');
    expect(acceptor.peer).toMatchObject({
      encrypted: true,
      authorized: false,
      certificate: undefined,
    });
  });

  it('is told apart from other protocols by ALPN, at both ends [IC-2.2]', async () => {
    const { ca, server } = await certificates();
    const { acceptor, dialer } = await connected({ tls: server }, { tls: { ca } });

    const sockets = [acceptor, dialer].map(({ socket }) => socket as TLSSocket);

    expect(sockets.map(({ alpnProtocol }) => alpnProtocol)).toEqual(['intc/1', 'intc/1']);
  });

  it('speaks TLS 1.2 where it is asked to', async () => {
    const { ca, server } = await certificates();
    const versions = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' } as const;
    const tls = { ...server, ...versions };

    const { acceptor, dialer } = await connected({ tls }, { tls: { ca, minVersion: 'TLSv1.2' } });
    echo(acceptor);
    const session = await dialer.createSession('echo');

    expect(await session.send(Buffer.from('x'))).toMatchObject({ accepted: true });
  });

  it('runs over a Unix socket, for a name that the dialer gives', async () => {
    const { ca, server } = await certificates();
    const path = `\0interconnect-test-${process.pid}`;

    const { dialer } = await connected(
      { path, tls: server },
      { tls: { ca, servername: 'localhost' } },
    );

    expect(dialer.peer).toMatchObject({ encrypted: true, authorized: true });
  });

  it.each(['dialer', 'acceptor'] as const)('ends in order by its %s', async (end) => {
    const { ca, server } = await certificates();
    const pair = await connected({ tls: server }, { tls: { ca } });
    const closed = Promise.all([next(pair.dialer, 'close'), next(pair.acceptor, 'close')]);

    await pair[end].close();

    expect(await closed).toEqual([[undefined], [undefined]]);
  });

  it('names the listener to it, where it has a name and no bare address', async () => {
    const { ca, server } = await certificates();
    const names: string[] = [];
    const SNICallback: NonNullable<TlsOptions['SNICallback']> = (name, done) => {
      names.push(name);
      done(null);
    };

    for (const host of ['127.0.0.1', 'localhost', '::1']) {
      await connected({ host, tls: { ...server, SNICallback } }, { host, tls: { ca } });
    }

    expect(names).toEqual(['localhost']);
  });

  it('is lost where its socket dies amid a message', async () => {
    const { ca, server } = await certificates();
    const { acceptor, dialer } = await connected(
      { tls: server },
      { tls: { ca }, reconnect: false },
    );
    echo(acceptor);
    const session = await dialer.createSession('echo');
    const outcome = failure(session.send(Buffer.alloc(8_000_000)));
    await until(() => acceptor.socket.bytesRead > 100_000);

    acceptor.socket.destroy();

    expect(await outcome).toMatchObject({ code: 'IC_ERR_CONNECTION_LOST' });
    await until(() => dialer.status === 'closed' && acceptor.status === 'closed');
  });

  it('does not come to be where the authority is unknown', async () => {
    const { strangeCa, server } = await certificates();
    const listener = await listening({ tls: server });

    for (const tls of [true, { ca: strangeCa }] as const) {
      const error = await failure(connect({ ...addressOf(listener), tls }));

      expect(error).toMatchObject({
        code: 'IC_ERR_CONNECT',
        executed: 'no',
        cause: { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' },
      });
      expect(error.message).toMatch(/^No connection to 127\.0\.0\.1:\d+: .*certificate/);
    }
  });

  it('does not come to be where the certificate stands for another name', async () => {
    const { ca, server } = await certificates();
    const listener = await listening({ tls: server });

    const error = await failure(
      connect({ ...addressOf(listener), tls: { ca, servername: 'elsewhere.example' } }),
    );

    expect(error).toMatchObject({
      code: 'IC_ERR_CONNECT',
      cause: { code: 'ERR_TLS_CERT_ALTNAME_INVALID' },
    });
    expect(error.message).toContain('elsewhere.example');
  });

  it('does not come to be with a listener that speaks no TLS', async () => {
    const listener = await listening();

    expect(await failure(connect({ ...addressOf(listener), tls: true }))).toMatchObject({
      code: 'IC_ERR_CONNECT',
    });
  });

  it('does not come to be without TLS at a listener that wants it', async () => {
    const { server } = await certificates();
    const listener = await listening({ tls: server });

    const error = await failure(connect(addressOf(listener)));

    expect(['IC_ERR_CONNECT', 'IC_ERR_PROTOCOL']).toContain(error.code);
    expect(error.executed).toBe('no');
  });

  it('does not come to be with a server of another protocol', async () => {
    const { ca, server } = await certificates();
    const alpn = { ALPNProtocols: ['h2'], requireAlpn: false };
    const listener = await listening({ tls: { ...server, ...alpn } });

    expect(await failure(connect({ ...addressOf(listener), tls: { ca } }))).toMatchObject({
      code: 'IC_ERR_CONNECT',
      cause: { code: 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL' },
    });
  });

  it('leaves nothing at a listener whose dialer gives up amid the handshake', async () => {
    const { server } = await certificates();
    const clock = new ManualClock();
    const listener = await listening({ tls: server, clock });
    await failure(connect({ ...addressOf(listener), tls: true }));

    await listener.close();

    expect(clock.pending).toBe(0);
  });

  it('may be accepted when its socket is gone already', async () => {
    const { ca, server } = await certificates();
    let handshake: Handshake | undefined;
    let socket: TLSSocket | undefined;
    const authenticate = (asking: Handshake): void => void (handshake = asking);
    const listener = await listening({ tls: server, authenticate });
    listener.server?.once('secureConnection', (secure: TLSSocket) => (socket = secure));
    const accepted = next(listener, 'connection');
    const connecting = failure(connect({ ...addressOf(listener), tls: { ca }, reconnect: false }));
    await until(() => handshake !== undefined);

    socket?.destroy();
    handshake?.accept();
    const [connection] = await accepted;

    expect(connection.peer).toMatchObject({ encrypted: true, address: '127.0.0.1' });
    expect(await connecting).toMatchObject({ code: 'IC_ERR_CONNECT' });
    await until(() => connection.status === 'closed');
  });

  it('that fails is told to the listener, whose own failures change nothing', async () => {
    const { server } = await certificates();
    const listener = await listening({ tls: server });
    const told = next(listener, 'tlsError');
    const failed = next(listener, 'handlerError');
    const broken = new Error('broken');
    listener.on('tlsError', () => {
      throw broken;
    });
    const stranger = connectTcp(tcpAddressOf(listener).port, '127.0.0.1');
    stranger.on('error', () => undefined);

    stranger.write(Buffer.from('1603010005ff00000000', 'hex'));
    stranger.resume();

    const [error] = await told;
    expect(error).toMatchObject({ code: expect.stringContaining('ERR_SSL') });
    expect(await failed).toEqual([broken]);
  });

  it('leaves the listener as it was when a handshake fails', async () => {
    const { ca, server } = await certificates();
    const listener = await listening({ tls: server });
    const stranger = connectTcp(tcpAddressOf(listener).port, '127.0.0.1');
    stranger.on('error', () => undefined);
    const gone = new Promise((resolve) => stranger.once('close', resolve));

    stranger.write('GET / HTTP/1.1\r\n\r\n');
    stranger.resume();
    await gone;

    const connection = await connect({ ...addressOf(listener), tls: { ca } });
    expect(connection.status).toBe('open');
    await connection.close();
  });

  it('is refused to who encrypts and then says something else', async () => {
    const { ca, server } = await certificates();
    const listener = await listening({ tls: server });
    const stranger = connectTls({ port: tcpAddressOf(listener).port, host: '127.0.0.1', ca });
    stranger.on('error', () => undefined);
    const gone = new Promise((resolve) => stranger.once('close', resolve));

    stranger.end('GET / HTTP/1.1\r\n\r\n');
    stranger.resume();
    await gone;

    expect(listener.connections.size).toBe(0);
  });
});

describe('the tls options', () => {
  it.each([
    ['a key that is none', { key: 'no key', cert: 'no certificate' }],
    ['a curve that is none', { ecdhCurve: 'no curve' }],
  ])('are judged before a socket exists: %s', async (_what, tls) => {
    const listenError = await failure(new Listener({ tls }).listen());
    const connectError = await failure(connect({ port: 1, tls }));

    for (const error of [listenError, connectError]) {
      expect(error).toMatchObject({ code: 'IC_ERR_OPTION', cause: expect.anything() });
      expect(error.message).toMatch(/^The tls options are not usable: /);
    }
  });

  it('do not stop a listener from being closed while somebody says nothing', async () => {
    const { server } = await certificates();
    const clock = new ManualClock();
    const listener = await listening({ tls: server, clock });
    const silent = connectTcp(tcpAddressOf(listener).port, '127.0.0.1');
    silent.on('error', () => undefined);
    afterTest(() => silent.destroy());
    const { server: underneath } = listener;
    await new Promise((resolve) => underneath?.once('connection', resolve));

    const closed = listener.close();
    await until(() => clock.pending > 0);
    clock.advance(1000);
    await closed;

    expect(clock.pending).toBe(0);
  });
});
