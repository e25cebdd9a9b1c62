/** What lives long belongs to no request: it runs where the client or the server was made. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { MessagePattern } from '@nestjs/microservices';
import { firstValueFrom } from 'rxjs';
import { MemoryNetwork } from 'nestjs-interconnect/core';
import { InterconnectClient, InterconnectServer } from '../../../src/nest/index.js';
import { afterTest } from '../../support/after-test.js';
import { until } from '../../support/events.js';
import { createMicroservice, Loopback, portOf } from '../../support/nest/loopback.js';

const scope = new AsyncLocalStorage<string>();

@Controller()
class Whose {
  @MessagePattern('whose')
  whose(_data: Buffer): Buffer {
    return Buffer.from(scope.getStore() ?? 'nobody');
  }

  @MessagePattern('slow', { concurrency: 1 })
  async slow(_data: Buffer): Promise<Buffer> {
    return Buffer.from(scope.getStore() ?? 'nobody');
  }
}

/** Each event or status, and all scopes in which it was told. */
class Seen {
  private readonly told = new Map<string, Set<string | undefined>>();

  note(what: string): void {
    const scopes = this.told.get(what) ?? new Set();
    this.told.set(what, scopes.add(scope.getStore()));
  }

  get what(): string[] {
    return [...this.told.keys()];
  }

  get scopes(): (string | undefined)[] {
    return [...new Set([...this.told.values()].flatMap((scopes) => [...scopes]))];
  }
}

function watchClient(client: InterconnectClient): Seen {
  const seen = new Seen();
  for (const event of ['connect', 'reconnecting', 'reconnect', 'close', 'error'] as const) {
    client.on(event, () => seen.note(event));
  }
  // Whoever subscribes is told the last one at once, in his own scope.
  scope.run('maker', () => client.status.subscribe((status) => seen.note(`status ${status}`)));
  return seen;
}

async function started(): Promise<Loopback> {
  const loopback = await Loopback.start({ controllers: [Whose] });
  afterTest(() => loopback.close());
  return loopback;
}

describe('a client', () => {
  it('tells what happens in the scope in which it was made, whoever brings it about', async () => {
    const loopback = await started();
    const client = scope.run('maker', () => loopback.client());
    const seen = watchClient(client);

    const socket = await scope.run('alice', async () => (await client.connect()).socket);
    scope.run('bob', () => socket.destroy());
    await until(() => seen.what.includes('reconnect'));
    await scope.run('carol', () => client.close());

    expect(seen.what).toEqual(
      expect.arrayContaining(['connect', 'reconnecting', 'reconnect', 'close']),
    );
    expect(seen.what).toEqual(expect.arrayContaining(['status connected', 'status disconnected']));
    expect(seen.scopes).toEqual(['maker']);
  });

  it('tells a failed attempt there as well', async () => {
    const network = new MemoryNetwork();
    const client = scope.run('maker', () => new InterconnectClient({ network }));
    const seen = watchClient(client);

    await scope.run('alice', () => client.connect().catch(() => undefined));

    expect(seen.what).toContain('error');
    expect(seen.scopes).toEqual(['maker']);
  });

  it('leaves its callers their scopes, also those who wait for the same attempt', async () => {
    const loopback = await started();
    const client = loopback.client();
    const call = (name: string) =>
      scope.run(name, async () => {
        await client.request('whose', Buffer.from('x'));
        const afterRequest = scope.getStore();
        await firstValueFrom(client.send('whose', Buffer.from('x')));
        return [afterRequest, scope.getStore()];
      });

    const seen = await Promise.all(['alice', 'bob'].map(call));

    expect(seen).toEqual([
      ['alice', 'alice'],
      ['bob', 'bob'],
    ]);
  });

  it('serves over its connection in no scope of a caller', async () => {
    const loopback = await started();
    const gateway = scope.run('maker', () => loopback.client());
    const worker = await createMicroservice(new InterconnectServer({ connect: gateway }), {
      controllers: [Whose],
    });
    afterTest(() => worker.close());
    await scope.run('alice', () => gateway.request('whose', Buffer.from('x')));
    await worker.listen();
    const [peer] = loopback.server.peers;

    const answer = await scope.run('bob', () => peer?.client.request('whose', Buffer.from('x')));

    expect(String(answer)).toBe('maker');
  });
});

describe('a server', () => {
  it('runs handlers in the scope in which it was made, and no caller’s', async () => {
    const server = scope.run('maker', () => new InterconnectServer({ port: 0 }));
    const app = await createMicroservice(server, { controllers: [Whose] });
    afterTest(() => app.close());
    const port = portOf(await scope.run('alice', () => app.listen()));
    const client = new InterconnectClient({ port });
    afterTest(() => client.close());

    const answers = await scope.run('bob', () =>
      Promise.all(
        ['whose', 'slow', 'slow', 'slow'].map((name) => client.request(name, Buffer.from('x'))),
      ),
    );

    expect(answers.map(String)).toEqual(['maker', 'maker', 'maker', 'maker']);
  });

  it('tells what happens there, whoever brings it about', async () => {
    const seen = new Seen();
    const server = scope.run('maker', () => new InterconnectServer({ port: 0 }));
    for (const event of ['listening', 'connection', 'peer', 'peerGone', 'close'] as const) {
      server.on(event, () => seen.note(event));
    }
    scope.run('maker', () => server.status.subscribe((status) => seen.note(`status ${status}`)));
    const app = await createMicroservice(server, { controllers: [Whose] });
    const port = portOf(await scope.run('alice', () => app.listen()));
    const client = new InterconnectClient({ port });
    await scope.run('bob', () => client.request('whose', Buffer.from('x')));

    await scope.run('carol', () => app.close());
    await client.close();

    expect(seen.what).toEqual(
      expect.arrayContaining(['listening', 'connection', 'peer', 'peerGone', 'close']),
    );
    expect(seen.scopes).toEqual(['maker']);
  });

  it('calls back by a client that belongs to nobody who asked for it first', async () => {
    const loopback = await started();
    const client = loopback.client();
    await client.connect();
    const [peer] = loopback.server.peers;
    const seen = new Seen();

    scope.run('alice', () => peer?.client.on('close', () => seen.note('close')));
    await scope.run('bob', () => client.close());
    await until(() => seen.what.includes('close'));

    expect(seen.scopes).toEqual([undefined]);
  });
});
