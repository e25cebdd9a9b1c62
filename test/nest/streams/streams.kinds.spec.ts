import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller, UseGuards } from '@nestjs/common';
import type { CanActivate } from '@nestjs/common';
import { Ctx, MessagePattern, Payload, RpcException } from '@nestjs/microservices';
import { decode, encode } from '@msgpack/msgpack';
import { Readable } from 'node:stream';
import { lastValueFrom, map } from 'rxjs';
import type { Observable } from 'rxjs';
import {
  Code,
  InterconnectClient,
  InterconnectContext,
  InterconnectException,
} from '../../../src/nest/index.js';
import type { InterconnectPayloadOptions } from '../../../src/nest/index.js';
import { all, deferred, failureOf, until } from '../../support/nest/async.js';
import { CountedSource } from '../../support/nest/counted-source.js';
import { Loopback } from '../../support/nest/loopback.js';

const bytes = (text: string): Buffer => Buffer.from(text);
const STREAM = { stream: true };

class Closed implements CanActivate {
  canActivate(): boolean {
    return false;
  }
}

@Controller()
class KindsController {
  guarded = 0;
  read: string[] = [];
  gate = deferred();
  ended = deferred<unknown>();

  @MessagePattern('a Readable that fails')
  failingReadable(): Readable {
    const items = [bytes('1'), bytes('2')];
    return new Readable({
      objectMode: true,
      highWaterMark: 1,
      read() {
        const item = items.shift();
        if (item === undefined) this.destroy(new Error('disk'));
        else this.push(item);
      },
    });
  }

  @MessagePattern('a Readable that fails for the caller')
  refusingReadable(): Readable {
    return new Readable({
      read() {
        this.destroy(new RpcException({ quota: 3 }));
      },
    });
  }

  @MessagePattern('a Readable that nobody reads')
  unread(@Ctx() context: InterconnectContext): Readable {
    context.getMessage().respond(bytes('own'));
    return new Readable({
      destroy: (_, callback) => {
        callback(new Error('disk'));
        this.ended.resolve(undefined);
      },
    });
  }

  @MessagePattern('a Readable of octets')
  octets(): Readable {
    return Readable.from(['ab', 'cd'], { objectMode: false });
  }

  @MessagePattern('a web stream')
  web(): ReadableStream<Buffer> {
    return new ReadableStream({
      start(controller) {
        controller.enqueue(bytes('1'));
        controller.enqueue(bytes('2'));
        controller.close();
      },
    });
  }

  @MessagePattern('nothing')
  nothing(): Readable {
    return Readable.from([]);
  }

  @MessagePattern('empty ones')
  async *empty(): AsyncGenerator<Buffer | undefined> {
    yield bytes('');
    yield undefined;
    yield bytes('');
  }

  @MessagePattern('guarded', STREAM)
  @UseGuards(Closed)
  async behind(@Payload() body: AsyncIterable<Buffer>): Promise<void> {
    for await (const _ of body) this.guarded += 1;
  }

  @MessagePattern('early', STREAM)
  async early(
    @Payload() body: AsyncIterable<Buffer>,
    @Ctx() context: InterconnectContext,
  ): Promise<void> {
    for await (const item of body) {
      this.read.push(item.toString());
      if (this.read.length === 2) context.getMessage().respond(bytes('enough'));
    }
    this.ended.resolve(undefined);
  }

  @MessagePattern('fails early', STREAM)
  async failsEarly(@Payload() body: AsyncIterable<Buffer>): Promise<void> {
    for await (const item of body) throw new RpcException(`no more than ${item.toString()}`);
  }
}

@Controller()
class ValuesController {
  @MessagePattern('values')
  async *values(@Payload() count: number): AsyncGenerator<object | undefined> {
    for (let at = 1; at <= count; at += 1) yield { at, bytes: [at] };
  }

  @MessagePattern('sums', STREAM)
  async *sums(@Payload() values: AsyncIterable<number>): AsyncGenerator<number> {
    let sum = 0;
    for await (const value of values) yield (sum += value);
  }
}

let loopback: Loopback;
let client: InterconnectClient;
let controller: KindsController;
let source: CountedSource;

beforeAll(async () => {
  loopback = await Loopback.start({ controllers: [KindsController] });
});
afterAll(() => loopback.close());
beforeEach(() => {
  client = loopback.client({ maxItems: 4 });
  controller = loopback.app.get(KindsController);
  controller.read = [];
  controller.ended = deferred();
  source = new CountedSource();
});

