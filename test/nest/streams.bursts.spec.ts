import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { MessagePattern } from '@nestjs/microservices';
import { Observable, finalize, from, last, lastValueFrom, map, of, range, reduce } from 'rxjs';
import { InterconnectClient, InterconnectException } from '../../src/nest/index.js';
import type { InterconnectPayloadOptions } from '../../src/nest/index.js';
import { all, failureOf } from './support/async.js';
import { Loopback } from './support/loopback.js';

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

  @MessagePattern('too large')
  tooLarge(): Observable<Buffer> {
    return range(0, 100).pipe(
      map(() => Buffer.alloc(MIB)),
      finalize(() => (seen.unsubscribed += 1)),
    );
  }

  @MessagePattern('many')
  many(): Observable<number> {
    return range(0, 1025).pipe(finalize(() => (seen.unsubscribed += 1)));
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

async function start(options: InterconnectPayloadOptions): Promise<InterconnectClient<unknown>> {
  seen.unsubscribed = 0;
  loopback = await Loopback.start({ controllers: [BurstsController], server: options });
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

  it('is given up beyond it, and unsubscribed from', async () => {
    const client = await start({});
    const error = await failureOf(
      InterconnectException,
      lastValueFrom(client.send('too large', Buffer.alloc(0))),
    );

    expect(error.message).toBe(
      'The handler of "too large" returned an Observable that is faster than its caller: more than 16 MiB wait. ' +
        'Return an async iterable or a Readable, which can be held back.',
    );
    expect(seen.unsubscribed).toBe(1);
    expect(loopback.log.find('error', 'more than 16 MiB wait')).toHaveLength(1);
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

  it('has 1024 values wait, and no more', async () => {
    const client = await start({ encoding: 'json', serializer: slowSerializer });
    const error = await failureOf(InterconnectException, lastValueFrom(client.send('many', {})));

    expect(error.message).toContain('faster than its caller');
    expect(seen.unsubscribed).toBe(1);
  });
});
