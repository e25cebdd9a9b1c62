/** Listeners behind balancers: whose header counts, and whose address a connection then has. */
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, connect as connectTcp, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import {
  connect,
  type Connection,
  type ConnectOptions,
  type Handshake,
  Listener,
  type ListenerOptions,
  MemoryNetwork,
  type Stranger,
} from 'nestjs-interconnect/core';
import { encodePreface, FrameType } from '../../../src/wire/index.js';
import { afterTest } from '../../support/after-test.js';
import { certificates } from '../../support/peers/certificates.js';
import { addressOf, dial, echo, listening } from '../../support/peers/connected.js';
import { failure, next, thrown, turn, until } from '../../support/events.js';
import {
  BLOCK_V4,
  BLOCK_V6,
  blockOfPaths,
  proxyV1,
  proxyV2,
} from '../../support/peers/proxy-headers.js';
import { frame, GREETING, RawPeer } from '../../support/peers/raw-peer.js';

/** A balancer that begins each socket to the listener with these octets, in these pieces. */
async function balancer(listener: Listener, ...pieces: Buffer[]) {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (from) => {
    void (async () => {
      const to = connectTcp({ ...targetOf(listener), allowHalfOpen: true, noDelay: true });
      for (const socket of [from, to]) {
        sockets.add(socket);
        socket.on('error', () => undefined);
        socket.on('close', () => {
          from.destroy();
          to.destroy();
        });
      }
      await new Promise((resolve) => to.once('connect', resolve));
      for (const piece of pieces) {
        to.write(piece);
        for (let turns = 0; turns < 3; turns++) await turn();
      }
      from.pipe(to).pipe(from);
    })();
  });
  afterTest(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { host: '127.0.0.1', port, sockets };
}

function targetOf(listener: Listener): { host: string; port: number } | { path: string } {
  const target = addressOf(listener);
  return 'path' in target
    ? target
    : { host: target.host.replace(/^::$/, '127.0.0.1'), port: target.port };
}

/** Connects through a balancer that sends the header. */
async function through(
  header: Buffer | Buffer[],
  listenerOptions: ListenerOptions = {},
  connectOptions: Partial<ConnectOptions> = {},
): Promise<{ acceptor: Connection; dialer: Connection; listener: Listener; judged: Handshake[] }> {
  const judged: Handshake[] = [];
  const listener = await listening({
    proxyProtocol: true,
    authenticate: (handshake) => {
      judged.push(handshake);
      handshake.accept();
    },
    ...listenerOptions,
  });
  const accepted = next(listener, 'connection');
  const pieces = Buffer.isBuffer(header) ? [header] : header;
  const { host, port } = await balancer(listener, ...pieces);
  const dialer = await connect({ host, port, ...connectOptions });
  afterTest(() => dialer.close());
  const [acceptor] = await accepted;
  return { acceptor, dialer, listener, judged };
}

function strangersOf(listener: Listener): Stranger[] {
  const strangers: Stranger[] = [];
  listener.on('stranger', (stranger) => strangers.push(stranger));
  return strangers;
}

const V1 = proxyV1('TCP4 192.0.2.7 192.0.2.1 4711 5000');
const V2 = proxyV2(0x21, 0x11, BLOCK_V4);
const hello = Buffer.concat([encodePreface(), frame({ type: FrameType.HELLO, meta: GREETING })]);

const SOURCES = [
  ['version 1', V1, '192.0.2.7', 4711],
  ['version 1, IPv6', proxyV1('TCP6 2001:db8::7 ::1 4711 5000'), '2001:db8::7', 4711],
  ['version 2', V2, '192.0.2.7', 4711],
  ['version 2, IPv6', proxyV2(0x21, 0x21, BLOCK_V6), '2001:db8::7', 4711],
  ['a Unix socket', proxyV2(0x21, 0x31, blockOfPaths('/run/x.sock')), '/run/x.sock', undefined],
  ['an unknown source', proxyV1('UNKNOWN'), '127.0.0.1', expect.any(Number)],
  ['the balancer itself', proxyV2(0x20, 0), '127.0.0.1', expect.any(Number)],
] as const;

