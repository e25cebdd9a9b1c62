import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller, Get, Inject, Res, Sse, UseInterceptors } from '@nestjs/common';
import type { CallHandler, ExecutionContext, NestInterceptor } from '@nestjs/common';
import { Ctx, MessagePattern } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { get } from 'node:http';
import type { ServerResponse } from 'node:http';
import {
  Subject,
  VirtualTimeScheduler,
  finalize,
  firstValueFrom,
  map,
  switchMap,
  take,
  takeUntil,
  timeout,
  toArray,
} from 'rxjs';
import type { Observable } from 'rxjs';
import {
  InterconnectClient,
  InterconnectContext,
  InterconnectRecordBuilder,
  InterconnectServer,
} from '../../../src/nest/index.js';
import { ManualClock } from '../../support/sim/manual-clock.js';
import { all, until } from '../../support/nest/async.js';
import { Loopback, portOf } from '../../support/nest/loopback.js';

const bytes = (text: string): Buffer => Buffer.from(text);

/** What became of the handlers of a process. */
class Traces {
  subject = new Subject<Buffer>();
  enough = new Subject<void>();
  unsubscribed = 0;
  returned = 0;
  aborted = 0;
  finalized = 0;

  watch(context: InterconnectContext): void {
    context.signal.addEventListener('abort', () => (this.aborted += 1));
  }
}
let traces: Traces;

class Louder implements NestInterceptor<Buffer, Buffer> {
  intercept(_context: ExecutionContext, next: CallHandler<Buffer>): Observable<Buffer> {
    return next.handle().pipe(
      map((item) => bytes(`${item.toString()}!`)),
      takeUntil(traces.enough),
      finalize(() => (traces.finalized += 1)),
    );
  }
}

@Controller()
class EndlessController {
  @MessagePattern('observable')
  observable(@Ctx() context: InterconnectContext): Observable<Buffer> {
    traces.watch(context);
    return traces.subject.pipe(finalize(() => (traces.unsubscribed += 1)));
  }

  @MessagePattern('intercepted')
  @UseInterceptors(Louder)
  intercepted(@Ctx() context: InterconnectContext): Observable<Buffer> {
    return this.observable(context);
  }

  @MessagePattern('generator')
  async *generator(@Ctx() context: InterconnectContext): AsyncGenerator<Buffer> {
    traces.watch(context);
    try {
      for (let at = 1; ; at += 1) yield bytes(`${at}`);
    } finally {
      traces.returned += 1;
    }
  }

  /** Two items, and then it waits for what does not come. */
  @MessagePattern('waiting generator')
  async *waiting(@Ctx() context: InterconnectContext): AsyncGenerator<Buffer> {
    traces.watch(context);
    try {
      yield bytes('1');
      yield bytes('2');
      const { signal } = context;
      await new Promise((_, reject) =>
        signal.addEventListener('abort', () => reject(signal.reason)),
      );
    } finally {
      traces.returned += 1;
    }
  }

  @MessagePattern('plain')
  plain(): void {}
}

/** What became of the handler, once something has: it ends in the same way, whoever it was that had enough. */
async function fate(): Promise<{ ended: number; aborted: number }> {
  const ended = () => traces.returned + traces.unsubscribed;
  await until(() => ended() > 0 && traces.aborted > 0);
  return { ended: ended(), aborted: traces.aborted };
}
const ENDED = { ended: 1, aborted: 1 };

const PATTERNS = ['observable', 'intercepted', 'generator', 'waiting generator'];

let clock: ManualClock;
let loopback: Loopback;
let client: InterconnectClient;

beforeAll(async () => {
  clock = new ManualClock();
  loopback = await Loopback.start({ controllers: [EndlessController], server: { clock } });
});
afterAll(() => loopback.close());
beforeEach(() => {
  traces = new Traces();
  client = loopback.client({ maxItems: 4, clock });
});

/** Subscribes, has the handler emit, and resolves once something of it has come. */
async function begun(source: Observable<Buffer>) {
  const seen: string[] = [];
  let end: unknown;
  const subscription = source.subscribe({
    next: (item) => seen.push(item.toString()),
    complete: () => (end = 'complete'),
    error: (error: unknown) => (end = error),
  });
  await until(() => {
    if (traces.subject.observed && seen.length === 0) traces.subject.next(bytes('1'));
    return seen.length > 0;
  });
  return { seen, subscription, end: () => end };
}

