import { describe, expect, it, jest } from '@jest/globals';
import { once } from 'node:events';
import {
  type AddressInfo,
  connect as connectSocket,
  createServer,
  type Server,
  type Socket,
} from 'node:net';
import {
  connect,
  type Connection,
  type ConnectOptions,
  Listener,
  type ListenerOptions,
  MemoryNetwork,
  type Message,
  type Network,
} from 'nestjs-interconnect/core';
import { afterTest } from '../../support/after-test.js';
import { connected, dial, echo, inSession, listening } from '../../support/peers/connected.js';
import { failure, later, next, thrown, turn, until } from '../../support/events.js';
import { ManualClock } from '../../support/sim/manual-clock.js';
import { run } from '../../support/peers/program.js';
import { Random } from '../../support/random.js';

const MIB = 1024 * 1024;

/** How many sockets there are, of both ends. */
function socketsOf(server: Server | undefined): Promise<number> {
  return new Promise((resolve, reject) =>
    server?.getConnections((error, count) => (error === null ? resolve(count) : reject(error))),
  );
}

describe('a connection over memory', () => {
  it('does what one over TCP does, and tells the network as address', async () => {
    const network = new MemoryNetwork();
    const { listener, acceptor, dialer } = await connected(
      { network, agent: 'the listener' },
      { network, agent: 'the dialer', data: Buffer.from('who I am') },
    );
    echo(acceptor);
    const session = await dialer.createSession('echo');
    const payload = new Random(1).bytes(5 * MIB);

    const [small, large] = await Promise.all([
      session.send(Buffer.from('x')),
      session.send(payload),
    ]);

    expect(small).toMatchObject({ accepted: true, data: Buffer.from('x') });
    expect(large.data.equals(payload)).toBe(true);
    const { address } = network;
    expect(address).toMatch(/^memory-\d+$/);
    expect(listener.address).toEqual({ path: address });
    expect(listener.server?.address()).toBe(address);
    expect(listener.server?.listening).toBe(true);
    const peer = { address, port: undefined, encrypted: false, authorized: false };
    expect(dialer.peer).toEqual({ ...peer, agent: 'the listener', certificate: undefined });
    expect(acceptor.peer).toEqual({ ...peer, agent: 'the dialer', certificate: undefined });
    expect(acceptor.data).toEqual(Buffer.from('who I am'));
    expect(acceptor.socket.bytesRead).toBeGreaterThan(5 * MIB);
    expect(dialer.socket.bytesRead).toBeGreaterThan(5 * MIB);
    expect(await socketsOf(listener.server)).toBe(1);
  });

  it('needs no timer of the global scope, which tests may have replaced', async () => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask', 'performance'] });
    afterTest(() => jest.useRealTimers());
    const network = new MemoryNetwork();
    const { acceptor, dialer } = await connected({ network }, { network });
    echo(acceptor);

    const session = await dialer.createSession('echo');

    expect(await session.send(Buffer.from('x'))).toMatchObject({ data: Buffer.from('x') });
  });

  it('streams 64 MiB, and holds little of it', async () => {
    const network = new MemoryNetwork();
    const { session, accepted, dialer } = await inSession({ network }, { network });
    let given = 0;
    let taken = 0;
    let ahead = 0;
    function* source(): Generator<Buffer> {
      for (; given < 64 * MIB; given += MIB / 4) {
        ahead = Math.max(ahead, given - taken);
        yield Buffer.alloc(MIB / 4, given % 251);
      }
    }
    accepted.on(
      'message',
      later(async (message: Message) => {
        for await (const item of message.body) {
          expect(item.equals(Buffer.alloc(MIB / 4, taken % 251))).toBe(true);
          taken += item.length;
        }
        message.accept();
      }),
    );

    expect(await session.send(source())).toMatchObject({ accepted: true });

    expect([given, taken]).toEqual([64 * MIB, 64 * MIB]);
    // The session's window, one more item, and what the socket was handed.
    expect(ahead).toBeLessThan(6 * MIB);
    expect(dialer.socket.writableLength).toBe(0);
  });

  it('holds a sender back whose receiver does not read', async () => {
    const network = new MemoryNetwork();
    const { session, accepted, acceptor, dialer } = await inSession({ network }, { network });
    accepted.on('message', (message) => message.accept());
    acceptor.socket.pause();
    const sends = Array.from({ length: 8 }, () => session.send(Buffer.alloc(MIB)));

    await until(() => dialer.socket.writableLength > 0);
    for (let turns = 0; turns < 20; turns++) await turn();

    const unread = dialer.socket.bytesWritten - acceptor.socket.bytesRead;
    expect(dialer.socket.bytesWritten).toBeLessThan(MIB);
    expect(unread).toBeGreaterThan(0);
    acceptor.socket.resume();
    expect((await Promise.all(sends)).every(({ accepted: is }) => is)).toBe(true);
  });

  it('never meets another network', async () => {
    const networks = Array.from({ length: 50 }, () => new MemoryNetwork());
    const outcomes = await Promise.all(
      networks.map(async (network) => {
        const { acceptor, dialer } = await connected({ network }, { network });
        acceptor.on('session', (session) => {
          session.on('message', (message) => message.respond(Buffer.from(network.address)));
          session.accept();
        });
        return (await dialer.createSession('who')).send(Buffer.alloc(0));
      }),
    );

    const answers = outcomes.map(({ data }) => data.toString());
    expect(answers).toEqual(networks.map(({ address }) => address));
    expect(new Set(answers).size).toBe(50);
  });

  it('keeps its process until both sides have closed, and no longer', async () => {
    const { code, stdout, stderr } = await run(new URL('../programs/memory.ts', import.meta.url));

    expect([code, stdout, stderr]).toEqual([0, 'answered\nIC_ERR_TIMEOUT\nclosed\n', '']);
  });
});

