import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { ClientProxy, MessagePattern } from '@nestjs/microservices';
import { firstValueFrom } from 'rxjs';
import { InterconnectServer } from '../../../src/nest/index.js';
import type { Connection } from '../../../src/nest/index.js';
import { deferred, failure, until } from '../support/async.js';
import { Loopback, createMicroservice } from '../support/loopback.js';

@Controller()
class AnswerController {
  readonly begun = deferred();
  readonly gate = deferred();

  @MessagePattern('answer')
  async answer(): Promise<string> {
    this.begun.resolve();
    await this.gate.promise;
    return 'answer';
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
    controllers: [AnswerController],
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
  ])('gets its answers on the new socket: the old one was %s', async (_state, wasConnected) => {
    const connecting = client.connect().catch((error: unknown) => error);
    if (wasConnected) await connecting;
    const closing = client.close();
    await client.connect();
    const { begun, gate } = loopback.app.get(AnswerController);
    const answer = firstValueFrom(client.send<string>('answer', {}));
    await begun.promise;
    const socket = client.unwrap();

    // The end of the old connection comes while the new one has a call under way.
    await closing;
    await connecting;
    gate.resolve();

    expect(await answer).toBe('answer');
    expect(client.unwrap()).toBe(socket);
    await client.connect();
    expect(client.unwrap()).toBe(socket);
  });
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
    const app = await createMicroservice(server, { controllers: [AnswerController] });
    await app.listen();

    expect(await meanwhile).toBe('pong');
    expect(await firstValueFrom(client.send<string>('ping', {}))).toBe('pong');
    await client.close();
    await app.close();
  });

  it('leaves no call pending that cannot be answered any more', async () => {
    const lonely: ClientProxy = loopback.client({ encoding: 'json', reconnect: false });
    const pending = failure(lonely.send('answer', {}));
    await loopback.app.get(AnswerController).begun.promise;

    for (const { socket } of accepted) socket.destroy();

    expect(await pending).toMatchObject({ code: 'IC_ERR_CONNECTION_LOST', executed: 'maybe' });
    await until(() => accepted.length > 0);
  });
});
