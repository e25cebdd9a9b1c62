import { describe, expect, it } from '@jest/globals';
import { connect, Listener } from 'nestjs-interconnect/core';
import { afterTest } from '../../support/after-test.js';
import {
  addressOf,
  connected,
  dial,
  listening,
  tcpAddressOf,
} from '../../support/peers/connected.js';
import { failure, next, until } from '../../support/events.js';

describe('a listener that cannot bind', () => {
  it('says that the port is taken, and what to do', async () => {
    const { port } = tcpAddressOf(await listening());

    const error = await failure(new Listener({ host: '127.0.0.1', port }).listen());

    expect(error).toMatchObject({
      code: 'IC_ERR_LISTEN',
      executed: 'no',
      cause: { code: 'EADDRINUSE' },
    });
    expect(error.message).toMatch(
      new RegExp(`^Cannot listen on 127\\.0\\.0\\.1:${port}: .* Choose another, or stop`),
    );
  });

  it.each([
    ['an address of another machine', '192.0.2.1', /EADDRNOTAVAIL/],
    ['a name that nobody has', 'no.such.invalid', /ENOTFOUND|EAI_AGAIN/],
    ['a network that is none', '1.2.3.4.5', /ENOTFOUND|EAI_AGAIN/],
  ])('says so for %s', async (_what, host, systemCode) => {
    const error = await failure(new Listener({ host }).listen());

    expect(error).toMatchObject({
      code: 'IC_ERR_LISTEN',
      cause: { code: expect.stringMatching(systemCode) },
    });
    expect(error.message).toContain(host);
  });

  it('can when the reason is gone', async () => {
    const taken = await listening();
    const listener = new Listener({ host: '127.0.0.1', port: tcpAddressOf(taken).port });
    afterTest(() => listener.close());
    await failure(listener.listen());
    expect([listener.address, listener.server]).toEqual([undefined, undefined]);
    await taken.close();

    await listener.listen();

    expect((await dial(listener)).status).toBe('open');
  });
});

describe('a listener', () => {
  it('tells where it listens, by its promise, its event and its property', async () => {
    const listener = new Listener({ host: '127.0.0.1' });
    afterTest(() => listener.close());
    const event = next(listener, 'listening');

    const address = await listener.listen();

    expect(await event).toEqual([address]);
    expect(listener.address).toEqual(address);
    expect(listener.server?.listening).toBe(true);
  });

  it('refuses to listen twice, and goes on', async () => {
    const listener = await listening();
    const fresh = new Listener({ host: '127.0.0.1' });
    afterTest(() => fresh.close());

    expect(await failure(listener.listen())).toMatchObject({ code: 'IC_ERR_OPTION' });
    const [first, second] = [fresh.listen(), failure(fresh.listen())];

    expect(await second).toMatchObject({ code: 'IC_ERR_OPTION' });
    expect(await first).toMatchObject({ host: '127.0.0.1' });
    expect((await dial(listener)).status).toBe('open');
  });

  it('may be closed before it has ever listened', async () => {
    const listener = new Listener();
    const closes: unknown[] = [];
    listener.on('close', () => closes.push(0));

    await Promise.all([listener.close(), listener.close()]);

    expect(closes).toEqual([]);
  });

  it.each(['127.0.0.1', 'localhost'])(
    'gives up listening on %s where it is closed',
    async (host) => {
      const listener = new Listener({ host });
      const events: string[] = [];
      listener.on('listening', () => events.push('listening'));
      const listens = failure(listener.listen());

      await listener.close();

      expect(await listens).toMatchObject({ code: 'IC_ERR_CLOSED' });
      expect([listener.address, listener.server, events]).toEqual([undefined, undefined, []]);
    },
  );

  it('listens after a close that had not ended', async () => {
    const listener = await listening();

    const closing = listener.close();
    const overtaken = failure(listener.listen());
    const closingAgain = listener.close();
    const address = listener.listen();

    expect(await overtaken).toMatchObject({ code: 'IC_ERR_CLOSED' });
    await Promise.all([closing, closingAgain]);
    expect(await address).toMatchObject({ host: '127.0.0.1' });
    expect((await dial(listener)).status).toBe('open');
  });

  it('listens, closes and listens again, as often as one likes', async () => {
    const listener = await listening();

    for (let round = 0; round < 20; round++) {
      const connection = await connect(addressOf(listener));
      await listener.close();
      await until(() => connection.status === 'closed');
      await listener.listen();
    }

    expect((await dial(listener)).status).toBe('open');
    expect(listener.connections.size).toBe(1);
  });

  it('keeps its listeners and its options over a close', async () => {
    const { listener } = await connected({
      authenticate: (handshake) => handshake.accept(Buffer.from('hi')),
    });
    const connections: unknown[] = [];
    listener.on('connection', (connection) => connections.push(connection));

    await listener.close();
    await listener.listen();

    expect((await dial(listener)).data).toEqual(Buffer.from('hi'));
    expect(connections).toHaveLength(1);
  });
});

