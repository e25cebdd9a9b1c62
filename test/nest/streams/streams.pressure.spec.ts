import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller, UseInterceptors } from '@nestjs/common';
import type { CallHandler, ExecutionContext, NestInterceptor } from '@nestjs/common';
import { MessagePattern, Payload } from '@nestjs/microservices';
import { Readable } from 'node:stream';
import type { Observable } from 'rxjs';
import { connect } from '../../../src/endpoint/index.js';
import type { Connection } from '../../../src/endpoint/index.js';
import { InterconnectClient } from '../../../src/nest/index.js';
import type { InterconnectServerOptions } from '../../../src/nest/index.js';
import { deferred, until } from '../../support/nest/async.js';
import { Loopback } from '../../support/nest/loopback.js';

const COUNT = 200;
const MAX_ITEMS = 4;
/** Beside what is on its way: one that has been read of the source, and one that is asked of it. */
const AHEAD = MAX_ITEMS + 2;
const MIB = 1024 * 1024;

class Untouched implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle();
  }
}

/** Numbers, and how many of them were asked for. */
class Source {
  asked = 0;
  async *buffers(count: number, size = 4): AsyncGenerator<Buffer> {
    for (const end = this.asked + count; this.asked < end;) {
      this.asked += 1;
      const item = Buffer.alloc(size);
      item.writeUInt32BE(this.asked);
      yield item;
    }
  }
  async *values(count: number): AsyncGenerator<{ at: number }> {
    for await (const item of this.buffers(count)) yield { at: item.readUInt32BE() };
  }
  /** Makes an item when it is read, and none ahead. */
  readable(count: number): Readable {
    const source = this.buffers(count);
    return new Readable({
      objectMode: true,
      highWaterMark: 1,
      read() {
        void source.next().then(({ value, done }) => this.push(done === true ? null : value));
      },
    });
  }
}

@Controller()
class PressureController {
  readonly source = new Source();
  read = 0;
  gate = deferred();

  @MessagePattern('generator')
  generator(): AsyncIterable<Buffer> {
    return this.source.buffers(COUNT);
  }
  @MessagePattern('promise of a generator')
  async promised(): Promise<AsyncIterable<Buffer>> {
    return this.source.buffers(COUNT);
  }
  @MessagePattern('intercepted generator')
  @UseInterceptors(Untouched)
  intercepted(): AsyncIterable<Buffer> {
    return this.source.buffers(COUNT);
  }
  @MessagePattern('Readable')
  readable(): Readable {
    return this.source.readable(COUNT);
  }
  @MessagePattern('generator of values')
  values(): AsyncIterable<object> {
    return this.source.values(COUNT);
  }
  @MessagePattern('large')
  large(): AsyncIterable<Buffer> {
    return this.source.buffers(64, MIB);
  }
  @MessagePattern('read one', { stream: true })
  async readOne(@Payload() body: AsyncIterable<Buffer>): Promise<Buffer> {
    let sum = 0;
    for await (const item of body) {
      sum += item.readUInt32BE();
      this.read += 1;
      await this.gate.promise;
    }
    return Buffer.from(`${sum}`);
  }
  @MessagePattern('echo')
  echo(@Payload() data: Buffer): Buffer {
    return data;
  }
}

let ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends) await end();
  ends = [];
});

async function start(server: InterconnectServerOptions = {}) {
  const loopback = await Loopback.start({ controllers: [PressureController], server });
  ends.push(() => loopback.close());
  const controller = loopback.app.get(PressureController);
  return { loopback, controller };
}

async function connected(port: number): Promise<Connection> {
  const connection = await connect({ host: '127.0.0.1', port, maxItems: MAX_ITEMS });
  ends.unshift(() => connection.close());
  return connection;
}

function read(connection: Connection, pattern: string): AsyncIterator<Buffer> {
  const answer = connection.openSession(pattern).stream(Buffer.from('1'));
  return answer[Symbol.asyncIterator]();
}