describe('a network that is cut', () => {
  it('loses no message and runs none twice, wherever that happens', async () => {
    const seed = Number(process.env['MEMORY_SEED'] ?? Date.now() % 1_000_000);
    const random = new Random(seed);
    const network = new MemoryNetwork();
    const reconnect = { minDelay: 1, maxDelay: 5 };
    const { session, accepted, dialer, acceptor, listener } = await inSession(
      { network },
      { network, reconnect },
    );
    const ran: number[] = [];
    accepted.on('message', (message) => {
      ran.push(message.data.readUInt32BE());
      message.respond(message.data);
    });
    const lost: string[] = [];
    dialer.on('detach', (error) => lost.push(error.code));

    for (let round = 0; round < 20; round++) {
      const sends = Array.from({ length: 10 }, async (_, index) => {
        const payload = random.bytes(random.integer(4, 200_000));
        payload.writeUInt32BE(round * 10 + index);
        const { data } = await session.send(payload);
        return data.equals(payload);
      });
      for (let turns = random.integer(0, 30); turns > 0; turns--) await turn();
      network.cut();
      const isSame = await Promise.all(sends);
      if (isSame.includes(false)) throw new Error(`MEMORY_SEED=${seed}`);
    }

    if (ran.some((number, index) => number !== index)) throw new Error(`MEMORY_SEED=${seed}`);
    expect(ran).toHaveLength(200);
    expect(lost).toEqual(lost.map(() => 'IC_ERR_CONNECTION_LOST'));
    expect(lost.length).toBeGreaterThan(0);
    expect([...listener.connections]).toEqual([acceptor]);
  });

  it('fails who is just connecting', async () => {
    const network = new MemoryNetwork();
    await listening({ network });
    const connecting = failure(connect({ network }));

    network.cut();

    expect(await connecting).toMatchObject({
      code: 'IC_ERR_CONNECT',
      cause: { code: 'ECONNRESET' },
    });
  });

  it('is lost for good to a connection that does not come back', async () => {
    const network = new MemoryNetwork();
    const { dialer, session, accepted } = await inSession(
      { network },
      { network, reconnect: false },
    );
    accepted.on('message', () => network.cut());
    const closed = next(dialer, 'close');

    const error = await failure(session.send(Buffer.from('x')));

    expect(error).toMatchObject({ code: 'IC_ERR_CONNECTION_LOST', executed: 'maybe' });
    expect((await closed)[0]?.message).toContain('ECONNRESET');
  });
});

