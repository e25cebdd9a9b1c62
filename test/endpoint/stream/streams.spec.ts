import { describe, expect, it } from '@jest/globals';
import { Readable } from 'node:stream';
import type { Message } from 'nestjs-interconnect/core';
import { inSession } from '../../support/peers/connected.js';
import { failure, later, thrown, until } from '../../support/events.js';

const MIB = 1024 * 1024;
const bytes = (text: string): Buffer => Buffer.from(text);

/** Numbered items of these sizes, and what became of their source. */
function numbered(count: number, size = 4): { items: AsyncGenerator<Buffer>; state: SourceState } {
  const state: SourceState = { given: 0, returned: 0 };
  async function* generate(): AsyncGenerator<Buffer> {
    try {
      for (let at = 0; at < count; at++) {
        const item = Buffer.alloc(size, at % 251);
        if (size >= 4) item.writeUInt32BE(at);
        state.given += 1;
        yield await Promise.resolve(item);
      }
    } finally {
      state.returned += 1;
    }
  }
  return { items: generate(), state };
}

interface SourceState {
  given: number;
  returned: number;
}

async function collect(items: AsyncIterable<Buffer>): Promise<Buffer[]> {
  const all: Buffer[] = [];
  for await (const item of items) all.push(item);
  return all;
}

const texts = async (items: AsyncIterable<Buffer>): Promise<string[]> =>
  (await collect(items)).map(String);

/** Handles each message by reading it whole and answering how much came. */
async function tally(message: Message): Promise<void> {
  let items = 0;
  let size = 0;
  for await (const item of message.body) {
    items += 1;
    size += item.length;
  }
  message.respond(bytes(`${items} ${size}`));
}

