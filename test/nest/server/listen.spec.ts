import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { MessagePattern, Payload } from '@nestjs/microservices';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { firstValueFrom } from 'rxjs';
import {
  InterconnectClient,
  InterconnectError,
  InterconnectServer,
  InterconnectStatus,
} from '../../../src/nest/index.js';
import { failure, failureOf } from '../../support/nest/async.js';
import { createMicroservice, portOf } from '../../support/nest/loopback.js';
import { LogRecorder } from '../../support/nest/log-recorder.js';

@Controller()
class EchoController {
  @MessagePattern('echo')
  echo(@Payload() data: Buffer): Buffer {
    return data;
  }
}

let occupied: Server;
let log: LogRecorder;

beforeEach(async () => {
  log = LogRecorder.install();
  occupied = createServer().listen(0, '127.0.0.1');
  await once(occupied, 'listening');
});
afterEach(() => new Promise((resolve) => occupied.close(resolve)));

function occupiedPort(): number {
  return (occupied.address() as AddressInfo).port;
}

async function echo(port: number): Promise<Buffer> {
  const client = new InterconnectClient({ host: '127.0.0.1', port });
  try {
    return await firstValueFrom(client.send('echo', Buffer.from('x')));
  } finally {
    await client.close();
  }
}

describe('a failure to listen', () => {
  it.each([
    ['a port that is taken', () => ({ host: '127.0.0.1', port: occupiedPort() }), 'EADDRINUSE'],
    ['an address of another machine', () => ({ host: '192.0.2.1', port: 0 }), 'EADDRNOTAVAIL'],
    [
      'a host that does not exist',
      () => ({ host: 'no.such.invalid', port: 0 }),
      'ENOTFOUND|EAI_AGAIN',
    ],
    ['a folder that does not exist', () => ({ path: '/no/such/folder/x.sock' }), 'EACCES|ENOENT'],
  ])('reaches the caller of app.listen(): %s', async (_what, options, systemCode) => {
    const app = await createMicroservice(new InterconnectServer(options()));

    const error = await failureOf(InterconnectError, app.listen());

    expect(error.code).toBe('IC_ERR_LISTEN');
    expect(JSON.stringify([error.message, error.cause])).toMatch(new RegExp(systemCode));
    await app.close();
  });

  it.each([{ port: 65_536 }, { port: -1 }, { maxFrameSize: 1 }])(
    'reaches the caller of app.listen(): the options %p',
    async (options) => {
      const app = await createMicroservice(new InterconnectServer(options));

      expect(await failure(app.listen())).toMatchObject({ code: 'IC_ERR_OPTION' });
      await app.close();
    },
  );

  it('calls back exactly once', async () => {
    const server = new InterconnectServer({ host: '127.0.0.1', port: occupiedPort() });
    const callback = jest.fn();

    await server.listen(callback);
    await server.close();

    expect(callback.mock.calls).toEqual([[expect.any(InterconnectError)]]);
  });

  it('leaves a server that listens when the reason is gone', async () => {
    const port = occupiedPort();
    const server = new InterconnectServer({ host: '127.0.0.1', port });
    const app = await createMicroservice(server, { controllers: [EchoController] });
    await failure(app.listen());
    await new Promise((resolve) => occupied.close(resolve));

    await app.listen();

    expect(await echo(port)).toEqual(Buffer.from('x'));
    await app.close();
  });
});

describe('listen()', () => {
  it('calls back exactly once, without an error and with the bound address', async () => {
    const server = new InterconnectServer({ host: '127.0.0.1', port: 0 });
    const callback = jest.fn();

    await server.listen(callback);

    expect(callback.mock.calls).toStrictEqual([
      [undefined, { host: '127.0.0.1', port: expect.any(Number), family: 'IPv4' }],
    ]);
    expect(server.unwrap()).toMatchObject({ listening: true });
    await server.close();
  });

  it('calls back once where the callback throws, and is not surprised', async () => {
    const server = new InterconnectServer({ host: '127.0.0.1', port: 0 });
    const callback = jest.fn(() => {
      throw new Error('callback broke');
    });

    await expect(server.listen(callback)).rejects.toThrow('callback broke');

    expect(callback).toHaveBeenCalledTimes(1);
    await server.close();
  });

  it('refuses to be called twice', async () => {
    const server = new InterconnectServer({ host: '127.0.0.1', port: 0 });
    const callback = jest.fn();
    await server.listen(callback);

    await server.listen(callback);

    expect(callback.mock.calls[1]).toEqual([expect.any(InterconnectError)]);
    expect(server.unwrap()).toMatchObject({ listening: true });
    await server.close();
  });

  it('fails when close() overtakes it', async () => {
    const server = new InterconnectServer({ host: '127.0.0.1', port: 0 });
    const callback = jest.fn();

    const listening = server.listen(callback);
    await server.close();
    await listening;

    expect(callback.mock.calls).toEqual([[expect.any(InterconnectError)]]);
    expect(() => server.unwrap()).toThrow('Not initialized');
  });

  it('fails when close() comes at the moment in which it is bound', async () => {
    const server = new InterconnectServer({ host: '127.0.0.1', port: 0 });
    const callback = jest.fn();
    const listening = server.listen(callback);
    await Promise.resolve();

    server.unwrap().once('listening', () => void server.close());
    await listening;

    expect(callback.mock.calls).toEqual([[expect.any(InterconnectError)]]);
    expect(() => server.unwrap()).toThrow('Not initialized');
  });

  it('works again after close(), for the same handlers and listeners', async () => {
    const server = new InterconnectServer({ host: '127.0.0.1', port: 0 });
    const told: string[] = [];
    server.on('listening', () => told.push('listening'));
    server.on('close', () => told.push('close'));
    server.status.subscribe((status) => told.push(status));
    const app = await createMicroservice(server, { controllers: [EchoController] });
    await app.listen();

    await server.close();
    const port = portOf(await app.listen());

    expect(await echo(port)).toEqual(Buffer.from('x'));
    expect(told).toEqual([
      InterconnectStatus.CONNECTED,
      'listening',
      InterconnectStatus.DRAINING,
      InterconnectStatus.DISCONNECTED,
      'close',
      InterconnectStatus.CONNECTED,
      'listening',
    ]);
    await app.close();
  });
});

describe('close()', () => {
  it('may be called twice, at the same time and before listen()', async () => {
    const server = new InterconnectServer({ host: '127.0.0.1', port: 0 });
    await server.close();
    await server.listen(() => {});

    await Promise.all([server.close(), server.close()]);
    await server.close();

    expect(log.find('error', '')).toEqual([]);
  });

  it('leaves nothing to unwrap', async () => {
    const server = new InterconnectServer({ host: '127.0.0.1', port: 0 });
    const sentence =
      'Not initialized. Please call the "listen"/"startAllMicroservices" method before accessing the server.';
    expect(() => server.unwrap()).toThrow(sentence);
    await server.listen(() => {});

    await server.close();

    expect(() => server.unwrap()).toThrow(sentence);
  });
});
