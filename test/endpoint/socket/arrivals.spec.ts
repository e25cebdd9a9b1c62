/** Sockets from the moment in which they are accepted until there is a connection, or until they are gone. */
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { describe, expect, it } from '@jest/globals';
import type { Listener, ListenerOptions, Stranger } from 'nestjs-interconnect/core';
import { encodePreface, FrameType } from '../../../src/wire/index.js';
import { afterTest } from '../../support/after-test.js';
import { certificates } from '../../support/peers/certificates.js';
import { dial, listening, tcpAddressOf } from '../../support/peers/connected.js';
import { next, turn, until } from '../../support/events.js';
import { ManualClock } from '../../support/sim/manual-clock.js';
import { BLOCK_V4, proxyV1, proxyV2 } from '../../support/peers/proxy-headers.js';
import { frame, GREETING } from '../../support/peers/raw-peer.js';

const TIMEOUT = 4000;
const hello = frame({ type: FrameType.HELLO, meta: GREETING });
/** The beginning of a TLS ClientHello that announces 196 octets more. */
const halfHello = Buffer.from('16030100c8010000c40303', 'hex');

interface Door {
  readonly listener: Listener;
  readonly clock: ManualClock;
  readonly strangers: Stranger[];
  /** Everything that is told of sockets that came to nothing. */
  readonly told: unknown[];
  /** Timers that the listener itself has, such as that of its certificate. */
  readonly timers: number;
}

async function door(options: ListenerOptions = {}): Promise<Door> {
  const clock = new ManualClock();
  const listener = await listening({ clock, handshakeTimeout: TIMEOUT, ...options });
  const strangers: Stranger[] = [];
  const told: unknown[] = [];
  listener.on('stranger', (stranger) => strangers.push(stranger));
  for (const event of ['stranger', 'tlsError', 'handlerError', 'drop', 'connection'] as const) {
    listener.on(event, (...args: unknown[]) => told.push([event, ...args]));
  }
  return { listener, clock, strangers, told, timers: clock.pending };
}

async function secureDoor(options: ListenerOptions = {}): Promise<Door & { readonly ca: string }> {
  const { ca, server } = await certificates();
  return { ...(await door({ tls: server, ...options })), ca };
}

interface Knocking extends Socket {
  /** Resolves when it is closed. */
  readonly gone: Promise<void>;
  /** The listener's end. */
  readonly other: Socket;
}

/** Connects, and waits until the listener has the socket. */
async function knock({ listener }: Door): Promise<Knocking> {
  const accepted = new Promise<Socket>((resolve) => listener.server?.once('connection', resolve));
  const { host, port } = tcpAddressOf(listener);
  const socket = watched(connectTcp({ host, port, noDelay: true }));
  return Object.assign(socket, { other: await accepted });
}

function watched<T extends Socket>(socket: T): T & { readonly gone: Promise<void> } {
  socket.on('error', () => undefined);
  socket.resume();
  afterTest(() => socket.destroy());
  const gone = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  return Object.assign(socket, { gone });
}

async function encrypted({ listener, ca }: Door & { readonly ca: string }) {
  const secured = new Promise((resolve) => listener.server?.once('secureConnection', resolve));
  const { port } = tcpAddressOf(listener);
  const options = { port, host: '127.0.0.1', ca, servername: 'localhost' };
  const socket = watched(connectTls({ ...options, ALPNProtocols: ['intc/1'] }));
  await secured;
  return socket;
}

/** Writes octets, and waits until the listener has read them. */
async function read(socket: Knocking, octets: Buffer): Promise<void> {
  const { other } = socket;
  const total = other.bytesRead + octets.length;
  socket.write(octets);
  await until(() => other.bytesRead >= total || other.destroyed);
  await turn();
}

function socketsOf({ listener }: Door): Promise<number> {
  return new Promise((resolve, reject) => {
    listener.server?.getConnections((error, count) => {
      if (error) reject(error);
      else resolve(count);
    });
  });
}

/** That no socket, no timer and no place is left of who came before. */
async function expectEmpty(place: Door): Promise<void> {
  await until(() => place.clock.pending === place.timers);
  let count = -1;
  await until(() => {
    void socketsOf(place).then((found) => (count = found));
    return count === 0;
  });
}

const PREFACE = encodePreface();
const HEADER = proxyV2(0x21, 0x11, BLOCK_V4);