/** Whatever was to go on by itself has done so: several messages have been there and back. */
async function quiet(echo: () => Promise<unknown>): Promise<void> {
  for (let count = 0; count < 20; count += 1) await echo();
}

describe('the source of an answer', () => {
  it.each([
    ['generator', {}],
    ['promise of a generator', {}],
    ['intercepted generator', {}],
    ['Readable', {}],
    ['generator of values', { encoding: 'json' }],
    [
      'generator of values',
      {
        serializer: { serialize: async ({ response }: { response: unknown }) => response },
        encoding: 'json',
      },
    ],
  ] as [string, InterconnectServerOptions][])(
    'goes no further than its reader allows, and then on: %s, %p',
    async (pattern, options) => {
      const { loopback, controller } = await start(options);
      const connection = await connected(loopback.port);
      const echo = () => connection.openSession('echo').send(Buffer.from('1'));
      const items = read(connection, pattern);
      await items.next();
      await quiet(echo);
      expect(controller.source.asked).toBeGreaterThan(1);
      expect(controller.source.asked).toBeLessThanOrEqual(1 + AHEAD);

      for (let taken = 1; taken < 10; taken += 1) await items.next();
      await quiet(echo);
      expect(controller.source.asked).toBeLessThanOrEqual(10 + AHEAD);

      let count = 10;
      while ((await items.next()).done !== true) count += 1;
      expect(count).toBe(COUNT);
    },
  );

  it('of large items stays within a window, whatever there is to come', async () => {
    const { loopback, controller } = await start();
    const connection = await connect({
      host: '127.0.0.1',
      port: loopback.port,
      sessionWindow: 2 * MIB,
    });
    ends.unshift(() => connection.close());
    const items = read(connection, 'large');
    await items.next();
    await quiet(() => connection.openSession('echo').send(Buffer.from('1')));

    // The window, one that is on its way beyond it, and what has been read of the source.
    expect(controller.source.asked).toBeLessThanOrEqual(1 + 2 + 1 + 2);
    let count = 1;
    while ((await items.next()).done !== true) count += 1;
    expect(count).toBe(64);
  });

  it('goes at the pace of a deserializer of the caller that takes its time', async () => {
    const { loopback, controller } = await start();
    const gate = deferred();
    const client = loopback.client({
      maxItems: MAX_ITEMS,
      deserializer: {
        deserialize: async ({ response }: { response: Buffer }) => {
          await gate.promise;
          return { response };
        },
      },
    });
    const seen: number[] = [];
    const answer = client.send('generator', Buffer.from('1'));
    const done = new Promise<void>((complete, error) => {
      answer.subscribe({ next: (item) => seen.push(item.readUInt32BE()), complete, error });
    });
    await until(() => controller.source.asked >= MAX_ITEMS);
    const other: InterconnectClient = loopback.client();
    await quiet(() => other.request('echo', Buffer.from('1')));
    expect(controller.source.asked).toBeLessThanOrEqual(1 + AHEAD);

    gate.resolve();
    await done;
    expect(seen).toEqual(Array.from({ length: COUNT }, (_, at) => at + 1));
  });
});

describe('the source of a request', () => {
  it.each(['generator', 'Readable'])(
    'goes no further than its handler allows, and then on: %s',
    async (kind) => {
      const { loopback, controller } = await start({ maxItems: MAX_ITEMS });
      const client = loopback.client();
      const source = new Source();
      const items = kind === 'Readable' ? source.readable(COUNT) : source.buffers(COUNT);
      const answer = client.request('read one', items);
      await until(() => controller.read === 1);
      await quiet(() => client.request('echo', Buffer.from('1')));
      expect(source.asked).toBeGreaterThan(1);
      expect(source.asked).toBeLessThanOrEqual(1 + AHEAD);

      controller.gate.resolve();
      expect(String(await answer)).toBe(`${(COUNT * (COUNT + 1)) / 2}`);
    },
  );
});
