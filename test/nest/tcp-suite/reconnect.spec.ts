import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { ClientProxy, MessagePattern } from '@nestjs/microservices';
import { firstValueFrom } from 'rxjs';
import { InterconnectServer } from '../../../src/nest/index.js';
import type { Connection } from '../../../src/nest/index.js';
import { all, deferred, failure, until } from '../../support/nest/async.js';
import { Loopback, createMicroservice } from '../../support/nest/loopback.js';

@Controller()
class StreamController {
  readonly begun = deferred();
  readonly gate = deferred();

  @MessagePattern('stream')
  async *stream(): AsyncGenerator<string> {
    this.begun.resolve();
    await this.gate.promise;
    yield 'a';
    yield 'b';
  }

  @MessagePattern('ping')
  ping(): string {
    return 'pong';
  }
}

let loopback: Loopback;
let client: ClientProxy;
let accepted: Connection[];

beforeEach(async () => {
  accepted = [];
  loopback = await Loopback.start({
    controllers: [StreamController],
    server: { encoding: 'json' },
    configure: (_app, server) => server.on('connection', (connection) => accepted.push(connection)),
  });
  client = loopback.client({ encoding: 'json', reconnect: { minDelay: 1, maxDelay: 5 } });
});
afterEach(() => loopback.close());

describe('a client that was closed and connects again', () => {
  it.each([
    ['connected', true],
    ['still connecting', false],
  ])(
    'gets a streamed answer on the new socket: the old one was %s',
    async (_state, wasConnected) => {
      const connecting = client.connect().catch((error: unknown) => error);
      if (wasConnected) {
        await connecting;
        await until(() => accepted.length > 0);
        // Its end is not answered before this is over.
        accepted[0]?.socket.pause();
      }
      const closing = client.close();
      await client.connect();
      const { begun, gate } = loopback.app.get(StreamController);
      const answer = all(client.send<string>('stream', {}));
      await begun.promise;
      const socket = client.unwrap();

      // The end of the old connection comes while the new one has a call under way.
      accepted[0]?.socket.resume();
      await closing;
      await connecting;
      gate.resolve();

      expect(await answer).toEqual(['a', 'b']);
      expect(client.unwrap()).toBe(socket);
      await client.connect();
      expect(client.unwrap()).toBe(socket);
      // None beside the two, the first of which may have been given up before it stood.
      expect(accepted.filter(({ status }) => status === 'open')).toHaveLength(1);
      expect(accepted.length).toBeLessThanOrEqual(2);
    },
  );
});

describe('a server that goes and comes back', () => {
  it('is found again by the next call, and by those that were made meanwhile', async () => {
    expect(await firstValueFrom(client.send<string>('ping', {}))).toBe('pong');
    await loopback.app.close();
    const meanwhile = firstValueFrom(client.send<string>('ping', {}));
    const server = new InterconnectServer({
      host: '127.0.0.1',
      port: loopback.port,
      encoding: 'json',
    });
    const app = await createMicroservice(server, { controllers: [StreamController] });
    await app.listen();

    expect(await meanwhile).toBe('pong');
    expect(await firstValueFrom(client.send<string>('ping', {}))).toBe('pong');
    await client.close();
    await app.close();
  });

  it('leaves no call pending that cannot be answered any more', async () => {
    const lonely: ClientProxy = loopback.client({ encoding: 'json', reconnect: false });
    const pending = failure(lonely.send('stream', {}));
    await loopback.app.get(StreamController).begun.promise;

    for (const { socket } of accepted) socket.destroy();

    expect(await pending).toMatchObject({ code: 'IC_ERR_CONNECTION_LOST', executed: 'maybe' });
    await until(() => accepted.length > 0);
  });
});