async function partly(answer: Observable<Buffer>): Promise<[string[], InterconnectException]> {
  const items: string[] = [];
  const watched = answer.pipe(map((item) => items.push(item.toString())));
  return [items, await failureOf(InterconnectException, lastValueFrom(watched))];
}

describe('an answer', () => {
  it('from a Readable that fails has what came before, and hides why', async () => {
    const [items, error] = await partly(client.send('a Readable that fails', bytes('')));

    expect(items).toEqual(['1', '2']);
    expect(error).toMatchObject({ code: Code.FAILED, message: 'Internal server error' });
    expect(loopback.log.find('error', '"a Readable that fails" failed: disk')).toHaveLength(1);
  });

  it('from a Readable that fails with an RpcException carries what it carries', async () => {
    const pattern = 'a Readable that fails for the caller';
    const [items, error] = await partly(client.send(pattern, bytes('')));

    expect(items).toEqual([]);
    expect(error.getError()).toEqual({ quota: 3 });
  });

  it('that nobody reads is closed, and may fail at that', async () => {
    const answer = await client.request('a Readable that nobody reads', bytes(''));

    expect(answer).toEqual(bytes('own'));
    await controller.ended.promise;
    await new Promise((resolve) => setImmediate(resolve));
  });

  it.each([
    ['a Readable of octets', 'abcd'],
    ['a web stream', '12'],
  ])('may come from %s', async (pattern, text) => {
    const items = await all(client.send(pattern, bytes('')));

    expect(Buffer.concat(items).toString()).toBe(text);
  });

  it('that is an empty stream has no value', async () => {
    expect(await all(client.send('nothing', bytes('')))).toEqual([]);
  });

  it('of empty Buffers has each of them', async () => {
    expect(await all(client.send('empty ones', bytes('')))).toEqual([
      bytes(''),
      bytes(''),
      bytes(''),
    ]);
  });
});

describe('a streamed request', () => {
  it('that a guard refuses is not read', async () => {
    const error = await failureOf(InterconnectException, client.send('guarded', source.items()));

    expect(error.message).toBe('Forbidden resource');
    expect(controller.guarded).toBe(0);
    await until(() => source.returned === 1);
    expect(source.asked).toBeLessThan(100);
  });

  it('is read no further when its handler has settled it', async () => {
    expect(await client.request('early', source.items())).toEqual(bytes('enough'));

    await controller.ended.promise;
    expect(controller.read).toEqual(['1', '2']);
    await until(() => source.returned === 1);
  });

  it('is read no further when its handler fails', async () => {
    const error = await failureOf(
      InterconnectException,
      client.send('fails early', source.items()),
    );

    expect(error.message).toBe('no more than 1');
    await until(() => source.returned === 1);
  });

  it('may be empty, or of empty Buffers', async () => {
    expect(await all(client.send('fails early', Readable.from([])))).toEqual([bytes('')]);

    const failed = client.send('fails early', Readable.from([bytes('')]));
    expect((await failureOf(InterconnectException, failed)).message).toBe('no more than ');
  });
});

const messagePack = {
  serializer: {
    serialize: ({ data, response }: { data?: unknown; response?: unknown }) =>
      encode(data ?? response),
  },
  deserializer: {
    deserialize: (packet: { data?: Buffer; response?: Buffer }) =>
      packet.data === undefined
        ? { response: decode(packet.response ?? bytes('')) }
        : { ...packet, data: decode(packet.data) },
  },
};
const asynchronous = {
  serializer: { serialize: async (packet: object) => messagePack.serializer.serialize(packet) },
  deserializer: {
    deserialize: async (packet: object) => messagePack.deserializer.deserialize(packet),
  },
};

describe.each([
  ["encoding: 'json'", { encoding: 'json' }],
  ['MessagePack', messagePack],
  ['MessagePack that takes its time', asynchronous],
] as [string, InterconnectPayloadOptions][])('streams with %s', (_, options) => {
  let values: Loopback;
  let caller: InterconnectClient<unknown>;
  beforeAll(async () => {
    values = await Loopback.start({ controllers: [ValuesController], server: options });
    caller = values.client(options);
  });
  afterAll(() => values.close());

  it('have each item encoded by itself, in order', async () => {
    const expected = Array.from({ length: 100 }, (_1, at) => ({ at: at + 1, bytes: [at + 1] }));

    expect(await all(caller.send('values', 100))).toEqual(expected);
  });

  it('go both ways at once', async () => {
    expect(await all(caller.send('sums', Readable.from([1, 2, 3])))).toEqual([1, 3, 6]);
  });
});
