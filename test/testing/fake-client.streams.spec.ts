import { describe, expect, it } from '@jest/globals';
import { RpcException } from '@nestjs/microservices';
import { Code } from 'nestjs-interconnect';
import { FakeInterconnectClient } from 'nestjs-interconnect/testing';
import type { FakeCall } from 'nestjs-interconnect/testing';
import { Readable } from 'node:stream';
import { NEVER, concat, finalize, firstValueFrom, from, of, take, throwError } from 'rxjs';
import { all, deferred, failure, until } from '../support/nest/async.js';
import { CountedSource } from '../support/nest/counted-source.js';

const bytes = (text: string): Buffer => Buffer.from(text);

async function join({ data }: FakeCall): Promise<Buffer> {
  const items: string[] = [];
  for await (const item of data as AsyncIterable<Buffer>) items.push(item.toString());
  return bytes(items.join('-'));
}

describe('a reply that is a stream', () => {
  it.each([
    ['an Observable', () => of(bytes('1'), bytes('2'))],
    ['a Readable', () => Readable.from([bytes('1'), bytes('2')])],
    ['an async iterable', () => new CountedSource().items(2)],
  ])('lets send() emit each value: %s', async (_, reply) => {
    const client = new FakeInterconnectClient().reply('p', reply);

    expect(await all(client.send('p', bytes('')))).toEqual([bytes('1'), bytes('2')]);
  });

  it('is decoded as that of a server', async () => {
    const client = new FakeInterconnectClient({ encoding: 'json' });
    client.reply('p', () => of({ at: 1 }, { at: 2 }));

    expect(await all(client.send('p', {}))).toEqual([{ at: 1 }, { at: 2 }]);
  });

  it('fails after what came before', async () => {
    const client = new FakeInterconnectClient();
    const failing = throwError(() => new RpcException({ quota: 3 }));
    client.reply('p', () => concat(of(bytes('1')), failing));
    const items: string[] = [];
    const answer = client.send('p', bytes(''));

    const error = await new Promise<unknown>((resolve) => {
      answer.subscribe({ next: (item) => items.push(item.toString()), error: resolve });
    });

    expect(items).toEqual(['1']);
    expect((error as RpcException).getError()).toEqual({ quota: 3 });
  });

  it('is for request() one value, or too much', async () => {
    const source = new CountedSource();
    const client = new FakeInterconnectClient();
    client.reply('one', () => new CountedSource().items(1)).reply('many', () => source.items(9));

    expect(await client.request('one', bytes(''))).toEqual(bytes('1'));
    expect(await failure(client.request('many', bytes('')))).toMatchObject({
      code: 'IC_ERR_UNEXPECTED_STREAM',
    });
    expect(source).toMatchObject({ asked: 2, returned: 1 });
    expect(client.calls[1]?.signal.aborted).toBe(true);
  });

  it('is named where it is no bytes', async () => {
    const client = new FakeInterconnectClient();
    client.reply('p', () => of('text')).reply('q', () => 7);

    for (const [pattern, text] of [
      ['p', 'The reply to "p" is, or has, a string. Give bytes'],
      ['q', 'The reply to "q" is, or has, a number. Give bytes'],
    ] as const) {
      const error = await failure(client.send(pattern, bytes('')));
      expect(error).toMatchObject({ code: Code.FAILED });
      expect(String(error)).toContain(text);
    }
  });
});

describe('a request that is a stream', () => {
  it('is read by the reply, decoded', async () => {
    const client = new FakeInterconnectClient().reply('p', join);
    const json = new FakeInterconnectClient({ encoding: 'json' });
    json.reply('p', async ({ data }: FakeCall) => {
      const values: unknown[] = [];
      for await (const value of data as AsyncIterable<unknown>) values.push(value);
      return values;
    });

    expect(await client.request('p', new CountedSource().items(3))).toEqual(bytes('1-2-3'));
    expect(await json.request('p', Readable.from([1, { a: 2 }]))).toEqual([1, { a: 2 }]);
  });

  it('is ended where the reply has enough', async () => {
    const source = new CountedSource();
    const client = new FakeInterconnectClient();
    client.reply('p', async ({ data }: FakeCall) => {
      for await (const item of data as AsyncIterable<Buffer>) return item;
      return undefined;
    });
    const readable = Readable.from(source.items(1_000));

    expect(await client.request('p', readable)).toEqual(bytes('1'));
    await until(() => source.returned === 1);
    expect(readable.destroyed).toBe(true);
  });

  it('fails with its own error, whatever the reply makes of it', async () => {
    const cause = new Error('disk');
    async function* failing(): AsyncGenerator<Buffer> {
      yield bytes('1');
      throw cause;
    }
    const client = new FakeInterconnectClient();
    client.reply('p', (call) => join(call).catch(() => undefined));

    expect(await failure(client.send('p', failing()))).toBe(cause);
  });
});

describe('a call that is cancelled', () => {
  it('aborts the signal of the call, and ends the reply', async () => {
    let unsubscribed = 0;
    const source = new CountedSource();
    const client = new FakeInterconnectClient();
    client.reply('observable', () =>
      concat(of(bytes('1')), NEVER).pipe(finalize(() => (unsubscribed += 1))),
    );
    client.reply('generator', () => source.items(1_000_000));

    for (const pattern of ['observable', 'generator']) {
      await firstValueFrom(client.send(pattern, bytes('')).pipe(take(1)));
    }

    await until(() => unsubscribed === 1 && source.returned === 1);
    expect(source.asked).toBeLessThan(5);
    for (const { signal } of client.calls) {
      expect(signal.reason).toMatchObject({ code: 'IC_ERR_CANCELLED' });
    }
  });

  it('fails a request whose own signal aborts, and reading its body', async () => {
    const controller = new AbortController();
    const client = new FakeInterconnectClient();
    let reading: Promise<unknown> | undefined;
    client.reply('p', (call: FakeCall) => (reading = join(call)));
    const never = new Readable({ read: () => undefined });
    const { signal } = controller;
    const failed = failure(client.request('p', never, { signal }));
    await until(() => reading !== undefined);

    controller.abort();

    expect(await failed).toMatchObject({ code: 'IC_ERR_CANCELLED', executed: 'maybe' });
    expect(never.destroyed).toBe(true);
    await expect(reading).rejects.toMatchObject({ code: 'IC_ERR_CANCELLED' });
    expect(await failure(client.request('p', never, { signal }))).toMatchObject({
      executed: 'no',
    });
  });

  it.each([
    ['a generator', (source: CountedSource) => source.items(1_000_000)],
    ['an Observable', (source: CountedSource) => from(source.items(1_000_000))],
  ])('reads nothing of a reply that comes afterwards: %s', async (_, replyOf) => {
    const source = new CountedSource();
    const decided = deferred();
    const client = new FakeInterconnectClient();
    client.reply('p', () => decided.promise.then(() => replyOf(source)));
    const calls = client.send('p', bytes('')).subscribe();
    await until(() => client.calls.length === 1);

    calls.unsubscribe();
    decided.resolve();
    await new Promise((resolve) => setImmediate(resolve));

    expect(source.asked).toBeLessThan(5);
  });

  it('leaves the signal alone where there was an answer', async () => {
    const client = new FakeInterconnectClient().reply('p', bytes('1'));

    await firstValueFrom(client.send('p', bytes('')));

    expect(client.calls[0]?.signal.aborted).toBe(false);
  });
});
