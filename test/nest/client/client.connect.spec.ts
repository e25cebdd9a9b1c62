import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { MessagePattern, Payload } from '@nestjs/microservices';
import { getEventListeners, getMaxListeners } from 'node:events';
import { createServer } from 'node:net';
import { Readable } from 'node:stream';
import { firstValueFrom } from 'rxjs';
import {
  InterconnectClient,
  InterconnectError,
  InterconnectRecordBuilder,
  InterconnectServer,
  InterconnectStatus,
} from '../../../src/nest/index.js';
import type { Connection } from '../../../src/nest/index.js';
import { deferred, failure, failureOf, until } from '../../support/nest/async.js';
import { Loopback, createMicroservice } from '../../support/nest/loopback.js';

@Controller()
class EchoController {
  readonly started = deferred();

  @MessagePattern('echo')
  echo(@Payload() data: Buffer): Buffer {
    return data;
  }

  @MessagePattern('upload', { stream: true })
  async upload(@Payload() items: AsyncIterable<Buffer>): Promise<void> {
    for await (const _item of items);
  }

  @MessagePattern('never')
  never(): Promise<void> {
    this.started.resolve();
    return new Promise(() => {});
  }
}

let loopback: Loopback;
let accepted: Connection[];

beforeEach(async () => {
  accepted = [];
  loopback = await Loopback.start({
    controllers: [EchoController],
    configure: (_app, server) => server.on('connection', (connection) => accepted.push(connection)),
  });
});
afterEach(() => loopback.close());

const bytes = Buffer.from('bytes');

function echo(client: InterconnectClient): Promise<Buffer> {
  return firstValueFrom(client.send('echo', bytes));
}

