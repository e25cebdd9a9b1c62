import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller, ValidationPipe } from '@nestjs/common';
import { Ctx, MessagePattern, Payload } from '@nestjs/microservices';
import { Readable } from 'node:stream';
import { firstValueFrom, map } from 'rxjs';
import {
  Code,
  InterconnectClient,
  InterconnectContext,
  InterconnectException,
  InterconnectRecordBuilder,
  InterconnectServer,
} from '../../../src/nest/index.js';
import { all, failure, failureOf, until } from '../../support/nest/async.js';
import { CountedSource } from '../../support/nest/counted-source.js';
import { Loopback } from '../../support/nest/loopback.js';

const bytes = (text: string): Buffer => Buffer.from(text);
const STREAM = { stream: true };

/** Would make another object of what it touches. */
const untouched = {
  validatorPackage: { validate: async () => [] },
  transformerPackage: {
    plainToInstance: (): never => {
      throw new Error('A stream is not to be transformed.');
    },
    classToPlain: () => ({}),
  },
  transform: true,
  whitelist: true,
};

@Controller()
class BodiesController {
  plainCalls = 0;
  seen: string[] = [];
  failure: unknown;

  @MessagePattern('join', STREAM)
  async join(@Payload() body: AsyncIterable<Buffer>): Promise<Buffer> {
    const items: string[] = [];
    for await (const item of body) items.push(item.toString());
    return bytes(items.join('-'));
  }

  @MessagePattern('of the context', STREAM)
  async ofTheContext(@Ctx() context: InterconnectContext): Promise<Buffer> {
    const items: string[] = [];
    for await (const item of context.getBody()) items.push(item.toString());
    return bytes(`${items.join('-')}${context.getMetadata()['mark'] ?? ''}`);
  }

  @MessagePattern('both', STREAM)
  async *both(@Payload() body: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const item of body) yield bytes(`${item.toString()}!`);
  }

  @MessagePattern('first', STREAM)
  async first(@Payload() body: AsyncIterable<Buffer>): Promise<Buffer> {
    for await (const item of body) return item;
    return bytes('none');
  }

  @MessagePattern('watch', STREAM)
  async watch(@Payload() body: AsyncIterable<Buffer>): Promise<void> {
    try {
      for await (const item of body) this.seen.push(item.toString());
    } catch (error) {
      this.failure = error;
    }
  }

  @MessagePattern('plain')
  plain(@Payload() data: Buffer): Buffer {
    this.plainCalls += 1;
    return data;
  }
}

@Controller()
class SumsController {
  @MessagePattern('sum', STREAM)
  async sum(@Payload() numbers: AsyncIterable<number>): Promise<number> {
    let sum = 0;
    for await (const number of numbers) sum += number;
    return sum;
  }

  @MessagePattern('count', STREAM)
  async count(@Payload() values: AsyncIterable<unknown[]>): Promise<string> {
    const sizes: number[] = [];
    for await (const value of values) sizes.push(value.length);
    return `${sizes.length} of ${sizes.join()}`;
  }

  @MessagePattern('double', STREAM)
  async *double(@Payload() numbers: AsyncIterable<number>): AsyncGenerator {
    for await (const number of numbers) yield { twice: 2 * number };
  }
}

let loopback: Loopback;
let client: InterconnectClient;
let controller: BodiesController;
let source: CountedSource;

beforeAll(async () => {
  loopback = await Loopback.start({
    controllers: [BodiesController],
    configure: (app) => app.useGlobalPipes(new ValidationPipe(untouched)),
  });
});
afterAll(() => loopback.close());
beforeEach(() => {
  client = loopback.client();
  controller = loopback.app.get(BodiesController);
  source = new CountedSource();
});