describe('a socket that does not finish its handshake', () => {
  describe.each(['plain', 'TLS', 'plain behind a balancer', 'TLS behind a balancer'])(
    '(%s)',
    (kind) => {
      const isSecure = kind.startsWith('TLS');
      const isProxied = kind.includes('balancer');
      const open = (options: ListenerOptions = {}): Promise<Door> => {
        const all = { proxyProtocol: isProxied, ...options };
        return isSecure ? secureDoor(all) : door(all);
      };
      const begun = isSecure ? halfHello : Buffer.concat([PREFACE, hello]).subarray(0, 30);
      const stream = isProxied ? Buffer.concat([HEADER, begun]) : begun;
      const silent = isProxied ? HEADER.length : 0;

      it.each([
        ['nothing', 0],
        ['one octet', 1],
        ['half of what comes first', 11],
        ['all of its PROXY header', silent],
        ['an octet after it', silent + 1],
        ['all but the end', stream.length],
      ])('is destroyed in time where it says %s', async (_, length) => {
        const place = await open({ maxConnections: 1 });
        const socket = await knock(place);
        await read(socket, stream.subarray(0, length));

        place.clock.advance(TIMEOUT - 1);
        await turn();
        expect(await socketsOf(place)).toBe(1);
        place.clock.advance(1);
        // What it is told of its end may stay unread for a while.
        place.clock.advance(1000);

        await socket.gone;
        await expectEmpty(place);
        const isSilent = length === 0 || length === silent;
        expect(place.told).toHaveLength(isSilent ? 0 : 1);
        expect(place.strangers.map((each) => each.kind)).toEqual(isSilent ? [] : ['unfinished']);
      });

      it('has no more time for trickling in', async () => {
        const place = await open();
        const socket = await knock(place);

        for (const octet of stream.subarray(0, 40)) {
          await read(socket, Buffer.from([octet]));
          place.clock.advance(TIMEOUT / 40);
        }
        place.clock.advance(1000 + TIMEOUT);

        await socket.gone;
        await expectEmpty(place);
      });

      it.each(['end', 'destroy', 'resetAndDestroy'] as const)(
        'leaves nothing, and is told of to nobody, where it ends without a word (%s)',
        async (how) => {
          const place = await open();
          const socket = await knock(place);

          socket[how]();

          await socket.gone;
          if (how === 'end') place.clock.advance(1000);
          await expectEmpty(place);
          expect(place.told).toEqual([]);
        },
      );
    },
  );

  it('is destroyed in time where TLS stands, and nothing is said within it', async () => {
    const place = await secureDoor();
    const socket = await encrypted(place);

    place.clock.advance(TIMEOUT);

    await socket.gone;
    await expectEmpty(place);
    expect(place.told).toEqual([]);
  });

  it('has had its time for TLS already when that stands', async () => {
    const place = await secureDoor();
    const secured = new Promise((resolve) =>
      place.listener.server?.once('secureConnection', resolve),
    );
    const plain = await knock(place);
    place.clock.advance(TIMEOUT - 10);
    const socket = watched(
      connectTls({
        socket: plain,
        ca: place.ca,
        servername: 'localhost',
        ALPNProtocols: ['intc/1'],
      }),
    );
    await secured;
    const before = plain.other.bytesRead;
    socket.write(PREFACE);
    await until(() => plain.other.bytesRead > before);
    await turn();

    place.clock.advance(9);
    await turn();
    expect(socket.destroyed).toBe(false);
    place.clock.advance(1);
    place.clock.advance(1000);

    await socket.gone;
    expect(place.strangers).toMatchObject([{ kind: 'unfinished', address: '127.0.0.1' }]);
    expect(place.strangers[0]?.message).toContain(`${TIMEOUT} ms`);
  });

  it('is not blamed where the application takes its time to judge it', async () => {
    const place = await door({ authenticate: () => undefined });
    const socket = await knock(place);
    await read(socket, Buffer.concat([PREFACE, hello]));

    place.clock.advance(TIMEOUT);
    place.clock.advance(1000);

    await socket.gone;
    expect(place.told).toEqual([]);
  });

  it.each(['close', 'drain'] as const)('does not hold up %s()', async (how) => {
    const place = await secureDoor({ proxyProtocol: true });
    const sockets = [await knock(place), await knock(place), await knock(place)];
    await read(sockets[1]!, HEADER);
    await read(sockets[2]!, Buffer.concat([HEADER, halfHello]));

    await place.listener[how]();

    await Promise.all(sockets.map(({ gone }) => gone));
    expect(place.clock.pending).toBe(0);
    expect(place.told).toEqual([]);
  });
});