describe('closing a listener', () => {
  it('closes its connections in order', async () => {
    const { listener, acceptor, dialer } = await connected();
    const second = await dial(listener);
    const closed = [dialer, second, acceptor].map((each) => next(each, 'close'));
    const event = next(listener, 'close');

    await listener.close();

    expect(await Promise.all(closed)).toEqual([[undefined], [undefined], [undefined]]);
    expect(await event).toEqual([]);
    expect([listener.address, listener.server, listener.connections.size]).toEqual([
      undefined,
      undefined,
      0,
    ]);
  });

  it('frees the port', async () => {
    const { listener } = await connected();
    const { port } = tcpAddressOf(listener);

    await listener.close();

    expect(await failure(connect({ host: '127.0.0.1', port }))).toMatchObject({
      code: 'IC_ERR_CONNECT',
    });
    const other = await listening({ port });
    expect(tcpAddressOf(other).port).toBe(port);
  });

  it('refuses who waits to be let in', async () => {
    let asked = false;
    const listener = await listening({ authenticate: () => void (asked = true) });
    const connecting = failure(connect(addressOf(listener)));
    await until(() => asked);

    await listener.close();

    expect(await connecting).toMatchObject({
      code: 'IC_ERR_CONNECTION_REJECTED',
      executed: 'no',
      status: 0x0204,
      reason: 'The listener is closing.',
    });
  });

  it('may happen from within its own events', async () => {
    const listener = await listening();
    const closed = new Promise<void>((resolve) => {
      listener.on('connection', (connection) => {
        connection.on('session', () => resolve(listener.close()));
      });
    });
    const dialer = await dial(listener);

    const creating = failure(dialer.createSession('x'));

    await closed;
    expect(await creating).toMatchObject({ code: 'IC_ERR_CLOSED' });
  });

  it('is idempotent, at once and later', async () => {
    const { listener } = await connected();
    const closes: unknown[] = [];
    listener.on('close', () => closes.push(0));

    await Promise.all([listener.close(), listener.close()]);
    await listener.close();

    expect(closes).toHaveLength(1);
  });
});

describe('a dialer', () => {
  it.each([
    ['that nobody listens there', '127.0.0.1', /ECONNREFUSED/],
    ['that the name is unknown', 'no.such.invalid', /ENOTFOUND|EAI_AGAIN/],
  ])('says %s', async (_what, host, systemCode) => {
    const listener = await listening();
    const { port } = tcpAddressOf(listener);
    await listener.close();

    const error = await failure(connect({ host, port }));

    expect(error).toMatchObject({ code: 'IC_ERR_CONNECT', executed: 'no' });
    expect(error.message).toContain(`${host}:${port}`);
    expect(error.message).toMatch(systemCode);
    expect(error.cause).toBeDefined();
  });

  it('names the reasons of all addresses that it tried', async () => {
    const listener = await listening();
    const { port } = tcpAddressOf(listener);
    await listener.close();

    const error = await failure(connect({ port }));

    expect(error.code).toBe('IC_ERR_CONNECT');
    expect(error.message).toMatch(/^No connection to localhost:\d+: connect ECONNREFUSED .+/);
  });
});