describe('a stream as a request', () => {
  it('is read item by item by a handler that asks for it, past a global ValidationPipe', async () => {
    expect(await all(client.send('join', source.items(3)))).toEqual([bytes('1-2-3')]);
  });

  it('may be a Readable', async () => {
    const readable = Readable.from([bytes('1'), bytes('2')]);

    expect(await firstValueFrom(client.send('join', readable))).toEqual(bytes('1-2'));
  });

  it('may be that of a record, and read through the context', async () => {
    const record = new InterconnectRecordBuilder(source.items(2))
      .setMetadata({ mark: '?' })
      .build();

    expect(await client.request('of the context', record)).toEqual(bytes('1-2?'));
  });

  it('goes by request() too', async () => {
    expect(await client.request('join', source.items(2))).toEqual(bytes('1-2'));
  });

  it('may be answered by a stream', async () => {
    expect(await all(client.send('both', source.items(2)))).toEqual([bytes('1!'), bytes('2!')]);
  });

  it('ends when its handler has enough', async () => {
    expect(await client.request('first', source.items(1_000_000))).toEqual(bytes('1'));
    await until(() => source.returned === 1);
    expect(source.asked).toBeLessThan(1000);
  });

  it('need not be one for a handler that takes it', async () => {
    expect(await client.request('join', bytes('1'))).toEqual(bytes('1'));
    expect(await client.request('first', bytes(''))).toEqual(bytes('none'));
  });

  it('stops with its caller, and its handler reads why', async () => {
    const endless = client.send('watch', Readable.from(source.items(1_000_000)));
    const subscription = endless.subscribe();
    controller.seen = [];
    await until(() => controller.seen.length > 0);
    subscription.unsubscribe();

    await until(() => source.returned === 1 && controller.failure !== undefined);
    expect(controller.failure).toMatchObject({ code: 'IC_ERR_CANCELLED' });
  });
});

describe('a stream as a request is refused', () => {
  it('by a handler that did not ask for one, and does not run', async () => {
    const error = await failureOf(InterconnectException, client.send('plain', source.items(2)));

    expect(error).toMatchObject({ code: Code.INVALID, executed: 'no' });
    expect(error.message).toContain('The pattern "plain" takes no stream');
    expect(error.message).toContain('{ stream: true }');
    expect(controller.plainCalls).toBe(0);
  });

  it('and ended, whatever it is that refuses it', async () => {
    const bodies = Array.from({ length: 2 }, () => new Readable({ read: () => undefined }));
    const [one, two] = bodies as [Readable, Readable];

    await failure(client.emit('join', one));
    await failure(client.send('long'.repeat(1_000), two));

    expect(bodies.map(({ destroyed }) => destroyed)).toEqual([true, true]);
  });

  it('by emit() and by oneWay, before anything is read', async () => {
    const record = new InterconnectRecordBuilder(source.items(2)).setOneWay().build();

    for (const call of [client.emit('join', source.items(2)), client.send('join', record)]) {
      const error = await failure(call);
      expect(error).toMatchObject({ code: 'IC_ERR_OPTION', executed: 'no' });
      expect(String(error)).toContain('The data for "join" is a stream, which emit() and oneWay');
    }
    expect(source.asked).toBe(0);
  });

  it('for an item that is not bytes, by name', async () => {
    async function* wrong(): AsyncGenerator {
      yield 'text';
    }
    const error = await failure(client.send('join', wrong()));

    expect(error).toMatchObject({ code: 'IC_ERR_OPTION', executed: 'maybe' });
    expect(String(error)).toContain('An item of the data for "join" is a string.');
  });

  it("with its source's own error", async () => {
    const cause = new Error('disk');
    async function* failing(): AsyncGenerator<Buffer> {
      yield bytes('1');
      throw cause;
    }

    expect(await failure(client.send('join', failing()))).toBe(cause);
  });
});

describe('the extra stream', () => {
  it.each([
    [{ stream: 1 }, false, 'The extra "stream" of the pattern "p" must be true or false, and is 1'],
    [{ stream: true }, true, 'The event pattern "p" has the extra "stream"'],
  ])('is refused at start where it is wrong: %p', (extras, isEvent, text) => {
    const server = new InterconnectServer();

    expect(() => server.addHandler('p', async () => undefined, isEvent, extras)).toThrow(text);
  });
});

describe("streams with encoding: 'json'", () => {
  let json: Loopback;
  let sums: InterconnectClient<unknown>;
  beforeAll(async () => {
    json = await Loopback.start({ controllers: [SumsController], server: { encoding: 'json' } });
    sums = json.client({ encoding: 'json' });
  });
  afterAll(() => json.close());

  it('have one JSON value in each item', async () => {
    expect(await sums.request('sum', Readable.from([1, 2, 3]))).toBe(6);

    const doubled = sums.send<{ twice: number }>('double', Readable.from([1, 2]));
    expect(await all(doubled.pipe(map(({ twice }) => twice)))).toEqual([2, 4]);
  });

  it('leave arrays what they are: one value', async () => {
    expect(await sums.request('count', [1, 2])).toBe('1 of 2');
  });
});
