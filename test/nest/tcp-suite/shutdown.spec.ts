import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { ClientProxy, MessagePattern } from '@nestjs/microservices';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { firstValueFrom } from 'rxjs';
import { failure, until } from '../../support/nest/async.js';
import { Loopback } from '../../support/nest/loopback.js';

@Controller()
class PingController {
  calls = 0;

  @MessagePattern({ cmd: 'ping' })
  ping(): string {
    this.calls += 1;
    return 'pong';
  }
}

let loopback: Loopback;

beforeEach(async () => {
  loopback = await Loopback.start({
    controllers: [PingController],
    server: { encoding: 'json' },
  });
});
afterEach(() => loopback.close());

function connected(): ClientProxy {
  return loopback.client({ encoding: 'json', reconnect: false });
}

/** Both ends of a socket over which nothing is said. */
async function stranger(): Promise<{ dialer: Socket; acceptor: Socket }> {
  const accepted = once(loopback.server.unwrap(), 'connection');
  const dialer = connect(loopback.port, '127.0.0.1').on('error', () => undefined);
  const [acceptor] = (await accepted) as [Socket];
  dialer.resume();
  return { dialer, acceptor };
}

describe('shutting down', () => {
  it('has ended every connection by the time close() resolves', async () => {
    const clients = [connected(), connected()];
    for (const client of clients) await client.connect();
    await until(() => loopback.server.peers.size === 2);
    const connections = [...loopback.server.peers].map(({ connection }) => connection);

    await loopback.app.close();

    expect(connections.map(({ status }) => status)).toEqual(['closed', 'closed']);
    expect(connections.every(({ socket }) => socket.destroyed)).toBe(true);
    expect(loopback.server.peers.size).toBe(0);
  });

  it('has ended every socket too that has said nothing yet', async () => {
    const strangers = [await stranger(), await stranger()];

    await loopback.app.close();

    expect(strangers.map(({ acceptor }) => acceptor.destroyed)).toEqual([true, true]);
    await until(() => strangers.every(({ dialer }) => dialer.destroyed));
  });

  it('runs no handler over a connection of before', async () => {
    const client = connected();
    expect(await firstValueFrom(client.send({ cmd: 'ping' }, {}))).toBe('pong');

    await loopback.app.close();

    expect(await failure(client.send({ cmd: 'ping' }, {}))).toMatchObject({ executed: 'no' });
    expect(loopback.app.get(PingController).calls).toBe(1);
  });
});
