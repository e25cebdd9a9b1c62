import { describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import type { INestMicroservice } from '@nestjs/common';
import { Ctx, MessagePattern, Payload } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import {
  InterconnectClient,
  InterconnectContext,
  InterconnectModule,
  InterconnectServer,
} from 'nestjs-interconnect';
import type { InterconnectServerOptions } from 'nestjs-interconnect';
import {
  createInterconnectContext,
  FakeInterconnectClient,
  InterconnectPair,
  MemoryNetwork,
} from 'nestjs-interconnect/testing';
import type { InterconnectPairOptions } from 'nestjs-interconnect/testing';

@Controller()
class EchoController {
  @MessagePattern('echo')
  echo(@Payload() data: Buffer): Buffer {
    return data;
  }

  @MessagePattern('describe')
  async describe(
    @Payload() data: Buffer,
    @Ctx() context: InterconnectContext,
  ): Promise<string | undefined> {
    await context.getClient().request('described', data);
    const { path } = context.getMetadata();
    return `${path} of ${context.getCaller().identity} in ${context.getPattern()}, ${context.getRemaining()} ms, ${context.signal.aborted}`;
  }
}

function compile() {
  return Test.createTestingModule({ controllers: [EchoController] }).compile();
}

/** What the system keeps for this process. */
function resources(): string[] {
  return process.getActiveResourcesInfo().filter((kind) => /TCP|TLS|Pipe|FS/.test(kind));
}

describe('InterconnectPair', () => {
  it('serves over all that is real, without a socket of the system', async () => {
    const before = resources();
    const pair = await InterconnectPair.start(await compile());

    expect(await pair.client.request('echo', Buffer.from('x'))).toEqual(Buffer.from('x'));
    expect(pair.server.peers.size).toBe(1);
    expect(pair.server.unwrap().address()).toBe(pair.network.address);
    expect(pair.client.unwrap().readyState).toBe('open');
    expect(resources().filter((kind) => !before.includes(kind))).toEqual([]);
    await pair.close();
  });

  it('takes the options of both sides, and more clients', async () => {
    const pair = await InterconnectPair.start(await compile(), {
      server: { encoding: 'json' },
      client: { encoding: 'json' },
      configure: (app) => app.useGlobalPipes({ transform: (value: unknown) => [value] }),
    });

    expect(await pair.client.request('echo', { a: 1 })).toEqual([{ a: 1 }]);
    const raw = await pair.createClient().request('echo', Buffer.from('2'));
    expect(raw.toString()).toBe('[2]');
    const other = pair.createClient({ data: Buffer.from('other') });
    await other.connect();
    expect(pair.server.peers.all().map(({ connection }) => connection.data.toString())).toContain(
      'other',
    );
    await pair.close();
  });

  it('reconnects when its network is cut, and loses no call', async () => {
    const pair = await InterconnectPair.start(await compile(), {
      client: { reconnect: { minDelay: 1 } },
    });
    const statuses: string[] = [];
    pair.client.status.subscribe((status) => statuses.push(status));

    const calls = Array.from({ length: 20 }, (_, index) =>
      pair.client.request('echo', Buffer.from([index])),
    );
    pair.network.cut();

    expect((await Promise.all(calls)).map(([byte]) => byte)).toEqual(
      Array.from({ length: 20 }, (_, index) => index),
    );
    expect(statuses).toEqual(['connected', 'reconnecting', 'connected']);
    expect(pair.server.peers.size).toBe(1);
    await pair.close();
  });

  it('leaves nothing behind, also where it cannot start', async () => {
    const pair = await InterconnectPair.start(await compile());
    const other = pair.createClient({ whenOffline: 'fail' });
    await other.connect();

    await pair.close();

    expect(() => pair.client.unwrap()).toThrow('Not initialized');
    expect(() => other.unwrap()).toThrow('Not initialized');
    await expect(other.connect()).rejects.toMatchObject({
      code: 'IC_ERR_OFFLINE',
      cause: { code: 'IC_ERR_CONNECT', cause: { code: 'ECONNREFUSED' } },
    });
    const ended: string[] = [];
    const options: InterconnectPairOptions[] = [
      { server: { shutdownTimeout: -1 } },
      { server: { authenticate: (handshake) => handshake.reject() } },
    ];
    for (const each of options) {
      const configure = (app: INestMicroservice): void => {
        const close = app.close.bind(app);
        app.close = async () => void ended.push(await close().then(() => 'closed'));
      };
      await expect(
        InterconnectPair.start(await compile(), { ...each, configure }),
      ).rejects.toMatchObject({ code: expect.stringMatching(/OPTION|REJECTED/) });
    }
    expect(ended).toEqual(['closed', 'closed']);
  });

  it('never meets another', async () => {
    const pairs = await Promise.all(
      Array.from({ length: 10 }, async () => InterconnectPair.start(await compile())),
    );

    const answers = await Promise.all(
      pairs.map(({ client }, index) => client.request('echo', Buffer.from([index]))),
    );
    expect(answers.map(([byte]) => byte)).toEqual(pairs.map((_, index) => index));
    expect(pairs.map(({ server }) => server.peers.size)).toEqual(pairs.map(() => 1));
    await pairs[0]?.close();
    expect(await pairs[1]?.client.request('echo', Buffer.from('x'))).toEqual(Buffer.from('x'));
    for (const pair of pairs.slice(1)) await pair.close();
  });
});

describe('a MemoryNetwork', () => {
  it('connects the servers and the clients of a hybrid application', async () => {
    const [inner, outer] = [new MemoryNetwork(), new MemoryNetwork()];
    const module = await Test.createTestingModule({
      imports: [InterconnectModule.forRoot({ client: { network: inner } })],
      controllers: [EchoController],
    }).compile();
    const app = module.createNestApplication();
    const strategies = [inner, outer].map((network) => new InterconnectServer({ network }));
    for (const strategy of strategies) app.connectMicroservice({ strategy });
    await app.startAllMicroservices();
    await app.init();
    const outside = new InterconnectClient({ network: outer });

    const own = await app.get(InterconnectClient).request('echo', Buffer.from('in'));
    const other = await outside.request('echo', Buffer.from('out'));

    expect([own.toString(), other.toString()]).toEqual(['in', 'out']);
    expect(strategies.map(({ peers }) => peers.size)).toEqual([1, 1]);
    await outside.close();
    await app.close();
    expect(strategies.map(({ peers }) => peers.size)).toEqual([0, 0]);
  });

  it('is what app.listen() resolves with, again and again', async () => {
    const network = new MemoryNetwork();
    const server = new InterconnectServer({ network });
    const app = (await compile()).createNestMicroservice({ strategy: server });
    const address: unknown = await app.listen();
    const client = new InterconnectClient({ network });
    expect(await client.request('echo', Buffer.from('x'))).toEqual(Buffer.from('x'));

    await server.close();
    await server.listen((error) => expect(error).toBeUndefined());

    expect(await client.request('echo', Buffer.from('y'))).toEqual(Buffer.from('y'));
    expect(address).toEqual({ path: network.address });
    await client.close();
    await app.close();
  });

  it('connects a server that dials out', async () => {
    const network = new MemoryNetwork();
    const hub = new InterconnectServer({ network });
    const app = (await compile()).createNestMicroservice({ strategy: hub });
    await app.listen();
    const device = (await compile()).createNestMicroservice({
      strategy: new InterconnectServer({ connect: { network } }),
    });
    await device.listen();

    const [peer] = hub.peers.all();

    expect(await peer?.client.request('echo', Buffer.from('x'))).toEqual(Buffer.from('x'));
    await device.close();
    await app.close();
  });

  it('is refused beside an address, or beside a connection to open', async () => {
    const network = new MemoryNetwork();
    const refused = async (options: InterconnectServerOptions): Promise<unknown> =>
      new Promise((resolve) => void new InterconnectServer(options).listen(resolve));

    expect(await refused({ network, port: 5000 })).toMatchObject({
      message: 'network has an address of its own and excludes port. Give one or the other.',
    });
    expect(await refused({ network, connect: {} })).toMatchObject({
      message: expect.stringContaining('have no meaning beside connect: network'),
    });
    await expect(
      new InterconnectClient({ network, addresses: [{ port: 5000 }] }).connect(),
    ).rejects.toMatchObject({ message: expect.stringContaining('excludes addresses') });
  });
});

describe('createInterconnectContext()', () => {
  it('is what a handler gets, without a message on any wire', async () => {
    const client = new FakeInterconnectClient().reply('described', undefined);
    const context = createInterconnectContext({
      pattern: 'describe',
      metadata: { path: 'a.txt' },
      remaining: 250,
      identity: 'red',
      client,
    });

    expect(context).toBeInstanceOf(InterconnectContext);
    expect(await new EchoController().describe(Buffer.from('x'), context)).toBe(
      'a.txt of red in describe, 250 ms, false',
    );
    expect(client.calls).toMatchObject([{ pattern: 'described', data: Buffer.from('x') }]);
  });

  it('has a default for everything', () => {
    const context = createInterconnectContext();

    expect(context.getPattern()).toBe('test');
    expect(context.getMetadata()).toEqual({});
    expect(context.getDeadline()).toBeUndefined();
    expect(context.getMessage().data).toEqual(Buffer.alloc(0));
    expect(context.getPeer().encrypted).toBe(false);
    expect(context.getConnection().principal).toBe('');
    expect(context.isEvent()).toBe(false);
  });

  it('has its bytes as the one item of its body, and none where there are none', async () => {
    const read = async (context: InterconnectContext): Promise<Buffer[]> => {
      const items: Buffer[] = [];
      for await (const item of context.getBody()) items.push(item);
      return items;
    };

    expect(await read(createInterconnectContext({ data: Buffer.from('x') }))).toEqual([
      Buffer.from('x'),
    ]);
    expect(await read(createInterconnectContext())).toEqual([]);
  });

  it('takes bytes, and the kind of its handler; its client has no replies', async () => {
    const context = createInterconnectContext({ data: Uint8Array.of(1, 2), isEvent: true });

    expect(context.getMessage().data).toEqual(Buffer.from([1, 2]));
    expect(context.isEvent()).toBe(true);
    await expect(context.getClient().request('any', Buffer.alloc(0))).rejects.toThrow(
      'no matching message handler',
    );
  });

  it('aborts with its signal', () => {
    const abort = new AbortController();
    const context = createInterconnectContext({ signal: abort.signal });

    abort.abort();

    expect(context.getSignal().aborted).toBe(true);
  });
});
