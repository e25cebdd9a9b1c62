import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller, Inject, Injectable } from '@nestjs/common';
import { ClientsModule, Ctx, MessagePattern, Payload } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { createServer } from 'node:net';
import {
  Code,
  InterconnectClient,
  InterconnectContext,
  InterconnectError,
  InterconnectException,
  InterconnectModule,
  InterconnectRecordBuilder,
  InterconnectServer,
} from '../../../src/nest/index.js';
import type { Connection, InterconnectClientOptions } from '../../../src/nest/index.js';
import { failureOf, until } from '../../support/nest/async.js';
import { Loopback, createMicroservice } from '../../support/nest/loopback.js';

@Controller()
class RequestController {
  readonly seen: Record<string, string>[] = [];
  readonly signals: AbortSignal[] = [];
  answers = true;

  @MessagePattern('echo')
  echo(@Payload() data: Buffer, @Ctx() context: InterconnectContext): Buffer {
    this.seen.push({ ...context.getMetadata() });
    return data;
  }

  @MessagePattern('time left')
  timeLeft(@Ctx() context: InterconnectContext): Buffer {
    return Buffer.from(String(context.getRemaining()));
  }

  @MessagePattern('nothing')
  nothing(): void {}

  @MessagePattern('refused')
  refused(): never {
    throw new InterconnectException(Code.REFUSED, 'no');
  }

  @MessagePattern('maybe never')
  maybeNever(
    @Payload() data: Buffer,
    @Ctx() context: InterconnectContext,
  ): Promise<Buffer> | Buffer {
    this.signals.push(context.getSignal());
    return this.answers ? data : new Promise(() => {});
  }
}

const bytes = Buffer.from('bytes');
let loopback: Loopback;
let client: InterconnectClient;
let controller: RequestController;

beforeEach(async () => {
  loopback = await Loopback.start({ controllers: [RequestController] });
  client = loopback.client();
  controller = loopback.app.get(RequestController);
});
afterEach(() => loopback.close());

describe('request()', () => {
  it('resolves with what the handler returned', async () => {
    expect(await client.request('echo', bytes)).toEqual(bytes);
    expect(await client.request('nothing', bytes)).toEqual(Buffer.alloc(0));
  });

  it('sends at once, and each time', async () => {
    await Promise.all([client.request('echo', bytes), client.request('echo', bytes)]);

    expect(controller.seen).toHaveLength(2);
  });

  it('rejects as send() fails', async () => {
    const error = await failureOf(InterconnectException, client.request('refused', bytes));

    expect(error).toMatchObject({ code: Code.REFUSED, reason: 'no' });
  });

  it.each([
    [undefined, bytes],
    ['echo', null],
    ['echo', 'text'],
  ])('rejects what cannot be sent: %p, %p', async (pattern, data) => {
    const error = await failureOf(InterconnectError, client.request(pattern, data as Buffer));

    expect(error).toMatchObject({ code: 'IC_ERR_OPTION', executed: 'no' });
  });

  it.each([
    [null, 'data'],
    ['echo', null],
    ['echo', undefined],
  ])('needs a pattern and data, as send() does, also of JSON: %p, %p', async (pattern, data) => {
    const json = new InterconnectClient<unknown>({ port: loopback.port, encoding: 'json' });

    const error = await failureOf(InterconnectError, json.request(pattern, data));

    expect(error.message).toBe('A request needs a pattern and data.');
  });

  it('takes a timeout, which the other side knows as well', async () => {
    const left = await client.request('time left', bytes, { timeout: 5_000 });
    controller.answers = false;
    const error = await failureOf(
      InterconnectError,
      client.request('maybe never', bytes, { timeout: 20 }),
    );

    expect(Number(left)).toBeLessThanOrEqual(5_000);
    expect(Number(left)).toBeGreaterThan(0);
    expect(error.code).toBe('IC_ERR_TIMEOUT');
  });

  it('takes metadata, over those of a record', async () => {
    const record = new InterconnectRecordBuilder(bytes)
      .setMetadata({ a: '1', b: '2' })
      .setTimeout(1_000)
      .build();

    await client.request('echo', record, { metadata: { b: '3' } });
    expect(
      Number(await client.request('time left', record, { metadata: { b: '3' } })),
    ).toBeLessThan(1_001);

    expect(controller.seen).toEqual([{ a: '1', b: '3' }]);
  });

  it.each([
    [{}, { timeout: 5, idempotent: true }],
    [{ timeout: 7 }, { timeout: 7, idempotent: true }],
    [{ idempotent: false }, { timeout: 5, idempotent: false }],
    [{ metadata: {} }, { timeout: 5, idempotent: true }],
  ])('takes what a record says, unless it says otherwise: %p', async (options, expected) => {
    const sent: object[] = [];
    const record = new InterconnectRecordBuilder(bytes).setTimeout(5).setIdempotent().build();

    await noting(sent).request('echo', record, options);

    expect(sent).toEqual([expect.objectContaining(expected)]);
  });

  it('hands on no option that is not given, so that defaults hold', async () => {
    const sent: object[] = [];
    const record = new InterconnectRecordBuilder(bytes).setMetadata({ a: '1' }).build();

    await noting(sent).request('echo', record, { metadata: { b: '2' } });
    await noting(sent).request('echo', bytes, { idempotent: true });
    await noting(sent).request('echo', record.data ?? bytes, { timeout: 3 });

    expect(sent.map((each) => ({ ...each, onItem: undefined }))).toEqual([
      { metadata: { a: '1', b: '2' } },
      { metadata: {}, idempotent: true },
      { metadata: {}, timeout: 3 },
    ]);
    expect(sent.map((each) => 'timeout' in each)).toEqual([false, false, true]);
    expect(sent.map((each) => 'idempotent' in each)).toEqual([false, true, false]);
  });

  it('is one-way for a record that is', async () => {
    const record = new InterconnectRecordBuilder(bytes).setOneWay().build();

    expect(await client.request('maybe never', record, { timeout: 5_000 })).toEqual(
      Buffer.alloc(0),
    );
  });

  it('takes a signal, by which the handler aborts', async () => {
    controller.answers = false;
    const abort = new AbortController();
    const given = failureOf(
      InterconnectError,
      client.request('maybe never', bytes, { signal: abort.signal }),
    );
    await until(() => controller.signals.length > 0);

    abort.abort();

    expect(await given).toMatchObject({ code: 'IC_ERR_CANCELLED', executed: 'maybe' });
    await until(() => controller.signals[0]?.aborted === true);
  });

  it('need not wait for an attempt to connect: the signal ends it', async () => {
    // Accepts, and never says a word.
    const silent = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => silent.once('listening', resolve));
    const { port } = silent.address() as { port: number };
    const waiting = loopback.client({ port });
    const abort = new AbortController();
    const given = failureOf(
      InterconnectError,
      waiting.request('echo', bytes, { signal: abort.signal }),
    );

    abort.abort();

    expect(await given).toMatchObject({ code: 'IC_ERR_CANCELLED', executed: 'no' });
    const late = await failureOf(
      InterconnectError,
      waiting.request('echo', bytes, { signal: abort.signal }),
    );
    expect(late).toMatchObject({ code: 'IC_ERR_CANCELLED', executed: 'no' });
    await waiting.close();
    await new Promise((resolve) => silent.close(resolve));
  });

  it('leaves no listener on its signal', async () => {
    const abort = new AbortController();
    let listeners = 0;
    const { signal } = abort;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners += 1;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners -= 1;
      remove(...args);
    };

    await client.request('echo', bytes, { signal });
    await client.request('echo', bytes, { signal });

    expect(listeners).toBe(0);
  });
});