describe('listening on a network', () => {
  it('is refused to a second listener, until the first has closed', async () => {
    const network = new MemoryNetwork();
    const first = await listening({ network });
    const second = new Listener({ network });
    afterTest(() => second.close());

    const error = await failure(second.listen());

    expect(error).toMatchObject({ code: 'IC_ERR_LISTEN', cause: { code: 'EADDRINUSE' } });
    expect(error.message).toBe(
      `Cannot listen on ${network.address}: listen EADDRINUSE ${network.address}. Choose another, or stop what uses it.`,
    );
    await first.close();
    expect(await second.listen()).toEqual({ path: network.address });
    expect(first.server).toBeUndefined();
  });

  it('may end and begin again, and dialers come back', async () => {
    const network = new MemoryNetwork();
    const { listener, dialer } = await connected(
      { network },
      { network, reconnect: { minDelay: 1 } },
    );
    const renewed = next(dialer, 'renew');
    listener.on('connection', echo);

    const [address] = await Promise.all([listener.drain().then(() => listener.listen()), renewed]);

    expect(address).toEqual({ path: network.address });
    const session = await dialer.createSession('echo');
    expect(await session.send(Buffer.from('x'))).toMatchObject({ data: Buffer.from('x') });
    for (let round = 0; round < 3; round++) {
      await listener.close();
      await listener.listen();
    }
    expect(listener.server?.listening).toBe(true);
  });

  it('may pass to a second listener while the first still drains', async () => {
    const network = new MemoryNetwork();
    const { listener, session, accepted, dialer } = await inSession(
      { network },
      { network, reconnect: { minDelay: 1 } },
    );
    const messages: Message[] = [];
    accepted.on('message', (message) => messages.push(message));
    const running = session.send(Buffer.from('x'));
    await until(() => messages.length === 1);
    const renewed = next(dialer, 'renew');

    const draining = listener.drain();
    await until(() => listener.server?.listening === false);
    const second = await listening({ network });
    second.on('connection', echo);
    await renewed;
    messages[0]?.accept();

    expect(await running).toMatchObject({ accepted: true });
    await draining;
    await dial(second, { network });
    const again = await dialer.createSession('echo');
    expect(await again.send(Buffer.from('y'))).toMatchObject({ data: Buffer.from('y') });
  });

  it('that is closed before it stands gives up', async () => {
    const network = new MemoryNetwork();
    const listener = new Listener({ network });
    const outcome = failure(listener.listen());

    await listener.close();

    expect(await outcome).toMatchObject({ code: 'IC_ERR_CLOSED' });
    expect(await failure(connect({ network }))).toMatchObject({ code: 'IC_ERR_CONNECT' });
  });

  it('drops a socket beyond maxConnections', async () => {
    const network = new MemoryNetwork();
    const { listener } = await inSession({ network, maxConnections: 1 }, { network });

    expect(await failure(connect({ network }))).toMatchObject({ code: 'IC_ERR_CONNECT' });
    expect(listener.connections.size).toBe(1);
  });
});

describe('a server of a network', () => {
  it('has closed when its last socket is gone', async () => {
    const network = new MemoryNetwork();
    const ignore = (socket: Socket): Socket => socket.on('error', () => undefined);
    const server = network.createServer(ignore).listen();
    ignore(network.connect());
    await once(server, 'connection');
    let isClosed = false;

    server.close(() => (isClosed = true));
    for (let turns = 0; turns < 5; turns++) await turn();

    expect([isClosed, server.listening, server.address()]).toEqual([false, false, null]);
    network.cut();
    await until(() => isClosed);
  });

  it('does not say that it listens where it was closed at once', async () => {
    const events: string[] = [];
    const server = new MemoryNetwork().createServer(() => undefined);
    for (const name of ['listening', 'close']) server.on(name, () => events.push(name));

    server.listen().close();
    await turn();

    expect(events).toEqual(['close']);
  });
});

