import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller, UseInterceptors } from '@nestjs/common';
import type { CallHandler, ExecutionContext, NestInterceptor } from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload, RpcException } from '@nestjs/microservices';
import { Readable } from 'node:stream';
import {
  NEVER,
  Subject,
  concat,
  finalize,
  firstValueFrom,
  lastValueFrom,
  map,
  of,
  range,
  take,
  throwError,
  toArray,
} from 'rxjs';
import type { Observable } from 'rxjs';
import {
  Code,
  InterconnectClient,
  InterconnectContext,
  InterconnectException,
  InterconnectRecordBuilder,
} from '../../../src/nest/index.js';
import { ManualClock } from '../../support/sim/manual-clock.js';
import { all, failure, failureOf, until } from '../../support/nest/async.js';
import { Loopback } from '../../support/nest/loopback.js';

const bytes = (text: string): Buffer => Buffer.from(text);

class Louder implements NestInterceptor<Buffer, Buffer> {
  intercept(_context: ExecutionContext, next: CallHandler<Buffer>): Observable<Buffer> {
    return next.handle().pipe(map((item) => bytes(`${item.toString()}!`)));
  }
}

class Untouched implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle();
  }
}

@Controller()
class StreamsController {
  asked = 0;
  returned = 0;
  unsubscribed = 0;
  aborted = 0;
  readable: Readable | undefined;
  subject = new Subject<Buffer>();

  @MessagePattern('observable')
  observable(): Observable<Buffer> {
    return of(bytes('1'), bytes('2'), bytes('3'));
  }

  @MessagePattern('one')
  one(): Observable<Buffer> {
    return of(bytes('1'));
  }

  @MessagePattern('generator')
  async *generator(@Payload() data: Buffer): AsyncGenerator<Buffer> {
    try {
      for (let at = 1; at <= Number(data.toString()); at += 1) {
        this.asked = at;
        yield bytes(`${at}`);
      }
    } finally {
      this.returned += 1;
    }
  }

  @MessagePattern('promised generator')
  async promisedGenerator(): Promise<AsyncIterable<Buffer>> {
    return this.generator(bytes('2'));
  }

  @MessagePattern('intercepted generator')
  @UseInterceptors(Untouched)
  interceptedGenerator(): AsyncIterable<Buffer> {
    return this.generator(bytes('2'));
  }

  @MessagePattern('readable')
  stream(): Readable {
    this.readable = Readable.from([bytes('1'), bytes('2')]);
    return this.readable;
  }

  @MessagePattern('record of a stream')
  record(): unknown {
    return new InterconnectRecordBuilder(this.generator(bytes('2'))).build();
  }

  @MessagePattern('louder')
  @UseInterceptors(Louder)
  louder(): Observable<Buffer> {
    return of(bytes('1'), bytes('2'));
  }

  @MessagePattern('subject')
  open(@Ctx() context: InterconnectContext): Observable<Buffer> {
    context.signal.addEventListener('abort', () => (this.aborted += 1));
    return this.subject.pipe(finalize(() => (this.unsubscribed += 1)));
  }

  @MessagePattern('limited', { timeout: 500 })
  limited(): Observable<Buffer> {
    const source = concat(of(bytes('1'), bytes('2')), NEVER);
    return source.pipe(finalize(() => (this.unsubscribed += 1)));
  }

  @MessagePattern('too fast')
  tooFast(): Observable<Buffer> {
    return range(0, 1_000_000).pipe(
      map((at) => bytes(`${(this.asked = at)}`)),
      finalize(() => (this.unsubscribed += 1)),
    );
  }

  @MessagePattern('failing observable')
  failingObservable(): Observable<Buffer> {
    const failed = throwError(() => new RpcException({ quota: 3 }));
    return concat(of(bytes('1'), bytes('2')), failed);
  }

  @MessagePattern('failing generator')
  async *failingGenerator(): AsyncGenerator<Buffer> {
    yield bytes('1');
    throw new RpcException({ quota: 3 });
  }

  @MessagePattern('faulty generator')
  async *faultyGenerator(): AsyncGenerator<Buffer> {
    yield bytes('1');
    throw new Error('secret');
  }

  @MessagePattern('unfit')
  async *unfit(): AsyncGenerator {
    try {
      yield bytes('1');
      yield 'text';
    } finally {
      this.returned += 1;
    }
  }

  @EventPattern('event')
  async *event(@Payload() data: Buffer): AsyncGenerator<string> {
    this.asked = data.length;
    yield 'is not looked at';
    this.asked = 2;
  }
}

let clock: ManualClock;
let loopback: Loopback;
let client: InterconnectClient;
let controller: StreamsController;

beforeAll(async () => {
  clock = new ManualClock();
  loopback = await Loopback.start({ controllers: [StreamsController], server: { clock } });
});
afterAll(() => loopback.close());
beforeEach(() => {
  client = loopback.client({ maxItems: 4 });
  controller = loopback.app.get(StreamsController);
  controller.asked = controller.returned = controller.unsubscribed = controller.aborted = 0;
  controller.subject = new Subject();
});

/** What came before the failure, and the failure. */
async function partly(source: Observable<Buffer>): Promise<[string[], InterconnectException]> {
  const items: string[] = [];
  const watched = source.pipe(map((item) => items.push(item.toString())));
  const error = await failureOf(InterconnectException, lastValueFrom(watched));
  return [items, error];
}

async function texts(source: Observable<Buffer>): Promise<string[]> {
  return (await all(source)).map((item) => item.toString());
}

