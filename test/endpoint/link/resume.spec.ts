import { describe, expect, it } from '@jest/globals';
import { connect, type Connection, type Listener, type Message } from 'nestjs-interconnect/core';
import { afterTest } from '../../support/after-test.js';
import { addressOf, dial, listening, tcpAddressOf } from '../../support/peers/connected.js';
import { CutProxy, type Direction } from '../../support/peers/cut-proxy.js';
import { failure, next, until } from '../../support/events.js';

/** Echoes, and remembers what ran. */
async function echoing(): Promise<{ listener: Listener; ran: string[] }> {
  const listener = await listening();
  const ran: string[] = [];
  serve(listener, (message) => {
    ran.push(message.data.toString('latin1', 0, 8));
    message.respond(message.data);
  });
  return { listener, ran };
}

function serve(listener: Listener, handle: (message: Message) => void): void {
  listener.on('connection', (connection) => {
    connection.on('session', (session) => {
      session.on('message', handle);
      session.accept();
    });
  });
}

async function through(proxy: CutProxy): Promise<Connection> {
  const reconnect = { minDelay: 1, maxDelay: 20 };
  const connection = await connect({ ...proxy.address, reconnect });
  afterTest(() => connection.close());
  return connection;
}

describe('a connection whose socket is lost', () => {
  it('goes on where it was, and no message is lost or runs twice', async () => {
    const { listener, ran } = await echoing();
    const connection = await dial(listener, { reconnect: { minDelay: 1 } });
    const session = await connection.createSession('echo');
    const resumed = next(connection, 'resume');
    const [acceptor] = [...listener.connections];

    const outcomes = Array.from({ length: 50 }, (_, index) => {
      if (index === 25) connection.socket.destroy();
      return session.send(Buffer.from(`m${index}`));
    });

    const answers = (await Promise.all(outcomes)).map(({ data }) => data.toString());
    expect(answers).toEqual(Array.from({ length: 50 }, (_, index) => `m${index}`));
    expect(ran).toEqual(answers);
    await resumed;
    expect(connection.status).toBe('open');
    expect([...listener.connections]).toEqual([acceptor]);
  });

  it.each<Direction>(['to listener', 'to dialer'])(
    'amid large messages %s goes on, wherever that is',
    async (way) => {
      const { listener, ran } = await echoing();
      const proxy = await CutProxy.before(tcpAddressOf(listener));
      const connection = await through(proxy);
      const session = await connection.createSession('echo');
      const payload = Buffer.alloc(300_000, 'abcdefgh');

      for (let at = 1; at < 300_000; at += 39_973) {
        proxy.cutAfter(way, at);
        const outcomes = await Promise.all([session.send(payload), session.send(payload)]);
        for (const { data } of outcomes) expect(data.equals(payload)).toBe(true);
      }

      expect(ran).toHaveLength(16);
    },
  );

  it('begins anew where the listener knows nothing of it: sessions are opened again', async () => {
    const first = await echoing();
    const address = tcpAddressOf(first.listener);
    const connection = await dial(first.listener, { reconnect: { minDelay: 1 } });
    const session = await connection.createSession('echo');
    await session.send(Buffer.from('one'));
    const renewed = next(connection, 'renew');
    const detached = next(connection, 'detach');

    for (const each of first.listener.connections) each.socket.destroy();
    await detached;
    const waiting = session.send(Buffer.from('two'));
    await first.listener.close();
    const second = await listening({ port: address.port });
    const ran: string[] = [];
    serve(second, (message) => {
      ran.push(message.data.toString());
      message.accept();
    });

    await expect(waiting).resolves.toMatchObject({ accepted: true });
    await renewed;
    expect(ran).toEqual(['two']);
    expect(session.status).toBe('open');
  });
});

describe('a listener that drains', () => {
  it('settles what runs, refuses what is new, and sends its dialers elsewhere', async () => {
    const running: Message[] = [];
    const old = await listening();
    serve(old, (message) => void running.push(message));
    const fresh = await echoing();
    const connection = await connect({
      addresses: [tcpAddressOf(old), tcpAddressOf(fresh.listener)],
      reconnect: { minDelay: 1 },
    });
    afterTest(() => connection.close());
    const session = await connection.createSession('echo');
    const slow = session.send(Buffer.from('slow'));
    await until(() => running.length === 1);

    const drained = old.drain();
    await next(connection, 'renew');
    const quick = await session.send(Buffer.from('quick'));
    expect(quick.data.toString()).toBe('quick');
    expect(fresh.ran).toEqual(['quick']);
    running[0]?.respond(Buffer.from('done'));

    expect((await slow).data.toString()).toBe('done');
    await drained;
    expect(connection.status).toBe('open');
    expect(old.connections.size).toBe(0);
  });

  it('fails what its own side sends to a dialer that drains', async () => {
    const { listener } = await echoing();
    const accepted = next(listener, 'connection');
    const connection = await dial(listener);
    connection.on('session', (session) => session.accept());
    const [acceptor] = await accepted;
    const session = await acceptor.createSession('push');
    session.on('close', () => undefined);
    const running = next(session, 'close');

    await connection.drain();

    await running;
    expect(connection.status).toBe('closed');
    expect((await failure(session.send(Buffer.from('late')))).executed).toBe('no');
    expect(addressOf(listener)).toBeDefined();
  });
});