describe.each(PATTERNS)('the handler of a stream ends with its caller: %s', (pattern) => {
  it('who unsubscribes', async () => {
    const { subscription } = await begun(client.send(pattern, bytes('')));
    subscription.unsubscribe();

    expect(await fate()).toEqual(ENDED);
  });

  it('who unsubscribes before the first value', async () => {
    const subscription = client.send(pattern, bytes('')).subscribe();
    await client.request('plain', bytes(''));
    subscription.unsubscribe();

    expect(await fate()).toEqual(ENDED);
  });

  it('who takes two', async () => {
    const two = firstValueFrom(client.send(pattern, bytes('')).pipe(take(2), toArray()));
    await until(() => {
      if (traces.subject.observed) traces.subject.next(bytes('1'));
      return traces.returned + traces.unsubscribed > 0;
    });

    expect(await two).toHaveLength(2);
    expect(await fate()).toEqual(ENDED);
  });

  it('by takeUntil()', async () => {
    const stop = new Subject<void>();
    const { end } = await begun(client.send(pattern, bytes('')).pipe(takeUntil(stop)));
    stop.next();

    expect(end()).toBe('complete');
    expect(await fate()).toEqual(ENDED);
  });

  it('by switchMap(), which goes on with the next', async () => {
    const patterns = new Subject<string>();
    const source = patterns.pipe(switchMap((each) => client.send(each, bytes(''))));
    const beginning = begun(source);
    patterns.next(pattern);
    const { seen, subscription } = await beginning;
    patterns.next('plain');

    expect(await fate()).toEqual(ENDED);
    await until(() => seen.at(-1) === '');
    subscription.unsubscribe();
  });

  it('whose own timeout is over amid the stream', async () => {
    const record = new InterconnectRecordBuilder(bytes('')).setTimeout(500).build();
    const { end } = await begun(client.send(pattern, record));
    clock.advance(500);
    await until(() => end() !== undefined);

    expect(end()).toMatchObject({ code: 'IC_ERR_TIMEOUT' });
    expect(await fate()).toEqual(ENDED);
  });

  it('whose connection is closed', async () => {
    const { end } = await begun(client.send(pattern, bytes('')));
    await client.close();

    expect(end()).toMatchObject({ code: 'IC_ERR_CLOSED' });
    expect(await fate()).toEqual(ENDED);
  });
});

describe.each(PATTERNS.filter((each) => each !== 'generator'))('and: %s', (pattern) => {
  it('by the timeout() of RxJS', async () => {
    const scheduler = new VirtualTimeScheduler();
    const limited = client.send(pattern, bytes('')).pipe(timeout({ each: 100, scheduler }));
    const { end } = await begun(limited);
    scheduler.flush();

    expect(end()).toMatchObject({ name: 'TimeoutError' });
    expect(await fate()).toEqual(ENDED);
  });
});

describe('an interceptor around an Observable', () => {
  it('sees each value, and the end', async () => {
    const answer = all(client.send('intercepted', bytes('')));
    await until(() => traces.subject.observed);
    traces.subject.next(bytes('1'));
    traces.subject.next(bytes('2'));
    traces.subject.complete();

    expect(await answer).toEqual([bytes('1!'), bytes('2!')]);
    expect(traces.finalized).toBe(1);
  });

  it('is finalized when the caller leaves', async () => {
    const { subscription } = await begun(client.send('intercepted', bytes('')));
    subscription.unsubscribe();

    expect(await fate()).toEqual(ENDED);
    expect(traces.finalized).toBe(1);
  });

  it('may end it', async () => {
    const { seen, end } = await begun(client.send('intercepted', bytes('')));
    traces.enough.next();
    await until(() => end() !== undefined);

    expect(end()).toBe('complete');
    expect(seen).toEqual(['1!']);
    expect(traces.unsubscribed).toBe(1);
    expect(traces.aborted).toBe(0);
  });
});

@Controller()
class GatewayController {
  private readonly client: InterconnectClient;

  constructor(@Inject(InterconnectClient) own: InterconnectClient) {
    this.client = own;
  }

  @Sse('events/observable')
  observable(): Observable<object> {
    return this.client
      .send('observable', bytes(''))
      .pipe(map((item) => ({ data: item.toString() })));
  }

  @Sse('events/generator')
  generator(): Observable<object> {
    return this.client
      .send('waiting generator', bytes(''))
      .pipe(map((item) => ({ data: item.toString() })));
  }

  @Get('download')
  download(@Res() response: ServerResponse): void {
    const subscription = this.client
      .send('observable', bytes(''))
      .subscribe((item) => response.write(item));
    response.on('close', () => subscription.unsubscribe());
  }
}

describe('an HTTP request that goes away, in a hybrid application', () => {
  it.each(['events/observable', 'events/generator', 'download'])(
    'ends the handler that its answer came from: %s',
    async (path) => {
      const gateway = new InterconnectClient({ host: '127.0.0.1', port: loopback.port });
      const module = await Test.createTestingModule({
        controllers: [GatewayController, EndlessController],
        providers: [{ provide: InterconnectClient, useValue: gateway }],
      }).compile();
      const app = module.createNestApplication();
      app.connectMicroservice({ strategy: new InterconnectServer({ host: '127.0.0.1', port: 0 }) });
      await app.startAllMicroservices();
      await app.listen(0, '127.0.0.1');
      const port = portOf(app.getHttpServer().address());

      const arrived = new Promise<void>((resolve, reject) => {
        const request = get({ host: '127.0.0.1', port, path: `/${path}` }, (response) => {
          // Of server-sent events, an empty line comes first.
          response.on('data', (chunk: Buffer) => {
            if (!chunk.includes('1')) return;
            request.destroy();
            resolve();
          });
          response.on('error', () => undefined);
        });
        request.on('error', reject);
      });
      let isThere = false;
      void arrived.then(() => (isThere = true));
      await until(() => {
        if (traces.subject.observed && !isThere) traces.subject.next(bytes('1'));
        return isThere;
      });

      expect(await fate()).toEqual(ENDED);
      await gateway.close();
      await app.close();
    },
  );
});
