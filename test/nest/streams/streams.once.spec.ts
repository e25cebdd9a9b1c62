/** A stream that can be read once, given twice: to `send()`, to a handler's caller, to the fake client. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { FakeInterconnectClient } from 'nestjs-interconnect/testing';
import type { FakeCall } from 'nestjs-interconnect/testing';
import { Readable } from 'node:stream';
import { firstValueFrom, retry } from 'rxjs';
import {
  InterconnectClient,
  InterconnectError,
  InterconnectException,
  InterconnectRecordBuilder,
} from '../../../src/nest/index.js';
import type { InterconnectData } from '../../../src/nest/index.js';
import { all, failure, failureOf } from '../../support/nest/async.js';
import { Loopback } from '../../support/nest/loopback.js';

const bytes = (text: string): Buffer => Buffer.from(text);
const LETTERS = ['a', 'b', 'c'].map(bytes);
const STREAM = { stream: true };

async function* generate(): AsyncGenerator<Buffer> {
  yield* LETTERS;
}

function web(): AsyncIterable<Buffer> {
  const stream = new ReadableStream<Buffer>({
    start(controller) {
      for (const letter of LETTERS) controller.enqueue(letter);
      controller.close();
    },
  });
  return stream as never;
}

const READ_ONCE: readonly (readonly [string, () => AsyncIterable<Buffer>])[] = [
  ['a Readable', () => Readable.from(LETTERS)],
  ['a generator', generate],
  ['a web ReadableStream', web],
];

async function join(items: AsyncIterable<Buffer>): Promise<Buffer> {
  let text = '';
  for await (const item of items) text += item.toString();
  return bytes(text);
}

@Controller()
class OnceController {
  seen: string[] = [];
  fails = 0;
  answer: AsyncIterable<Buffer> = generate();
  onward: ((body: AsyncIterable<Buffer>) => Promise<Buffer>) | undefined;

  @MessagePattern('join', STREAM)
  async join(@Payload() body: AsyncIterable<Buffer>): Promise<Buffer> {
    const text = await join(body);
    this.seen.push(text.toString());
    if (this.fails-- > 0) throw new InterconnectException(0x8001, 'the disk was full');
    return text;
  }

  @MessagePattern('answer')
  give(): AsyncIterable<Buffer> {
    return this.answer;
  }

  @MessagePattern('record')
  record(): unknown {
    return new InterconnectRecordBuilder(this.answer).build();
  }

  @EventPattern('event')
  event(@Payload() _data: Buffer): AsyncIterable<Buffer> {
    return this.answer;
  }

  @MessagePattern('forward twice', STREAM)
  async forward(@Payload() body: AsyncIterable<Buffer>): Promise<Buffer> {
    const first = await this.onward?.(body);
    const error = await failure(this.onward!(body));
    return bytes(`${first?.toString()}, then ${String(error)}`);
  }
}

let loopback: Loopback;
let client: InterconnectClient;
let controller: OnceController;

beforeAll(async () => {
  loopback = await Loopback.start({ controllers: [OnceController] });
});
afterAll(() => loopback.close());
beforeEach(() => {
  client = loopback.client();
  controller = loopback.app.get(OnceController);
  controller.seen = [];
  controller.fails = 0;
});

const REFUSED = { code: 'IC_ERR_OPTION', executed: 'no' };

describe.each(READ_ONCE)('Of %s', (_, make) => {
  it('a second subscription fails, and sends nothing', async () => {
    const call = client.send('join', make());
    expect(await all(call)).toEqual([bytes('abc')]);

    const error = await failureOf(InterconnectError, call);

    expect(error).toMatchObject(REFUSED);
    expect(error.message).toContain('was read already');
    expect(await client.request('join', LETTERS[0]!)).toEqual(bytes('a'));
    expect(controller.seen).toEqual(['abc', 'a']);
  });

  it('a retry fails, and the handler never sees an empty request', async () => {
    controller.fails = 1;

    const error = await failure(client.send('join', make()).pipe(retry(1)));

    expect(error).toMatchObject(REFUSED);
    expect(controller.seen).toEqual(['abc']);
  });

  it('a record is sent once', async () => {
    const record = new InterconnectRecordBuilder<InterconnectData>(make()).build();
    expect(await client.request('join', record)).toEqual(bytes('abc'));

    expect(await failure(client.request('join', record))).toMatchObject(REFUSED);
  });

  it('two that wait for a connection are one too many, and the first has all', async () => {
    const call = client.send('join', make());

    const first = firstValueFrom(call);
    const second = failure(call);

    expect(await second).toMatchObject(REFUSED);
    expect(await first).toEqual(bytes('abc'));
    expect(controller.seen).toEqual(['abc']);
  });

  it('two on an open connection are one too many, and the first has all', async () => {
    await client.connect();
    const call = client.send('join', make());

    const [first, second] = await Promise.all([firstValueFrom(call), failure(call)]);

    expect(second).toMatchObject(REFUSED);
    expect(first).toEqual(bytes('abc'));
    expect(controller.seen).toEqual(['abc']);
  });

  it('one that was read before its subscription is refused', async () => {
    const items = make();
    await join(items);

    expect(await failure(client.send('join', items))).toMatchObject({ code: 'IC_ERR_OPTION' });
    expect(controller.seen).toEqual([]);
  });

  it('a fake client is told the same', async () => {
    const fake = new FakeInterconnectClient();
    fake.reply('join', ({ data }: FakeCall) => join(data as AsyncIterable<Buffer>));
    const items = make();

    expect(await fake.request('join', items)).toEqual(bytes('abc'));
    expect(await failure(fake.request('join', items))).toMatchObject(REFUSED);
    expect(fake.calls).toHaveLength(1);
  });

  it.each(['answer', 'record'])(
    'a handler that gives the same again fails, and its server says why: %s',
    async (pattern) => {
      controller.answer = make();
      expect(await all(client.send(pattern, bytes('')))).toEqual(LETTERS);

      const error = await failureOf(InterconnectException, client.send(pattern, bytes('')));

      const text = `The handler of "${pattern}" returned what cannot be sent: The`;
      expect(error.message).toContain(text);
      expect(error.message).toContain('was read already');
      expect(loopback.log.find('error', text).length).toBeGreaterThan(0);
    },
  );

  it('an event handler that gives the same again fails as well', async () => {
    controller.answer = make();
    await all(client.emit('event', bytes('')));

    const error = await failureOf(InterconnectException, client.emit('event', bytes('')));

    expect(error.message).toContain('was read already');
  });

  it('a fake client that is to reply the same again says so', async () => {
    const fake = new FakeInterconnectClient().reply('answer', make());
    expect(await all(fake.send('answer', bytes('')))).toEqual(LETTERS);

    const error = await failureOf(InterconnectException, fake.send('answer', bytes('')));

    expect(error.message).toContain('The reply to "answer" cannot be sent: The');
  });

  it('emit() ends it, as it sends no streams', async () => {
    const items = make();

    expect(await failure(client.emit('event', items))).toMatchObject({ code: 'IC_ERR_OPTION' });
    expect(await failure(client.send('join', items))).toMatchObject({ code: 'IC_ERR_OPTION' });
    expect(controller.seen).toEqual([]);
  });
});

describe('A call that cannot be sent', () => {
  it.each<[string, (items: Readable) => Promise<unknown>]>([
    ['of bad metadata', (items) => client.request('join', items, { metadata: { a: '\ud800' } })],
    ['of a bad timeout', (items) => client.request('join', items, { timeout: -1 })],
    ['of a pattern that is no name', (items) => client.request('', items)],
  ])('because %s ends its stream', async (_, call) => {
    await client.connect();
    const items = Readable.from(LETTERS);

    expect(await failure(call(items))).toMatchObject(REFUSED);

    expect(items.destroyed).toBe(true);
    expect(controller.seen).toEqual([]);
  });
});

describe('The body of a request', () => {
  it('is forwarded once', async () => {
    controller.onward = (body) => client.request('join', body);

    const answer = await client.request('forward twice', generate());

    expect(answer.toString()).toContain(
      'abc, then InterconnectError: message.body was read already',
    );
    expect(controller.seen).toEqual(['abc']);
  });
});

describe('A stream that begins anew each time', () => {
  it('may be sent again, by a retry too', async () => {
    controller.fails = 1;
    const anew = { [Symbol.asyncIterator]: generate };
    const call = client.send('join', anew).pipe(retry(1));

    expect(await all(call)).toEqual([bytes('abc')]);
    expect(await all(call)).toEqual([bytes('abc')]);
    expect(controller.seen).toEqual(['abc', 'abc', 'abc']);
  });
});