describe('a handler that gives a stream', () => {
  it.each([
    ['observable', ['1', '2', '3']],
    ['one', ['1']],
    ['promised generator', ['1', '2']],
    ['intercepted generator', ['1', '2']],
    ['readable', ['1', '2']],
    ['record of a stream', ['1', '2']],
    ['louder', ['1!', '2!']],
  ])('lets send() emit each item, and nothing more, and complete: %s', async (pattern, items) => {
    expect(await texts(client.send(pattern, bytes('')))).toEqual(items);
  });

  it('may give none: then there is nothing to emit', async () => {
    expect(await texts(client.send('generator', bytes('0')))).toEqual([]);
  });

  it('gives a single value of an Observable as a plain answer, which request() takes', async () => {
    expect(await client.request('one', bytes(''))).toEqual(bytes('1'));
  });

  it('is too much for request(), which says what to use', async () => {
    const error = await failure(client.request('generator', bytes('1000')));

    expect(error).toMatchObject({ code: 'IC_ERR_UNEXPECTED_STREAM', executed: 'yes' });
    expect(String(error)).toContain('The response of "generator" has more than one value, and');
    expect(String(error)).toContain('Use send()');
    await until(() => controller.returned === 1);
    expect(controller.asked).toBeLessThan(100);
  });

  it('gives items as they come, and not at the end', async () => {
    const items: string[] = [];
    const done = lastValueFrom(
      client.send('subject', bytes('')).pipe(map((item) => items.push(item.toString()))),
    );
    await until(() => controller.subject.observed);
    controller.subject.next(bytes('1'));
    controller.subject.next(bytes('2'));
    await until(() => items.length === 2);
    controller.subject.next(bytes('3'));
    await until(() => items.length === 3);
    controller.subject.complete();

    await done;
    expect(items).toEqual(['1', '2', '3']);
  });
});

describe('a caller that has enough', () => {
  it('ends a generator, which never runs far ahead of it', async () => {
    const items = client.send('generator', bytes('1000000')).pipe(take(3), toArray());

    expect(await firstValueFrom(items)).toHaveLength(3);
    await until(() => controller.returned === 1);
    expect(controller.asked).toBeLessThan(1000);
  });

  it('unsubscribes from an Observable, and aborts the signal', async () => {
    const first = firstValueFrom(client.send('subject', bytes('')));
    await until(() => controller.subject.observed);
    controller.subject.next(bytes('1'));
    controller.subject.next(bytes('2'));

    expect(await first).toEqual(bytes('1'));
    await until(() => controller.unsubscribed === 1 && controller.aborted === 1);
  });
});

describe('a stream that fails', () => {
  it.each(['failing observable', 'failing generator'])(
    'gives what came before, and then what the RpcException carried: %s',
    async (pattern) => {
      const [items, error] = await partly(client.send(pattern, bytes('')));

      expect(items).toEqual(pattern === 'failing observable' ? ['1', '2'] : ['1']);
      expect(error.code).toBe(Code.FAILED);
      expect(error.getError()).toEqual({ quota: 3 });
    },
  );

  it('tells the caller nothing of an error that nobody meant for it', async () => {
    const [items, error] = await partly(client.send('faulty generator', bytes('')));

    expect(items).toEqual(['1']);
    expect(error.message).toBe('Internal server error');
    expect(
      loopback.log.find('error', 'The handler of "faulty generator" failed: secret'),
    ).toHaveLength(1);
  });

  it('by a value that is not bytes names pattern and type, and ends the source', async () => {
    const [items, error] = await partly(client.send('unfit', bytes('')));

    expect(items).toEqual(['1']);
    expect(error.code).toBe(Code.FAILED);
    expect(error.message).toContain('The handler of "unfit" gave a stream with a string.');
    expect(controller.returned).toBe(1);
    expect(loopback.log.find('error', '"unfit" gave a stream with a string')).toHaveLength(1);
  });

  it('because an Observable is faster than its caller: it is unsubscribed from', async () => {
    const [, error] = await partly(client.send('too fast', bytes('')));

    expect(error.code).toBe(Code.FAILED);
    expect(error.message).toContain(
      `is faster than its caller: of such values, more than the ${64 * 2 ** 20} bytes of maxQueuedBytes`,
    );
    expect(controller.unsubscribed).toBe(1);
    expect(controller.asked).toBeGreaterThan(100_000);
    expect(controller.asked).toBeLessThan(524_289);
  });

  it('because the time of its handler is over, at once', async () => {
    const items: string[] = [];
    const source = client.send('limited', bytes(''));
    const failed = failure(lastValueFrom(source.pipe(map((item) => items.push(item.toString())))));
    await until(() => items.length === 2);
    clock.advance(500);

    expect(await failed).toMatchObject({
      code: 'IC_ERR_TIMEOUT',
      executed: 'yes',
      reason: 'The handler of "limited" did not end its stream within its 500 ms.',
    });
    expect(controller.unsubscribed).toBe(1);
  });
});

describe('an event handler that gives a stream', () => {
  it('runs to its end, and its values are not looked at', async () => {
    await lastValueFrom(client.emit('event', bytes('x')), { defaultValue: undefined });

    expect(controller.asked).toBe(2);
  });

  it('may be the other way round: emit() to a handler of messages ignores its items', async () => {
    const emitted = lastValueFrom(client.emit('observable', bytes('')), {
      defaultValue: 'nothing',
    });

    expect(await emitted).not.toEqual(bytes('3'));
  });
});
