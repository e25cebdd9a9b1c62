import { describe, expect, it } from '@jest/globals';
import { Inject, Injectable } from '@nestjs/common';
import { RpcException } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import {
  Code,
  InterconnectClient,
  InterconnectException,
  InterconnectModule,
  InterconnectRecordBuilder,
} from 'nestjs-interconnect';
import { FakeInterconnectClient } from 'nestjs-interconnect/testing';
import { firstValueFrom, lastValueFrom } from 'rxjs';

@Injectable()
class Replicator {
  private readonly client: InterconnectClient;

  constructor(@Inject(InterconnectClient) client: InterconnectClient) {
    this.client = client;
  }

  async replicate(path: string, chunk: Buffer): Promise<string> {
    const record = new InterconnectRecordBuilder(chunk).setMetadata({ path }).setTimeout(5_000);
    const answer = await firstValueFrom(this.client.send('replicate', record.build()));
    await lastValueFrom(this.client.emit('replicated', Buffer.from(path)));
    return answer.toString();
  }
}

const bytes = Buffer.from('bytes');

describe('FakeInterconnectClient', () => {
  it('stands in for the client of an application: notes what is sent, answers as told', async () => {
    const client = new FakeInterconnectClient();
    client.reply('replicate', ({ data }: { data: Buffer }) => Buffer.from(`${data.length} bytes`));
    client.reply('replicated', undefined);
    const module = await Test.createTestingModule({
      imports: [InterconnectModule.forRoot()],
      providers: [Replicator],
    })
      .overrideProvider(InterconnectClient)
      .useValue(client)
      .compile();
    await module.init();

    expect(await module.get(Replicator).replicate('a.txt', bytes)).toBe('5 bytes');

    expect(client.calls).toMatchObject([
      { pattern: 'replicate', data: bytes, metadata: { path: 'a.txt' }, timeout: 5_000 },
      { pattern: 'replicated', data: Buffer.from('a.txt'), oneWay: false },
    ]);
    await module.close();
  });

  it('fails as a handler does that throws', async () => {
    const client = new FakeInterconnectClient()
      .fail('own', new InterconnectException(0x9001, 'full', Buffer.from([1])))
      .fail('rpc', new RpcException({ code: 7 }))
      .fail('plain', new Error('secret'));

    await expect(client.request('own', bytes)).rejects.toMatchObject({
      code: 0x9001,
      reason: 'full',
      data: Buffer.from([1]),
    });
    const rpc: unknown = await client.request('rpc', bytes).catch((error: unknown) => error);
    expect((rpc as RpcException).getError()).toEqual({ code: 7 });
    await expect(client.request('plain', bytes)).rejects.toThrow('Internal server error');
  });

  it('notes how each was sent', async () => {
    const client = new FakeInterconnectClient().reply('a', async () => null);
    const record = new InterconnectRecordBuilder(bytes).setOneWay().build();
    const abort = new AbortController();

    expect(await client.request('a', bytes)).toEqual(Buffer.alloc(0));
    await client.request('a', bytes, { idempotent: true, timeout: 3, signal: abort.signal });
    await lastValueFrom(client.emit('a', record));

    expect(client.calls).toMatchObject([
      { idempotent: false, timeout: undefined, oneWay: false },
      { idempotent: true, timeout: 3, oneWay: false },
      { idempotent: false, oneWay: true },
    ]);
  });

  it('waits for a reply that takes its time', async () => {
    const client = new FakeInterconnectClient()
      .reply('a', async () => bytes)
      .reply('b', async () => {
        throw new InterconnectException(0x9002, 'later');
      });

    expect(await client.request('a', bytes)).toEqual(bytes);
    await expect(client.request('b', bytes)).rejects.toMatchObject({ code: 0x9002 });
  });

  it('has no handler for what it was not told of', async () => {
    const client = new FakeInterconnectClient();

    await expect(client.request('unknown', bytes)).rejects.toMatchObject({
      code: Code.NO_SUCH_SESSION,
      message: 'There is no matching message handler defined in the remote service.',
    });
    expect(client.calls).toHaveLength(1);
  });

  it('finds patterns as a server does, and speaks JSON where it is told to', async () => {
    const client = new FakeInterconnectClient({ encoding: 'json' });
    client.reply({ cmd: 'sum', version: 1 }, ({ data }: { data: number[] }) => data.length);

    expect(await client.request<number>({ version: 1, cmd: 'sum' }, [1, 2])).toBe(2);
    expect(client.calls).toMatchObject([{ pattern: '{"cmd":"sum","version":1}', data: [1, 2] }]);
  });

  it('refuses what the real one refuses', async () => {
    const client = new FakeInterconnectClient();

    await expect(client.request('text', 'no bytes')).rejects.toThrow('Interconnect moves bytes');
    expect(client.calls).toEqual([]);
  });

  it('connects and closes without a word, and forgets when it is told to', async () => {
    const client = new FakeInterconnectClient().reply('a', undefined);
    await client.connect();
    expect(await client.request('a', bytes)).toEqual(Buffer.alloc(0));
    await client.close();

    client.reset();

    expect(client.calls).toEqual([]);
    await expect(client.request('a', bytes)).rejects.toThrow('no matching message handler');
  });
});