describe('a stranger', () => {
  const KNOWN = [
    [
      'the PROXY protocol, version 1',
      proxyV1('TCP4 192.0.2.7 192.0.2.1 4711 5000'),
      'proxy-v1',
      'set proxyProtocol',
    ],
    ['the PROXY protocol, version 2', HEADER, 'proxy-v2', 'set proxyProtocol'],
    ['an HTTP client', Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'http', 'another port'],
    ['an SSH peer', Buffer.from('SSH-2.0-OpenSSH_9.0\r\n'), 'ssh', 'Find out'],
    ["Nest's TCP transport", Buffer.from('13#{"pattern":1}'), 'nest-tcp', 'InterconnectClient'],
    ['a Redis client', Buffer.from('*1\r\n$4\r\nPING\r\n'), 'redis', 'Find out'],
  ] as const;

  it.each([...KNOWN, ['a TLS client', halfHello, 'tls', 'Set tls'] as const])(
    'is known for %s on a plain port, and gets no answer [IC-3.2]',
    async (name, octets, kind, remedy) => {
      const place = await door();
      const socket = await knock(place);

      socket.write(octets);
      await socket.gone;

      expect(socket.bytesRead).toBe(0);
      await until(() => place.strangers.length === 1);
      const port = socket.localPort ?? place.strangers[0]?.port;
      expect(place.strangers[0]).toMatchObject({ kind, address: '127.0.0.1', port });
      expect(place.strangers[0]?.message).toContain(`this looks like ${name}.`);
      expect(place.strangers[0]?.message).toContain(remedy);
    },
  );

  it.each(KNOWN.map(([name, octets, kind]) => [name, octets, kind] as const))(
    'is known for %s on a port with TLS, and gets no answer',
    async (name, octets, kind) => {
      const place = await secureDoor();
      const socket = await knock(place);

      socket.write(octets);
      await socket.gone;

      expect(socket.bytesRead).toBe(0);
      expect(place.strangers).toMatchObject([{ kind, address: '127.0.0.1' }]);
      expect(place.strangers[0]?.message).toContain(`this looks like ${name}.`);
      await expectEmpty(place);
    },
  );

  it('may be one of us, who lacks TLS', async () => {
    const place = await secureDoor();
    const socket = await knock(place);

    socket.write(PREFACE);
    await socket.gone;

    expect(place.strangers).toMatchObject([{ kind: 'interconnect' }]);
    expect(place.strangers[0]?.message).toContain('Set tls (in Nest: tlsOptions) at the dialer.');
  });

  it('of whom nothing is known is told of as well', async () => {
    for (const place of [await door(), await secureDoor()]) {
      const socket = await knock(place);

      socket.write(Buffer.from([0xde, 0xad]));
      await socket.gone;

      expect(place.strangers).toMatchObject([{ kind: 'unknown' }]);
    }
  });

  it('does not disturb those who come after', async () => {
    const place = await secureDoor({ maxConnections: 2 });
    for (let count = 0; count < 10; count++) {
      const socket = await knock(place);
      socket.write('GET / HTTP/1.1\r\n\r\n');
      await socket.gone;
    }

    const connection = await dial(place.listener, { tls: { ca: place.ca } });

    expect(connection.status).toBe('open');
  });

  it('of whom a listener of the application fails to take note changes nothing', async () => {
    const place = await door();
    const broken = new Error('broken');
    const failed = next(place.listener, 'handlerError');
    place.listener.prependListener('stranger', () => {
      throw broken;
    });
    const socket = await knock(place);

    socket.write('GET / HTTP/1.1\r\n\r\n');

    expect(await failed).toEqual([broken]);
    await socket.gone;
  });
});

describe('a socket that has done nothing yet', () => {
  it.each(['plain', 'TLS'])(
    'gives way to one beyond maxConnections, and is told of with its address (%s)',
    async (kind) => {
      const options = { maxConnections: 1 };
      const place = kind === 'TLS' ? await secureDoor(options) : await door(options);
      const silent = await knock(place);
      const port = silent.localPort;
      const dropped = next(place.listener, 'drop');

      const connecting = kind === 'TLS' ? { tls: { ca: (await certificates()).ca } } : {};
      const connection = await dial(place.listener, connecting);

      expect(connection.status).toBe('open');
      expect(await dropped).toEqual([
        { address: '127.0.0.1', port, reason: 'displaced', message: expect.any(String) },
      ]);
      await silent.gone;
    },
  );
});
