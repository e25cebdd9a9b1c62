import { describe, expect, it } from '@jest/globals';
import type { Message } from 'nestjs-interconnect/core';
import { dial, listening } from '../../support/peers/connected.js';
import { failure, next, turn, until } from '../../support/events.js';
import { ManualClock } from '../../support/sim/manual-clock.js';

describe('A dialer that is sent away', () => {
  it('keeps the order of its messages, those that crossed GOAWAY included', async () => {
    const listener = await listening();
    const ran: number[] = [];
    listener.on('connection', (connection) => {
      connection.on('session', (session) => {
        session.on('message', (message) => {
          ran.push(message.data.readUInt32BE(0));
          if (ran.length === 20) void connection.drain();
          message.accept();
        });
        session.accept();
      });
    });
    const session = await (await dial(listener)).createSession('orders');

    const numbers = Array.from({ length: 1000 }, (_, index) => index);
    await Promise.all(
      numbers.map((number) => {
        const data = Buffer.alloc(4);
        data.writeUInt32BE(number);
        return session.send(data);
      }),
    );

    expect(ran).toEqual(numbers);
  });

  it('comes back at once, and then after pauses', async () => {
    const clock = new ManualClock();
    const listener = await listening();
    let connections = 0;
    listener.on('connection', (connection) => {
      connections += 1;
      void connection.drain();
    });
    const connection = await dial(listener, { clock });
    await next(connection, 'renew');

    await until(() => connections === 2 && connection.status === 'detached' && clock.pending > 0);
    for (let turns = 0; turns < 50; turns++) await turn();
    expect(connections).toBe(2);
    clock.advance(200);
    await until(() => connections === 3);
  });

  it('gives up only when what the other side still runs has come to its end', async () => {
    const listener = await listening();
    const begun: Message[] = [];
    listener.on('connection', (connection) => {
      connection.on('session', (session) => {
        session.on('message', (message) => void begun.push(message));
        session.accept();
      });
    });
    const connection = await dial(listener, { reconnect: { attempts: 1 } });
    const closed = next(connection, 'close');
    const session = await connection.createSession('work');
    const running = session.send(Buffer.from('x'));
    void running.catch(() => undefined);
    await until(() => begun.length === 1);
    const drained = listener.drain({ timeout: 60_000 });
    await until(() => connection.status !== 'open');
    const unsent = failure(session.send(Buffer.from('y')));
    for (let turns = 0; turns < 50; turns++) await turn();
    begun[0]?.accept();

    expect(await running).toMatchObject({ accepted: true });
    expect(await unsent).toMatchObject({ code: 'IC_ERR_CONNECTION_LOST', executed: 'no' });
    expect((await closed)[0]).toMatchObject({ code: 'IC_ERR_CONNECTION_LOST' });
    await drained;
  });

  it('keeps few of those connections that are never done', async () => {
    const listener = await listening();
    let connections = 0;
    listener.on('connection', (connection) => {
      connections += 1;
      // Never decided on, so that the drain does not end.
      connection.on('session', () => void connection.drain({ timeout: 600_000 }));
    });
    const connection = await dial(listener, { reconnect: { minDelay: 1, maxDelay: 1 } });
    connection.openSession('waits', { timeout: 0 });

    await until(() => connections >= 20);
    await until(() => listener.connections.size <= 10);
    await connection.close();

    expect(connection.status).toBe('closed');
  });

  it('has its pings fail with the socket that they went out on', async () => {
    const listener = await listening();
    const accepted = next(listener, 'connection');
    const connection = await dial(listener, { reconnect: { minDelay: 1 } });
    const [acceptor] = await accepted;
    const ping = acceptor.ping();
    const resumed = next(acceptor, 'resume');
    connection.socket.destroy();

    await expect(ping).rejects.toMatchObject({ code: 'IC_ERR_CONNECTION_LOST' });
    await resumed;
    expect(await acceptor.ping()).toBeGreaterThanOrEqual(0);
  });

  it('does not hold up a listener that drains, when it has gone', async () => {
    const listener = await listening();
    const accepted = next(listener, 'connection');
    const connection = await dial(listener, { reconnect: { minDelay: 60_000, maxDelay: 60_000 } });
    // Never decided on, so that the drain has something to wait for.
    connection.on('session', () => undefined);
    const [acceptor] = await accepted;
    const session = acceptor.openSession('waits', { timeout: 0 });
    const send = failure(session.send(Buffer.from('x'), { timeout: 0 }));
    void acceptor.drain({ timeout: 60_000 });
    const lost = next(acceptor, 'detach');
    connection.socket.destroy();
    await lost;

    await listener.drain({ timeout: 60_000 });

    expect(acceptor.status).toBe('closed');
    expect((await send).code).toBe('IC_ERR_CLOSED');
  });
});