describe('a request stream', () => {
  it.each<[string, () => AsyncIterable<Uint8Array> | Iterable<Uint8Array>]>([
    ['an array', () => [bytes('a'), new Uint8Array([98]), bytes('ccc')]],
    [
      'a generator',
      function* () {
        yield bytes('a');
        yield bytes('b');
        yield bytes('ccc');
      },
    ],
    [
      'an async generator',
      async function* () {
        yield await Promise.resolve(bytes('a'));
        yield bytes('b');
        yield bytes('ccc');
      },
    ],
    ['a Readable', () => Readable.from([bytes('a'), bytes('b'), bytes('ccc')])],
    ['a web stream', () => new Blob(['abccc']).stream()],
  ])('may be %s', async (_what, make) => {
    const { session, accepted } = await inSession();
    let read: string[] = [];
    accepted.on(
      'message',
      later(async (message: Message) => {
        expect([message.streaming, message.data.length]).toEqual([true, 0]);
        read = await texts(message.body);
        message.respond(bytes('done'));
      }),
    );

    const outcome = await session.send(make());

    expect(outcome).toMatchObject({ accepted: true, data: bytes('done') });
    expect(read.join('')).toBe('abccc');
  });

  it('may be empty, and its items may be', async () => {
    const { session, accepted } = await inSession();
    accepted.on('message', later(tally));

    expect(await session.send([])).toMatchObject({ data: bytes('0 0') });
    expect(await session.send([bytes(''), bytes('')])).toMatchObject({ data: bytes('2 0') });
  });

  it('has ten thousand small items in order', async () => {
    const { session, accepted } = await inSession();
    let next = 0;
    accepted.on(
      'message',
      later(async (message: Message) => {
        for await (const item of message.body) {
          expect(item.readUInt32BE()).toBe(next);
          next += 1;
        }
        message.accept();
      }),
    );

    await session.send(numbered(10_000).items);

    expect(next).toBe(10_000);
  });

  it('runs ahead of its reader by its credit and one', async () => {
    const { session, accepted, dialer } = await inSession({ maxItems: 8 });
    let finish = (): void => undefined;
    const finished = new Promise<void>((resolve) => (finish = resolve));
    accepted.on(
      'message',
      later(async (message: Message) => {
        let read = 0;
        for await (const item of message.body) {
          expect(item.readUInt32BE()).toBe(read);
          read += 1;
          if (read === 4) {
            await finished;
            return message.accept();
          }
        }
      }),
    );
    const { items, state } = numbered(1_000_000);

    const outcome = session.send(items);
    await until(() => state.given >= 13);
    for (let round = 0; round < 20; round++) await dialer.ping();
    expect(state).toEqual({ given: 13, returned: 0 });
    finish();

    expect(await outcome).toMatchObject({ accepted: true });
    await until(() => state.returned > 0);
    expect(state).toEqual({ given: 13, returned: 1 });
  });

  it('carries items larger than the window of the session, and of the socket', async () => {
    const { session, accepted } = await inSession({ sessionWindow: 256 * 1024 });
    accepted.on('message', later(tally));

    const outcome = await session.send(numbered(6, 5 * MIB).items);

    expect(outcome).toMatchObject({ data: bytes(`6 ${30 * MIB}`) });
  });

  it('that is settled early stops its source within a round trip', async () => {
    const { session, accepted, dialer } = await inSession();
    accepted.on('message', (message) => message.reject(0x9001, 'not this'));
    const { items, state } = numbered(1_000_000);

    const outcome = await session.send(items);
    const { given } = state;
    await dialer.ping();

    expect(outcome).toMatchObject({ accepted: false, code: 0x9001 });
    expect(given).toBeLessThanOrEqual(34);
    expect(state).toEqual({ given, returned: 1 });
  });

  it('whose source fails is cancelled, and the caller gets its error', async () => {
    const { session, accepted } = await inSession();
    const errors: unknown[] = [];
    let aborted = false;
    accepted.on(
      'message',
      later(async (message: Message) => {
        message.signal.addEventListener('abort', () => (aborted = true));
        try {
          await collect(message.body);
        } catch (error) {
          errors.push(error);
        }
        message.reject();
      }),
    );
    const fault = new Error('disk on fire');

    const outcome = session.send(
      (async function* () {
        yield await Promise.resolve(bytes('a'));
        throw fault;
      })(),
    );

    await expect(outcome).rejects.toBe(fault);
    await until(() => errors.length > 0);
    expect(errors).toMatchObject([{ code: 'IC_ERR_CANCELLED' }]);
    expect(aborted).toBe(true);
    accepted.removeAllListeners('message').on('message', (message) => message.accept());
    expect(await session.send(bytes('next'))).toMatchObject({ accepted: true });
  });

  it.each<[string, unknown, RegExp]>([
    ['strings', ['text'], /An item of a stream .* is of type string\. Encode it, for example/u],
    ['numbers', [1, 2], /is of type number/u],
    ['objects', [{}], /is of type object/u],
    ['null', [null], /is of type null/u],
    ['a Readable that decodes', Readable.from(['x']), /is of type string/u],
  ])('of %s is refused', async (_what, items, message) => {
    const { session, accepted } = await inSession();
    accepted.on('message', later(tally));

    const error = await failure(session.send(items as Iterable<Buffer>));

    expect(error).toMatchObject({ code: 'IC_ERR_OPTION', executed: 'maybe' });
    expect(error.message).toMatch(message);
  });

  it('asks an iterator for its return once, when an item is no bytes', async () => {
    const { session, accepted } = await inSession();
    accepted.on('message', () => undefined);
    let returned = 0;
    const items = {
      [Symbol.iterator]: () => ({
        next: () => ({ done: false as const, value: 'x' as unknown as Buffer }),
        return: () => {
          returned += 1;
          return { done: true as const, value: undefined };
        },
      }),
    };

    await failure(session.send(items));

    expect(returned).toBe(1);
  });

  it('does not ask an iterator that has thrown', async () => {
    const { session, accepted } = await inSession();
    accepted.on('message', () => undefined);
    let returned = 0;
    const fault = new Error('no more');
    const items = {
      [Symbol.asyncIterator]: () => ({
        next: () => Promise.reject(fault),
        return: () => {
          returned += 1;
          return Promise.resolve({ done: true as const, value: undefined });
        },
      }),
    };

    await expect(session.send(items)).rejects.toBe(fault);

    expect(returned).toBe(0);
  });

  it('with an item that is too large for the other side is cancelled', async () => {
    const { session, accepted } = await inSession({ maxMessageSize: 1000 });
    accepted.on('message', () => undefined);

    const error = await failure(session.send([bytes('a'), Buffer.alloc(1001)]));

    expect(error).toMatchObject({ code: 'IC_ERR_TOO_LARGE' });
    expect(error.message).toContain('1001');
    expect(error.message).toContain('1000');
  });

  it('cannot be one-way', async () => {
    const { session } = await inSession();
    const options = { oneWay: true } as object;

    expect(await failure(session.send([bytes('a')], options))).toMatchObject({
      code: 'IC_ERR_OPTION',
    });
    const onItem = { oneWay: true, onItem: () => undefined } as object;
    expect(await failure(session.send(bytes('a'), onItem))).toMatchObject({
      code: 'IC_ERR_OPTION',
    });
  });

  it('destroys a Readable whose reader has had enough', async () => {
    const { session, accepted } = await inSession();
    accepted.on('message', (message) => message.accept());
    const endless = new Readable({ read: () => undefined });
    endless.push('some');

    await session.send(endless);

    expect(endless.destroyed).toBe(true);
  });

  it('may be a Readable that is destroyed on its way', async () => {
    const { session, accepted } = await inSession();
    accepted.on('message', later(tally));
    const endless = new Readable({ read: () => undefined });
    const outcome = session.send(endless);
    endless.push('some');

    endless.destroy(new Error('gone'));

    await expect(outcome).rejects.toThrow('gone');
  });
});

