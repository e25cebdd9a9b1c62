import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { MessagePattern } from '@nestjs/microservices';
import { Observable, finalize, from, last, lastValueFrom, map, of, range, reduce } from 'rxjs';
import {
  Code,
  InterconnectClient,
  InterconnectException,
  InterconnectServer,
} from '../../../src/nest/index.js';
import type { InterconnectServerOptions } from '../../../src/nest/index.js';
import { all, failureOf } from '../../support/nest/async.js';
import { Loopback } from '../../support/nest/loopback.js';

const MIB = 1024 * 1024;
const ROWS = Array.from({ length: 5_000 }, (_, id) => ({ id, name: `row ${id}` }));
const seen = { unsubscribed: 0 };

@Controller()
class BurstsController {
  @MessagePattern('range')
  range(): Observable<number> {
    return range(0, 100_000);
  }

  @MessagePattern('rows')
  rows(): Observable<object> {
    return from(ROWS);
  }

  @MessagePattern('large')
  large(): Observable<Buffer> {
    return range(0, 15).pipe(map((at) => Buffer.alloc(MIB, at)));
  }

  @MessagePattern('100 of 256 KiB')
  hundred(): Observable<Buffer> {
    return range(0, 100).pipe(map((at) => Buffer.alloc(MIB / 4, at)));
  }

  @MessagePattern('too large')
  tooLarge(): Observable<Buffer> {
    return range(0, 100).pipe(
      map(() => Buffer.alloc(MIB)),
      finalize(() => (seen.unsubscribed += 1)),
    );
  }

  @MessagePattern('many')
  many(): Observable<number> {
    return range(0, 4097).pipe(finalize(() => (seen.unsubscribed += 1)));
  }

  @MessagePattern('item too large')
  itemTooLarge(): Observable<Buffer> {
    const sizes = [10, MIB + 1, 20, 80 * MIB];
    return from(sizes).pipe(
      map((size) => Buffer.alloc(size)),
      finalize(() => (seen.unsubscribed += 1)),
    );
  }

  @MessagePattern('item too large, in its turn')
  async *itemTooLargeInTurn(): AsyncGenerator<Buffer> {
    try {
      for (const size of [10, MIB + 1, 20]) yield Buffer.alloc(size);
    } finally {
      seen.unsubscribed += 1;
    }
  }

  @MessagePattern('few')
  few(): Observable<number> {
    return of(1, 2, 3);
  }

  @MessagePattern('unfit')
  unfit(): Observable<unknown> {
    return of({ at: 1 }, () => undefined, { at: 3 }).pipe(finalize(() => (seen.unsubscribed += 1)));
  }
}

let loopback: Loopback;
afterEach(() => loopback.close());

async function start({
  maxQueuedBytes,
  ...options
}: Pick<InterconnectServerOptions, 'encoding' | 'serializer' | 'maxQueuedBytes'>): Promise<
  InterconnectClient<unknown>
> {
  seen.unsubscribed = 0;
  const server = { ...options, ...(maxQueuedBytes !== undefined && { maxQueuedBytes }) };
  loopback = await Loopback.start({ controllers: [BurstsController], server });
  return loopback.client(options);
}

/** Takes its time for each value, as one that asks for a key does. */
const slowSerializer = {
  serialize: async ({ data, response }: { data?: unknown; response?: unknown }) => data ?? response,
};