describe('a connection through a balancer', () => {
  it.each(SOURCES)(
    'has the address that the header names: %s',
    async (_, header, address, port) => {
      const { acceptor, dialer, judged } = await through(header);
      echo(acceptor);

      const session = await dialer.createSession('a');

      expect(await session.send(Buffer.from('x'))).toMatchObject({ data: Buffer.from('x') });
      expect(acceptor.peer).toMatchObject({ address, port, encrypted: false });
      expect(judged[0]?.peer).toMatchObject({ address, port });
    },
  );

  it.each(SOURCES)('has it within TLS as well: %s', async (_, header, address, port) => {
    const { ca, server } = await certificates();
    const { acceptor, dialer } = await through(header, { tls: server }, { tls: { ca } });
    echo(acceptor);

    const session = await dialer.createSession('a');

    expect(await session.send(Buffer.from('x'))).toMatchObject({ data: Buffer.from('x') });
    expect(acceptor.peer).toMatchObject({ address, port, encrypted: true });
  });

  it.each([
    ['plain', 1],
    ['plain', 11],
    ['plain', 15],
    ['plain', 27],
    ['TLS', 1],
    ['TLS', 13],
    ['TLS', 27],
  ])('comes to be wherever the header is cut (%s, %d)', async (kind, at) => {
    const { ca, server } = await certificates();
    const isSecure = kind === 'TLS';
    const { acceptor } = await through(
      [V2.subarray(0, at), V2.subarray(at)],
      isSecure ? { tls: server } : {},
      isSecure ? { tls: { ca } } : {},
    );

    expect(acceptor.peer).toMatchObject({ address: '192.0.2.7', port: 4711 });
  });

  it('comes to be if header and preface are of one piece', async () => {
    const listener = await listening({ proxyProtocol: true });
    const accepted = next(listener, 'connection');
    const { host, port } = addressOf(listener) as { host: string; port: number };
    const peer = await RawPeer.dial({ host, port });

    peer.write(Buffer.concat([V1, hello]));
    await peer.frame(FrameType.WELCOME);

    const [connection] = await accepted;
    expect(connection.peer).toMatchObject({ address: '192.0.2.7', port: 4711 });
  });

  it('survives its sockets, and has the address of the newest', async () => {
    const listener = await listening({ proxyProtocol: true });
    const accepted = next(listener, 'connection');
    const first = await balancer(listener, V1);
    const second = await balancer(listener, proxyV1('TCP4 192.0.2.8 192.0.2.1 4712 5000'));
    const dialer = await connect({
      addresses: [first, second],
      reconnect: { minDelay: 1, maxDelay: 1 },
    });
    afterTest(() => dialer.close());
    const [acceptor] = await accepted;
    const resumed = next(acceptor, 'resume');

    const [stopped] = [first.sockets];
    await new Promise<void>((resolve) => {
      for (const socket of stopped) socket.once('close', () => resolve());
      for (const socket of stopped) socket.destroy();
    });
    await resumed;

    expect(acceptor.peer.address).toMatch(/^192\.0\.2\.[78]$/);
    expect(acceptor.status).toBe('open');
  });

  it('carries large messages both ways within TLS', async () => {
    const { ca, server } = await certificates();
    const { acceptor, dialer } = await through(V2, { tls: server }, { tls: { ca } });
    echo(acceptor);
    const body = Buffer.alloc(3_000_000, 'x');

    const outcome = await (await dialer.createSession('a')).send(body);

    expect(outcome.data.equals(body)).toBe(true);
  });

  it('may come in over a Unix socket', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ic-'));
    afterTest(() => rmSync(folder, { recursive: true, force: true }));

    const { acceptor } = await through(V2, { path: join(folder, 'a.sock') });

    expect(acceptor.peer).toMatchObject({ address: '192.0.2.7', port: 4711 });
  });

  it('may come in over a network that was given', async () => {
    const network = new MemoryNetwork();
    const listener = await listening({ network, proxyProtocol: true });
    const accepted = next(listener, 'connection');
    const socket = network.connect();
    socket.on('error', () => undefined);
    afterTest(() => socket.destroy());
    socket.once('connect', () => socket.write(Buffer.concat([V2, hello])));

    const [connection] = await accepted;

    expect(connection.peer).toMatchObject({ address: '192.0.2.7', port: 4711 });
  });
});

describe('a socket without the header that is due', () => {
  it.each([
    ['Interconnect at once', hello, 'no-proxy-header', 'looks like an Interconnect peer'],
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n'), 'no-proxy-header', 'looks like an HTTP client'],
    ['a malformed one', proxyV1('TCP4 x y 1 2'), 'bad-proxy-header', 'the TCP4 address "x"'],
    ['one too long', Buffer.from(`PROXY UNKNOWN ${'x'.repeat(100)}`), 'bad-proxy-header', '107'],
  ])('is ended without an octet, and told of: %s', async (_, octets, kind, words) => {
    const { server } = await certificates();
    for (const options of [{}, { tls: server }]) {
      const listener = await listening({ ...options, proxyProtocol: true });
      const strangers = strangersOf(listener);
      const { host, port } = addressOf(listener) as { host: string; port: number };
      const peer = await RawPeer.dial({ host, port });

      peer.write(octets);
      await peer.closed;

      expect(peer.received).toBe(0);
      expect(strangers).toMatchObject([{ kind, address: '127.0.0.1' }]);
      expect(strangers[0]?.message).toContain(words);
      expect(listener.connections.size).toBe(0);
    }
  });

  it('that ends amid its header is told of', async () => {
    const listener = await listening({ proxyProtocol: true });
    const strangers = strangersOf(listener);
    const { host, port } = addressOf(listener) as { host: string; port: number };
    const peer = await RawPeer.dial({ host, port });

    peer.socket.end(V2.subarray(0, 20));
    await peer.closed;

    await until(() => strangers.length === 1);
    expect(strangers).toMatchObject([{ kind: 'bad-proxy-header' }]);
  });

  it('that says something else after it is told of under the address of the header', async () => {
    const listener = await listening({ proxyProtocol: true });
    const strangers = strangersOf(listener);
    const { host, port } = addressOf(listener) as { host: string; port: number };
    const peer = await RawPeer.dial({ host, port });

    peer.write(Buffer.concat([V2, Buffer.from('GET / HTTP/1.1\r\n')]));
    await peer.closed;

    await until(() => strangers.length === 1);
    expect(strangers).toMatchObject([{ kind: 'http', address: '192.0.2.7', port: 4711 }]);
  });

  it('that has two is none of ours', async () => {
    const listener = await listening({ proxyProtocol: true });
    const strangers = strangersOf(listener);
    const { host, port } = addressOf(listener) as { host: string; port: number };
    const peer = await RawPeer.dial({ host, port });

    peer.write(Buffer.concat([V2, V1, hello]));
    await peer.closed;

    await until(() => strangers.length === 1);
    expect(strangers).toMatchObject([{ kind: 'proxy-v1', address: '192.0.2.7' }]);
  });
});

