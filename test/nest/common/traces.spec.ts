import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller, Inject, Injectable, Scope, UseGuards } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload, RpcException } from '@nestjs/microservices';
import { context, propagation, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import {
  InMemorySpanExporter,
  NodeTracerProvider,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-node';
import type { ReadableSpan } from '@opentelemetry/sdk-trace-node';
import { readFile } from 'node:fs/promises';
import { firstValueFrom, from, lastValueFrom, mergeMap } from 'rxjs';
import type { Observable } from 'rxjs';
import { InterconnectClient } from '../../../src/nest/index.js';
import { all, deferred, failure, until } from '../../support/nest/async.js';
import { Loopback } from '../../support/nest/loopback.js';
import { traceCalls, traceHandlers } from '../../support/nest/tracing.js';

/** More than may be on its way at once, so that the source is asked again and again. */
const ITEMS = 200;

/** The span in whose context the caller of this runs. */
function active(): Buffer {
  return Buffer.from(trace.getActiveSpan()?.spanContext().spanId ?? 'none');
}

@Controller()
class InnerController {
  readonly noted = deferred();

  @MessagePattern('inner')
  inner(@Payload() data: Buffer): Buffer {
    return data;
  }

  @EventPattern('noted')
  note(@Payload() _data: Buffer): void {
    this.noted.resolve();
  }
}

@Injectable({ scope: Scope.REQUEST })
class PerRequest {
  readonly span = active();
}

@Controller()
class ScopedController {
  constructor(@Inject(PerRequest) private readonly perRequest: PerRequest) {}

  @MessagePattern('request-scoped')
  async scoped(): Promise<Buffer> {
    await Promise.resolve();
    return Buffer.concat([this.perRequest.span, active()]);
  }
}

@Controller()
class OuterController {
  client!: InterconnectClient;

  @MessagePattern('outer')
  async outer(@Payload() data: Buffer): Promise<Buffer> {
    const answer = await this.client.request('inner', data);
    await lastValueFrom(this.client.emit('noted', data), { defaultValue: undefined });
    return answer;
  }

  @MessagePattern('plain')
  plain(): Buffer {
    return active();
  }

  @MessagePattern('observable')
  observable(): Observable<Buffer> {
    return from(Array.from({ length: 3 })).pipe(
      mergeMap(async () => {
        await new Promise((resolve) => setImmediate(resolve));
        return active();
      }),
    );
  }

  @MessagePattern('generator')
  async *generator(): AsyncGenerator<Buffer> {
    for (let count = 0; count < ITEMS; count++) yield active();
  }

  @MessagePattern('body', { stream: true })
  async body(@Payload() body: AsyncIterable<Buffer>): Promise<Buffer> {
    const seen = new Set<string>();
    for await (const _item of body) seen.add(active().toString());
    return Buffer.from([...seen].join());
  }

  @MessagePattern('failing')
  failing(): never {
    throw new RpcException('the disk is full');
  }

  @MessagePattern('failing stream')
  async *failingStream(): AsyncGenerator<Buffer> {
    yield active();
    throw new RpcException('the disk is full');
  }

  @UseGuards({ canActivate: () => false })
  @MessagePattern('guarded')
  guarded(): void {}
}

const exporter = new InMemorySpanExporter();
const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
const bytes = Buffer.from('x');
let outer: Loopback;
let inner: Loopback;
let client: InterconnectClient;

function tracedClient(of: Loopback): InterconnectClient {
  const traced = of.client();
  traceCalls(traced);
  return traced;
}

/** The one ended span of that pattern. */
async function spanOf(name: string): Promise<ReadableSpan> {
  const ended = () => exporter.getFinishedSpans().filter((span) => span.name === name);
  await until(() => ended().length > 0);
  const [span, ...others] = ended();
  if (span === undefined || others.length > 0) throw new Error(`Several spans are "${name}".`);
  return span;
}

async function idOf(name: string): Promise<string> {
  const span = await spanOf(name);
  return span.spanContext().spanId;
}

beforeAll(async () => {
  provider.register();
  const configure = (_app: unknown, server: Loopback['server']) => traceHandlers(server);
  inner = await Loopback.start({ controllers: [InnerController], configure });
  outer = await Loopback.start({
    controllers: [OuterController, ScopedController],
    providers: [PerRequest],
    configure,
  });
  outer.app.get(OuterController).client = tracedClient(inner);
  client = tracedClient(outer);
});
afterAll(async () => {
  await outer.close();
  await inner.close();
  await provider.shutdown();
  trace.disable();
  context.disable();
  propagation.disable();
});
beforeEach(() => exporter.reset());

describe('the recipe for traces', () => {
  it('is what the README of the Nest floor prints', async () => {
    const [readme, recipe] = await Promise.all([
      readFile(new URL('../../../src/nest/README.md', import.meta.url), 'utf8'),
      readFile(new URL('../../support/nest/tracing.ts', import.meta.url), 'utf8'),
    ]);
    const [, section = ''] = readme.split('\n## Traces\n');
    const [, printed = ''] = /```ts\n([\s\S]*?)```/.exec(section) ?? [];
    const linesOf = (text: string) => text.split('\n').map((line) => line.trim());
    const proved = new Set(linesOf(recipe));

    expect(linesOf(printed).length).toBeGreaterThan(20);
    expect(linesOf(printed).filter((line) => !proved.has(line))).toEqual([]);
  });

  it('makes one trace of a call, the calls of its handler, and an event', async () => {
    const root = provider.getTracer('test').startSpan('root');
    await context.with(trace.setSpan(context.active(), root), async () => {
      expect(await firstValueFrom(client.send('outer', bytes))).toEqual(bytes);
    });
    root.end();
    const spans = await Promise.all(['outer', 'inner', 'noted'].map(spanOf));

    expect(spans.map((span) => span.spanContext().traceId)).toEqual(
      spans.map(() => root.spanContext().traceId),
    );
    const [outerId] = spans.map((span) => span.spanContext().spanId);
    expect(spans.map((span) => span.parentSpanContext?.spanId)).toEqual([
      root.spanContext().spanId,
      outerId,
      outerId,
    ]);
    expect(spans.map(({ kind, status }) => [kind, status.code])).toEqual(
      spans.map(() => [SpanKind.SERVER, SpanStatusCode.UNSET]),
    );
  });

  it('begins a trace where the caller has none', async () => {
    await client.request('plain', bytes);

    expect((await spanOf('plain')).parentSpanContext).toBeUndefined();
  });

  it.each(['plain', 'observable', 'generator'])(
    'runs the handler in its span, to its end: %s',
    async (pattern) => {
      const seen = new Set((await all(client.send(pattern, bytes))).map(String));

      expect([...seen]).toEqual([await idOf(pattern)]);
    },
  );

  it('runs request-scoped providers and handlers in it', async () => {
    const seen = await client.request('request-scoped', bytes);

    const id = await idOf('request-scoped');
    expect(seen.toString()).toBe(id + id);
  });

  it('runs a handler that reads a stream in it', async () => {
    const items = Array.from({ length: ITEMS }, () => bytes);
    const seen = await firstValueFrom(client.send('body', stream(items)));

    expect(seen.toString()).toBe(await idOf('body'));
  });

  it.each([
    ['failing', 'the disk is full'],
    ['failing stream', 'the disk is full'],
    ['guarded', 'Forbidden resource'],
  ])('says in the span what the caller is told: %s', async (pattern, message) => {
    await failure(all(client.send(pattern, bytes)));

    expect((await spanOf(pattern)).status).toEqual({ code: SpanStatusCode.ERROR, message });
  });
});

async function* stream(items: Buffer[]): AsyncGenerator<Buffer> {
  yield* items;
}