describe('an Observable that emits all at once', () => {
  it('gives 100,000 values in their order', async () => {
    const client = await start({ encoding: 'json' });
    const inOrder = client
      .send<number>('range', {})
      .pipe(reduce((count, value) => (value === count ? count + 1 : -1), 0));

    expect(await lastValueFrom(inOrder)).toBe(100_000);
  });

  it('gives rows', async () => {
    const client = await start({ encoding: 'json' });

    expect(await all(client.send('rows', {}))).toEqual(ROWS);
  });

  it('gives octets up to the limit', async () => {
    const client = await start({});
    const lastOne = client.send('large', Buffer.alloc(0)).pipe(last());

    expect(Buffer.alloc(MIB, 14).equals(await lastValueFrom(lastOne))).toBe(true);
  });

  it('gives 100 values of 256 KiB', async () => {
    const client = await start({});
    const values = await all(client.send('100 of 256 KiB', Buffer.alloc(0)));

    expect(values.map(({ length }) => length)).toEqual(values.map(() => MIB / 4));
    expect(values.map((value) => value[MIB / 4 - 1])).toEqual(
      Array.from({ length: 100 }, (__, at) => at),
    );
  });

  it.each<[string, { maxQueuedBytes?: number }, number]>([
    ['by default', {}, 64 * MIB],
    ['of its own', { maxQueuedBytes: 30 * MIB }, 30 * MIB],
    ['of nothing', { maxQueuedBytes: 0 }, 0],
  ])('is given up beyond a limit %s, which the error names', async (_, options, limit) => {
    const client = await start(options);
    const error = await failureOf(
      InterconnectException,
      lastValueFrom(client.send('too large', Buffer.alloc(0))),
    );

    expect(error.message).toBe(
      'The handler of "too large" returned an Observable that is faster than its caller: of such values, more than the ' +
        `${limit} bytes of maxQueuedBytes would wait on this connection. Return an async iterable or a Readable, which ` +
        'can be held back, or raise maxQueuedBytes at this server.',
    );
    expect(seen.unsubscribed).toBe(1);
    expect(loopback.log.find('error', 'maxQueuedBytes would wait')).toHaveLength(1);
  });

  it('shares the limit with the others of its connection, and of no other connection', async () => {
    const client = await start({ maxQueuedBytes: 40 * MIB });
    const ask = (asked: InterconnectClient<unknown>) =>
      all(asked.send('100 of 256 KiB', Buffer.alloc(0)));

    const together = await Promise.allSettled([ask(client), ask(client), ask(client)]);
    expect(together.map(({ status }) => status).toSorted()).toContain('rejected');
    const others = [loopback.client(), loopback.client()] as InterconnectClient<unknown>[];
    expect((await Promise.all([client, ...others].map(ask))).flat()).toHaveLength(300);
  });

  it.each(['item too large', 'item too large, in its turn'])(
    'tells of an item that is too large for its caller as a generator does: %s',
    async (pattern) => {
      await start({ maxQueuedBytes: 50 * MIB });
      const client = loopback.client({ maxMessageSize: MIB });
      const error = await failureOf(
        InterconnectException,
        lastValueFrom(client.send(pattern, Buffer.alloc(0))),
      );

      expect(error.code).toBe(Code.REPLY_TOO_LARGE);
      const text = `An item of ${MIB + 1} bytes exceeds the ${MIB} bytes that the other side takes`;
      expect(loopback.log.find('error', text)).toHaveLength(1);
      expect(loopback.log.find('error', 'faster than its caller')).toHaveLength(0);
      expect(seen.unsubscribed).toBe(1);
    },
  );

  it('needs a limit that can be one', async () => {
    await start({});
    for (const maxQueuedBytes of [-1, 1.5, Number.NaN]) {
      expect(() => new InterconnectServer({ maxQueuedBytes })).toThrow(/maxQueuedBytes must be/);
      const connect = { maxQueuedBytes };
      expect(() => new InterconnectServer({ connect })).toThrow(/maxQueuedBytes must be/);
    }
  });

  it('is unsubscribed from at a value that has no form, which is named', async () => {
    const client = await start({ encoding: 'json' });
    const error = await failureOf(InterconnectException, lastValueFrom(client.send('unfit', {})));

    expect(error.message).toContain('"unfit" gave a stream with a function. JSON has no form');
    expect(seen.unsubscribed).toBe(1);
  });
});

describe('an Observable that emits all at once, with a serializer that takes its time', () => {
  it('keeps the order', async () => {
    const client = await start({ encoding: 'json', serializer: slowSerializer });

    expect(await all(client.send('few', {}))).toEqual([1, 2, 3]);
  });

  it('has 4096 values wait, and no more', async () => {
    const client = await start({ encoding: 'json', serializer: slowSerializer });
    const error = await failureOf(InterconnectException, lastValueFrom(client.send('many', {})));

    expect(error.message).toContain('faster than its caller');
    expect(seen.unsubscribed).toBe(1);
  });
});