describe('with addresses that are named', () => {
  it.each([
    ['the address', ['127.0.0.1']],
    ['a network of it', ['10.0.0.0/8', '127.0.0.0/8']],
    ['everybody', ['0.0.0.0/0', '::/0']],
  ])('a header counts from %s', async (_, from) => {
    const { acceptor } = await through(V1, { proxyProtocol: { from } });

    expect(acceptor.peer.address).toBe('192.0.2.7');
  });

  it('a header counts from IPv4 at a listener for both', async () => {
    const { acceptor } = await through(V1, { host: '::', proxyProtocol: { from: ['127.0.0.1'] } });

    expect(acceptor.peer.address).toBe('192.0.2.7');
  });

  it('a header from elsewhere is not believed: its sender is a stranger', async () => {
    const listener = await listening({ proxyProtocol: { from: ['192.0.2.0/24', '::1'] } });
    const strangers = strangersOf(listener);
    const { host, port } = await balancer(listener, V1);

    await failure(connect({ host, port, reconnect: false }));

    expect(strangers).toMatchObject([{ kind: 'proxy-v1', address: '127.0.0.1' }]);
    expect(listener.connections.size).toBe(0);
  });

  it('all others come without one, under their own address', async () => {
    const listener = await listening({ proxyProtocol: { from: ['192.0.2.0/24'] } });
    const accepted = next(listener, 'connection');

    await dial(listener);

    const [connection] = await accepted;
    expect(connection.peer.address).toBe('127.0.0.1');
  });

  it('those who are named have to send one', async () => {
    const listener = await listening({ proxyProtocol: { from: ['127.0.0.1'] } });
    const strangers = strangersOf(listener);

    await failure(connect({ ...addressOf(listener), reconnect: false }));

    expect(strangers).toMatchObject([{ kind: 'no-proxy-header', address: '127.0.0.1' }]);
  });
});

describe('the option proxyProtocol', () => {
  it.each([
    ['a string', '10.0.0.0/8', 'must be true, or { from }'],
    ['null', null, 'must be true, or { from }'],
    ['no list', { from: '10.0.0.0/8' }, 'must be true, or { from }'],
    ['an empty list', { from: [] }, 'at least one address'],
    ['a name', { from: ['localhost'] }, 'holds "localhost"'],
    ['a prefix too long', { from: ['10.0.0.0/33'] }, 'holds "10.0.0.0/33"'],
    ['a prefix that is no number', { from: ['10.0.0.0/x'] }, 'holds "10.0.0.0/x"'],
    ['an empty prefix', { from: ['10.0.0.0/'] }, 'holds "10.0.0.0/"'],
    ['two prefixes', { from: ['10.0.0.0/8/8'] }, 'holds "10.0.0.0/8/8"'],
    ['a zone', { from: ['fe80::1%eth0'] }, 'holds "fe80::1%eth0"'],
    ['a number', { from: [10] }, 'holds 10'],
  ])('is refused where it is %s', (_, value, words) => {
    const error = thrown(() => new Listener({ proxyProtocol: value as never }));

    expect(error.code).toBe('IC_ERR_OPTION');
    expect(error.message).toContain(words);
  });

  it('names no addresses for a Unix socket, whose peers have none', () => {
    const options = { path: '/tmp/x.sock', proxyProtocol: { from: ['127.0.0.1'] } };

    expect(thrown(() => new Listener(options)).message).toContain('Give proxyProtocol: true.');
  });

  it('may be switched off', async () => {
    const listener = await listening({ proxyProtocol: false });

    expect((await dial(listener)).status).toBe('open');
  });
});