describe('addresses', () => {
  it('are tried in turn', async () => {
    const nobody = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => nobody.once('listening', resolve));
    const { port } = nobody.address() as { port: number };
    await new Promise((resolve) => nobody.close(resolve));
    const several = new InterconnectClient({
      addresses: [
        { host: '127.0.0.1', port },
        { host: '127.0.0.1', port: loopback.port },
      ],
    });

    expect(await several.request('echo', bytes)).toEqual(bytes);
    await several.close();
  });
});

describe('an idempotent call', () => {
  it('goes again where its server died under it; another is told that nobody knows', async () => {
    const accepted: Connection[] = [];
    loopback.server.on('connection', (connection) => accepted.push(connection));
    const lasting = loopback.client({ reconnect: { minDelay: 1, maxDelay: 5 } });
    controller.answers = false;
    const again = [
      lasting.request('maybe never', bytes, { idempotent: true }),
      lasting.request('maybe never', new InterconnectRecordBuilder(bytes).setIdempotent().build()),
    ];
    const once = failureOf(InterconnectError, lasting.request('maybe never', bytes));
    await until(() => controller.signals.length === 3);

    // As when a process dies: no goodbye, and the next one knows nothing of the connection.
    const dead = loopback.server.unwrap();
    dead.close();
    accepted[0]?.socket.destroy();
    const server = new InterconnectServer({ host: '127.0.0.1', port: loopback.port });
    const app = await createMicroservice(server, { controllers: [RequestController] });
    await app.listen();

    expect(await Promise.all(again)).toEqual([bytes, bytes]);
    expect(await once).toMatchObject({ code: 'IC_ERR_CONNECTION_LOST', executed: 'maybe' });
    await lasting.close();
    await app.close();
  });
});

/** A client that reaches nobody, and notes what options each message is sent with. */
function noting(sent: object[]): InterconnectClient {
  const path = {
    connection: {} as Connection,
    session: () => ({
      async send(_data: unknown, options: object): Promise<never> {
        sent.push(options);
        return { accepted: true, data: Buffer.alloc(0), metadata: {} } as never;
      },
    }),
  };
  return new InterconnectClient(
    {},
    { current: path, path: () => path, connect: async () => path, close: async () => {} },
  );
}

describe('connectOnBootstrap', () => {
  @Injectable()
  class User {
    readonly client: InterconnectClient;

    constructor(@Inject('REPLICA') user: InterconnectClient) {
      this.client = user;
    }
  }

  async function start(port: number, how: InterconnectClientOptions) {
    const options = { host: '127.0.0.1', port, ...how };
    const module = await Test.createTestingModule({
      imports: [
        ClientsModule.register([{ name: 'REPLICA', customClass: InterconnectClient, options }]),
        InterconnectModule.forRoot({ client: options }),
      ],
      providers: [User],
    }).compile();
    return module;
  }

  it('connects when the application starts: by token and by class', async () => {
    let connections = 0;
    loopback.server.on('connection', () => (connections += 1));
    const app = await start(loopback.port, { connectOnBootstrap: true });

    await app.init();

    expect(connections).toBe(2);
    expect(() => app.get(User).client.unwrap()).not.toThrow();
    await app.close();
  });

  it('fails the start where there is no connection to be had', async () => {
    await loopback.app.close();
    const app = await start(loopback.port, { connectOnBootstrap: true, whenOffline: 'fail' });

    await expect(app.init()).rejects.toMatchObject({ code: 'IC_ERR_OFFLINE' });
    // Nest 11 tells the same once more.
    await app.close().catch(() => undefined);
  });

  it('is not the default: nothing connects before the first call', async () => {
    await loopback.app.close();
    const app = await start(loopback.port, {});

    await app.init();
    expect(() => app.get(User).client.unwrap()).toThrow('Not initialized');
    await app.close();
  });
});