describe('connecting', () => {
  it('gives the connection, by which the other side can be asked for a sign of life', async () => {
    const client = loopback.client();

    const connection = await client.connect();

    expect(await connection.ping()).toBeGreaterThanOrEqual(0);
    expect(await client.connect()).toBe(connection);
  });

  it('waits for the first call', async () => {
    const client = loopback.client();
    client.send('echo', bytes);
    expect(() => client.unwrap()).toThrow(
      'Not initialized. Please call the "connect" method first.',
    );

    await echo(client);

    expect(accepted).toHaveLength(1);
    expect(client.unwrap()).toMatchObject({ remotePort: loopback.port });
  });

  it('happens once for any number of calls at the same time', async () => {
    const client = loopback.client();

    const results = await Promise.all([
      client.connect(),
      client.connect(),
      ...Array.from({ length: 50 }, () => echo(client)),
    ]);

    expect(accepted).toHaveLength(1);
    expect(results[0]).toBe(results[1]);
    expect(results.slice(2)).toEqual(Array.from({ length: 50 }, () => bytes));
  });

  it('opens one session for each pattern, whatever the number of calls', async () => {
    const client = loopback.client();
    const names: string[] = [];
    loopback.server.on('connection', (connection) =>
      connection.on('session', (session) => names.push(session.name)),
    );

    await Promise.all([echo(client), echo(client), echo(client)]);
    await echo(client);

    expect(names).toEqual(['echo']);
  });

  it('sends calls that waited for it in the order in which they were made', async () => {
    const client = loopback.client();
    const seen: string[] = [];

    await Promise.all(
      ['1', '2', '3'].map(async (text) =>
        seen.push((await firstValueFrom(client.send('echo', Buffer.from(text)))).toString()),
      ),
    );

    expect(seen).toEqual(['1', '2', '3']);
  });

  it('keeps no call on a signal that many share, and is not warned of them', async () => {
    const client = loopback.client();
    const { signal } = new AbortController();

    const calls = Array.from({ length: 20 }, () => client.request('echo', bytes, { signal }));
    // Node would warn otherwise.
    const most = getMaxListeners(signal);
    await Promise.all(calls);

    expect(most).toBe(Infinity);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('survives a stream that fails while it waits for the connection', async () => {
    const client = loopback.client();
    const body = new Readable({ read: () => undefined });

    const call = failure(client.send<Buffer, Readable>('upload', body));
    body.destroy(new Error('no such file'));

    expect(await call).toMatchObject({ message: 'no such file' });
  });

  it('shows connect data and the other options to the server', async () => {
    await loopback.client({ data: Buffer.from('node 7'), agent: 'replica/1.0' }).connect();

    expect(accepted[0]?.data).toEqual(Buffer.from('node 7'));
    expect(accepted[0]?.peer.agent).toBe('replica/1.0');
  });
});

describe('a failed attempt', () => {
  it('ends the streams that waited, and so does who gives up meanwhile', async () => {
    const client = loopback.client({ port: await freePort(), whenOffline: 'fail' });
    const bodies = Array.from({ length: 3 }, () => new Readable({ read: () => undefined }));
    const [one, two, three] = bodies as [Readable, Readable, Readable];

    const call = failure(client.send<Buffer, Readable>('upload', one));
    const record = new InterconnectRecordBuilder(two).build();
    const other = failure(client.send('upload', record));
    client.send<Buffer, Readable>('upload', three).subscribe().unsubscribe();
    await Promise.all([call, other]);

    expect(bodies.map(({ destroyed }) => destroyed)).toEqual([true, true, true]);
  });

  it('fails the calls that waited, and is followed by others', async () => {
    const port = await freePort();
    const reconnect = { minDelay: 1, maxDelay: 1 };
    const client = loopback.client({ port, whenOffline: 'fail', reconnect });

    const error = await failureOf(InterconnectError, client.send('echo', bytes));
    const server = new InterconnectServer({ host: '127.0.0.1', port });
    const app = await createMicroservice(server, { controllers: [EchoController] });
    const connected = new Promise((resolve) => client.on('connect', resolve));
    await app.listen();
    await connected;

    expect(error).toMatchObject({
      code: 'IC_ERR_OFFLINE',
      executed: 'no',
      cause: { code: 'IC_ERR_CONNECT' },
    });
    expect(await echo(client)).toEqual(bytes);
    await client.close();
    await app.close();
  });

  it('is told to the listeners of error and to status', async () => {
    const client = loopback.client({ port: await freePort(), whenOffline: 'fail' });
    const told: unknown[] = [];
    client.on('error', (error) => told.push(error));
    client.on('offline', (error) => told.push(error));
    client.on('close', () => told.push('close'));
    client.status.subscribe((status) => told.push(status));

    const error = await failureOf(InterconnectError, client.connect());

    expect(told).toEqual([
      InterconnectStatus.DISCONNECTED,
      error.cause,
      InterconnectStatus.OFFLINE,
      error,
      InterconnectStatus.DISCONNECTED,
    ]);
  });
});

describe('a lost socket', () => {
  it('is nothing that a caller notices', async () => {
    const client = loopback.client({ reconnect: { minDelay: 1 } });
    const closes: unknown[] = [];
    await client.connect();
    client.on('close', (error) => closes.push(error));

    for (let round = 0; round < 5; round++) {
      const calls = Array.from({ length: 10 }, () => echo(client));
      accepted[0]?.socket.destroy();
      expect(await Promise.all(calls)).toEqual(calls.map(() => bytes));
    }

    expect(accepted).toHaveLength(1);
    expect(closes).toEqual([]);
  });

  it('shows in status, and in the listeners that were there before', async () => {
    const client = loopback.client({ reconnect: { minDelay: 1 } });
    const told: string[] = [];
    client.on('reconnecting', (connection) => told.push(`reconnecting ${connection.status}`));
    client.on('reconnect', (connection) => told.push(`reconnect ${connection.status}`));
    client.status.subscribe((status) => told.push(status));
    await client.connect();

    for (let round = 0; round < 2; round++) {
      accepted[0]?.socket.destroy();
      await until(() => told.at(-1) === 'reconnecting detached');
      await until(() => told.at(-1) === 'reconnect open');
    }

    const once = ['reconnecting', 'reconnecting detached', 'connected', 'reconnect open'];
    expect(told).toEqual(['connected', ...once, ...once]);
  });
});

describe('a lost connection', () => {
  it('fails what was pending at once, with a code', async () => {
    const client = loopback.client({ reconnect: false });
    const pending = failureOf(InterconnectError, client.send('never', bytes));
    await loopback.app.get(EchoController).started.promise;

    accepted[0]?.socket.destroy();

    expect(await pending).toMatchObject({ code: 'IC_ERR_CONNECTION_LOST', executed: 'maybe' });
    expect(loopback.log.find('warn', 'lost')).toHaveLength(1);
  });

  it('is replaced by a new one at the next call', async () => {
    const client = loopback.client({ reconnect: false });
    await echo(client);
    const lost = new Promise((resolve) => client.on('close', resolve));
    accepted[0]?.socket.destroy();
    await lost;

    expect(await echo(client)).toEqual(bytes);
    expect(accepted).toHaveLength(2);
  });

  it('shows in status, and in the listeners that were there before the first connect', async () => {
    const client = loopback.client({ reconnect: false });
    const told: string[] = [];
    client.on('connect', () => told.push('connect'));
    client.on('close', (error) => told.push(`close ${error?.code}`));
    client.status.subscribe((status) => told.push(status));
    await client.connect();
    accepted[0]?.socket.destroy();
    await until(() => told.includes('disconnected'));
    await client.connect();

    expect(told).toEqual([
      'connected',
      'connect',
      'disconnected',
      'close IC_ERR_CONNECTION_LOST',
      'connected',
      'connect',
    ]);
  });

  it('does not suffer from a listener that throws', async () => {
    const client = loopback.client();
    const told: string[] = [];
    client.on('connect', () => {
      throw new Error('listener broke');
    });
    client.on('connect', () => told.push('second'));

    expect(await echo(client)).toEqual(bytes);
    expect(told).toEqual(['second']);
    expect(loopback.log.find('error', 'listener broke')).toHaveLength(1);
  });
});

describe('close()', () => {
  it('with no time fails what is pending, and may be called again and again', async () => {
    const client = loopback.client({ shutdownTimeout: 0 });
    const pending = failureOf(InterconnectError, client.send('never', bytes));
    await loopback.app.get(EchoController).started.promise;

    await Promise.all([client.close(), client.close()]);
    await client.close();

    expect((await pending).code).toMatch(/^IC_ERR_(CLOSED|SESSION_CLOSED)$/);
    expect(loopback.log.find('warn', '')).toEqual([]);
    expect(() => client.unwrap()).toThrow('Not initialized');
  });

  it('ignores the name of a signal', async () => {
    const client: { close(signal?: string): Promise<void> } = loopback.client();

    await expect(client.close('SIGTERM')).resolves.toBeUndefined();
  });

  it('with no time fails an attempt to connect that is under way, and the calls that wait for it', async () => {
    const client = loopback.client({ shutdownTimeout: 0 });
    const connecting = failureOf(InterconnectError, client.connect());
    const waiting = failureOf(InterconnectError, client.send('echo', bytes));

    await client.close();

    expect((await connecting).code).toBe('IC_ERR_CLOSED');
    expect(await waiting).toMatchObject({ code: 'IC_ERR_CLOSED', executed: 'no' });
    await until(() => accepted.every((connection) => connection.status === 'closed'));
  });

  it('does not touch the connection that is opened right after it', async () => {
    const client = loopback.client();
    const statuses: InterconnectStatus[] = [];
    const closes: unknown[] = [];
    await client.connect();
    client.status.subscribe((status) => statuses.push(status));
    client.on('close', (error) => closes.push(error));

    const closing = client.close();
    const connecting = client.connect();
    await closing;
    await connecting;

    expect(await echo(client)).toEqual(bytes);
    expect(statuses).toEqual(['connected', 'disconnected', 'connected']);
    expect(closes).toStrictEqual([undefined]);
  });

  it('does not let an overtaken attempt take the place of a later one', async () => {
    const client = loopback.client();
    const stale = failure(client.connect());
    const closing = client.close();

    const connection = await client.connect();
    await closing;
    await stale;

    expect(await client.connect()).toBe(connection);
    expect(await echo(client)).toEqual(bytes);
  });

  it('leaves a client that connects again', async () => {
    const client = loopback.client();
    await echo(client);
    await client.close();

    expect(await echo(client)).toEqual(bytes);
  });
});

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (typeof address !== 'object' || address === null) throw new Error('No port.');
  return address.port;
}