describe('message.body', () => {
  it('of an ordinary message is its data, once, or nothing', async () => {
    const { session, accepted } = await inSession();
    accepted.on('message', later(tally));

    expect(await session.send(bytes('four'))).toMatchObject({ data: bytes('1 4') });
    expect(await session.send(bytes(''))).toMatchObject({ data: bytes('0 0') });
  });

  it('can be read once', async () => {
    const { session, accepted } = await inSession();
    let error: unknown;
    accepted.on(
      'message',
      later(async (message: Message) => {
        await collect(message.body);
        error = thrown(() => message.body[Symbol.asyncIterator]());
        message.accept();
      }),
    );

    await session.send([bytes('a')]);

    expect(error).toMatchObject({ code: 'IC_ERR_OPTION' });
  });

  it('ends where its message is settled', async () => {
    const { session, accepted } = await inSession();
    let read: string[] | undefined;
    accepted.on(
      'message',
      later(async (message: Message) => {
        const reading = texts(message.body);
        setImmediate(() => message.accept());
        read = await reading;
      }),
    );

    await session.send(numbered(1_000_000).items);

    await until(() => read !== undefined);
    expect(read?.length).toBeLessThan(100);
  });

  it('that nobody reads holds the sender back, and goes with its message', async () => {
    const { session, accepted, dialer } = await inSession();
    const messages: Message[] = [];
    accepted.on('message', (message) => messages.push(message));
    const { items, state } = numbered(1_000_000, 1000);

    const outcome = session.send(items);
    await until(() => state.given >= 33);
    await dialer.ping();
    expect(state.given).toBe(33);
    messages[0]?.accept();

    expect(await outcome).toMatchObject({ accepted: true });
  });

  it('may be left after some items, and the message answered later', async () => {
    const { session, accepted } = await inSession();
    accepted.on(
      'message',
      later(async (message: Message) => {
        for await (const item of message.body) {
          if (item.readUInt32BE() === 3) break;
        }
        await Promise.resolve();
        message.respond(bytes('four'));
      }),
    );

    expect(await session.send(numbered(1000).items)).toMatchObject({ data: bytes('four') });
  });

  it('may be the answer: an echo of any length', async () => {
    const { session, accepted } = await inSession();
    accepted.on('message', (message) => void message.respond(message.body));

    let next = 0;
    for await (const item of session.stream(numbered(5000, 100).items)) {
      expect(item.readUInt32BE()).toBe(next);
      next += 1;
    }

    expect(next).toBe(5000);
  });
});