describe('connecting through a network', () => {
  it('fails where nobody listens, or nobody any more', async () => {
    const network = new MemoryNetwork();
    const error = await failure(connect({ network }));

    expect(error).toMatchObject({
      code: 'IC_ERR_CONNECT',
      executed: 'no',
      cause: { code: 'ECONNREFUSED', syscall: 'connect', address: network.address },
    });
    expect(error.message).toBe(
      `No connection to ${network.address}: connect ECONNREFUSED ${network.address}.`,
    );
    const listener = await listening({ network });
    await listener.close();
    expect(await failure(connect({ network }))).toMatchObject({ cause: { code: 'ECONNREFUSED' } });
  });

  it('ends by its signal, or the clock, at each stage', async () => {
    const network = new MemoryNetwork();
    const clock = new ManualClock();
    let asked = 0;
    const listener = await listening({ network, clock, authenticate: () => void (asked += 1) });
    let sockets = 0;
    listener.server?.on('connection', () => (sockets += 1));
    const abort = new AbortController();
    const connecting = failure(connect({ network, signal: abort.signal }));
    abort.abort();
    expect(await connecting).toMatchObject({ code: 'IC_ERR_CANCELLED' });
    await turn();
    expect([asked, sockets]).toEqual([0, 0]);

    const again = new AbortController();
    const introducing = failure(connect({ network, signal: again.signal }));
    await until(() => asked === 1);
    again.abort();
    expect(await introducing).toMatchObject({ code: 'IC_ERR_CANCELLED' });

    const waiting = failure(connect({ network, clock }));
    await until(() => asked === 2);
    clock.advance(10_000);
    expect(await waiting).toMatchObject({ code: 'IC_ERR_HANDSHAKE_TIMEOUT' });
    await listener.close();
    expect(clock.pending).toBe(0);
  });

  it.each([['dialer'], ['listener'], ['both']])('ends in order when closed by %s', async (who) => {
    const network = new MemoryNetwork();
    const { listener, acceptor, dialer } = await connected({ network }, { network });
    const { server } = listener;
    const ends: unknown[] = [];
    for (const each of [acceptor, dialer] satisfies Connection[]) {
      each.on('close', (error) => ends.push(error));
    }

    await Promise.all([
      who === 'listener' ? undefined : dialer.close(),
      who === 'dialer' ? undefined : listener.close(),
    ]);

    await until(() => acceptor.status === 'closed' && dialer.status === 'closed');
    expect(ends).toEqual([undefined, undefined]);
    expect([acceptor.socket.destroyed, dialer.socket.destroyed]).toEqual([true, true]);
    expect(await socketsOf(server)).toBe(0);
  });
});

describe('the option network', () => {
  const network = new MemoryNetwork();

  it.each<[string, Partial<ListenerOptions & ConnectOptions>]>([
    ['host', { host: 'localhost' }],
    ['port', { port: 0 }],
    ['path', { path: '/tmp/x' }],
    ['tls', { tls: {} }],
    ['host, port', { host: 'x', port: 1 }],
    ['addresses', { addresses: [{ port: 1 }] }],
  ])('excludes %s', async (names, options) => {
    const message = `network has an address of its own and excludes ${names}. Give one or the other.`;

    const error = await failure(connect({ network, ...options }));

    expect(error).toMatchObject({ code: 'IC_ERR_OPTION', message });
    expect(thrown(() => new Listener({ network, ...options })).message).toBe(message);
  });

  it('leaves out what is undefined', async () => {
    const nothing = { host: undefined, port: undefined, tls: undefined } as object;
    const { dialer } = await connected({ network, ...nothing }, { network, ...nothing });

    expect(dialer.status).toBe('open');
  });

  it.each([
    [null, 'network must be an object, and is null.'],
    ['memory', 'network must be an object, and is "memory".'],
    [{}, 'network must have the methods connect and createServer: see Network.'],
    [
      { connect: () => undefined, createServer: () => undefined },
      'The address of a network must be a string, and is undefined.',
    ],
  ])('must be one: %p', async (value, message) => {
    const options = { network: value as unknown as Network };

    expect(await failure(connect(options))).toMatchObject({ code: 'IC_ERR_OPTION', message });
    expect(thrown(() => new Listener(options)).message).toBe(message);
  });

  it('takes any network, one of the system for instance', async () => {
    const port = { of: 0 };
    const tunnel: Network = {
      address: 'a tunnel',
      connect: () => connectSocket({ port: port.of, host: '127.0.0.1', allowHalfOpen: true }),
      createServer: (onSocket) => {
        const server = createServer({ allowHalfOpen: true }, onSocket);
        const listen = server.listen.bind(server);
        return Object.assign(server, {
          listen: (_where: unknown, callback: () => void) =>
            listen(0, '127.0.0.1', () => {
              port.of = (server.address() as AddressInfo).port;
              callback();
            }),
        });
      },
    };
    const listener = await listening({ network: tunnel });
    listener.on('connection', echo);

    const dialer = await dial(listener, { network: tunnel });

    const session = await dialer.createSession('echo');
    expect(await session.send(Buffer.from('x'))).toMatchObject({ data: Buffer.from('x') });
  });
});
