/** A stream that can be read once is sent once: a second time it would be an empty request that looks like a success. */
import { describe, expect, it } from '@jest/globals';
import { EventEmitter, on } from 'node:events';
import { PassThrough, Readable } from 'node:stream';
import type { InterconnectError, Items, Message } from 'nestjs-interconnect/core';
import { inSession } from '../../support/peers/connected.js';
import { failure, later, thrown, until } from '../../support/events.js';

const bytes = (text: string): Buffer => Buffer.from(text);
const LETTERS = ['a', 'b', 'c'].map(bytes);

async function* generate(): AsyncGenerator<Buffer> {
  for (const letter of LETTERS) yield await Promise.resolve(letter);
}

function* generateSync(): Generator<Buffer> {
  yield* LETTERS;
}

async function* emptyOnceAsked(): AsyncGenerator<Buffer> {
  const rows = await Promise.resolve<Buffer[]>([]);
  yield* rows;
}

function web(): ReadableStream<Buffer> {
  return new ReadableStream({
    start(controller) {
      for (const letter of LETTERS) controller.enqueue(letter);
      controller.close();
    },
  });
}

const asItems = (items: unknown): Items => items as Items;

async function drain(items: Items): Promise<void> {
  for await (const _ of items);
}

/** Joins the items of each message, and counts the messages. */
async function joined() {
  const { session, accepted, dialer } = await inSession();
  const seen = { messages: 0 };
  accepted.on(
    'message',
    later(async (message: Message) => {
      seen.messages += 1;
      let text = '';
      for await (const item of message.body) text += item.toString();
      message.respond(bytes(text));
    }),
  );
  return { session, seen, roundTrip: () => dialer.ping() };
}

/** What gives the same iterator whenever it is asked for one, without being that iterator. */
function sameIterator(): Items {
  const iterator = generate();
  return { [Symbol.asyncIterator]: () => iterator };
}

/** An iterator that somebody wrote by hand, and that gives itself. */
function byHand(): Items {
  const rest = [...LETTERS];
  return {
    next: async () => {
      const value = rest.shift();
      return value === undefined ? { done: true, value } : { done: false, value };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  } as never;
}

const READ_ONCE: readonly (readonly [string, () => Items])[] = [
  ['a Readable', () => Readable.from(LETTERS)],
  ['a PassThrough', () => Readable.from(LETTERS).pipe(new PassThrough())],
  ['a generator', generate],
  ['a generator that is not async', generateSync],
  ['an iterator of an array', () => LETTERS.values()],
  ['an iterator of a Map', () => new Map(LETTERS.entries()).values()],
  ['an iterator that gives itself', byHand],
  ['an iterable that always gives the same iterator', sameIterator],
  ['a web ReadableStream', () => asItems(web())],
  ['a ReadableStream made of a Readable', () => asItems(Readable.toWeb(Readable.from(LETTERS)))],
];

describe('A stream that can be read once', () => {
  it.each(READ_ONCE)('is sent once, and refused then: %s', async (_, make) => {
    const { session, seen, roundTrip } = await joined();
    const items = make();
    expect(await session.send(items)).toMatchObject({ data: bytes('abc') });

    const error = await failure(session.send(items));

    expect(error).toMatchObject({ code: 'IC_ERR_OPTION', executed: 'no' });
    expect(error.message).toMatch(/^The \w+ was read already/);
    await roundTrip();
    expect(seen.messages).toBe(1);
  });

  it.each(READ_ONCE)('is sent once where two send it at once: %s', async (_, make) => {
    const { session, seen, roundTrip } = await joined();
    const items = make();

    const first = session.send(items);
    const error = await failure(session.send(items));

    expect(error).toMatchObject({ code: 'IC_ERR_OPTION', executed: 'no' });
    expect(await first).toMatchObject({ data: bytes('abc') });
    await roundTrip();
    expect(seen.messages).toBe(1);
  });

  it('is refused by stream() as it is by send()', async () => {
    const { session, seen, roundTrip } = await joined();
    const items = Readable.from(LETTERS);
    await drain(session.stream(items));

    expect(thrown(() => session.stream(items))).toMatchObject({
      code: 'IC_ERR_OPTION',
      executed: 'no',
    });
    await roundTrip();
    expect(seen.messages).toBe(1);
  });

  it('is not used up by options that are refused', async () => {
    const { session } = await joined();
    const items = generate();
    const options = [
      { timeout: -1 },
      { onItem: 7 as never },
      { oneWay: true as never },
      { metadata: { a: 1 } as never },
    ];
    for (const each of options) {
      expect(await failure(session.send(items, each))).toMatchObject({ code: 'IC_ERR_OPTION' });
    }

    expect(await session.send(items)).toMatchObject({ data: bytes('abc') });
  });
});

async function finished(items: Items): Promise<Items> {
  await drain(items);
  return items;
}

/** A Readable in whose hands somebody else had something. */
async function readable(use: (items: Readable) => unknown): Promise<Readable> {
  const items = Readable.from(LETTERS, { objectMode: false });
  items.on('error', () => undefined);
  await use(items);
  return items;
}

/** A web stream in whose hands somebody else had something. */
async function webStream(use: (items: ReadableStream<Buffer>) => unknown): Promise<Items> {
  const items = web();
  await use(items);
  return asItems(items);
}

const USED: readonly (readonly [string, () => Items | Promise<Items>])[] = [
  ['a Readable that was read', () => finished(Readable.from(LETTERS))],
  [
    'a Readable whose loop was left',
    () =>
      readable(async (items) => {
        for await (const _ of items) break;
      }),
  ],
  [
    'a Readable that was read in part',
    () =>
      readable(async (items) => {
        await new Promise((resolve) => items.once('readable', resolve));
        items.read(1);
      }),
  ],
  [
    'a Readable that is being read in a loop',
    () => readable((items) => void items[Symbol.asyncIterator]().next()),
  ],
  [
    'a Readable with a listener for data',
    () => readable((items) => items.on('data', () => undefined)),
  ],
  ['a Readable that flows into another', () => readable((items) => items.pipe(new PassThrough()))],
  ['a Readable that was resumed', () => readable((items) => items.resume())],
  ['a Readable that was destroyed', () => readable((items) => items.destroy())],
  [
    'a Readable that has ended',
    () =>
      readable(async (items) => {
        items.resume();
        await new Promise((resolve) => items.once('close', resolve));
      }),
  ],
  ['a Readable of which a web stream was made', () => readable((items) => Readable.toWeb(items))],
  ['a web stream that was read', () => finished(asItems(web()))],
  [
    'a web stream that was read in part',
    () =>
      webStream(async (items) => {
        const reader = items.getReader();
        await reader.read();
        reader.releaseLock();
      }),
  ],
  ['a web stream that has a reader', () => webStream((items) => items.getReader())],
  ['a web stream that was split', () => webStream((items) => items.tee())],
  ['a web stream that was cancelled', () => webStream((items) => items.cancel())],
];

/** What does not tell that it was read, and ends at once. */
const ENDED: readonly (readonly [string, () => Items | Promise<Items>])[] = [
  ['a generator that was read', () => finished(generate())],
  [
    'a generator that was ended',
    async () => {
      const items = generate();
      await items.return(undefined);
      return items;
    },
  ],
  ['a generator that is not async and was read', () => finished(generateSync())],
  ['an iterator of an array that was read', () => finished(LETTERS.values())],
  ['an iterator by hand that was read', () => finished(byHand())],
  [
    'the events of an emitter, after the end',
    async () => {
      const events = on(new EventEmitter(), 'letter');
      await events.return?.();
      return asItems(events);
    },
  ],
];

describe('A stream that somebody else has read, or reads', () => {
  it.each(USED)('is refused before anything is sent: %s', async (_, make) => {
    const { session, seen, roundTrip } = await joined();
    const items = await make();

    const error = await failure(session.send(items));

    expect(error).toMatchObject({ code: 'IC_ERR_OPTION', executed: 'no' });
    expect(error.message).toMatch(/^The \w+ was read already/);
    await roundTrip();
    expect(seen.messages).toBe(0);
  });

  it.each(ENDED)('is refused where it ends at once: %s', async (_, make) => {
    const { session, seen, roundTrip } = await joined();
    const items = await make();

    const error = await failure(session.send(items));

    expect(error).toMatchObject({ code: 'IC_ERR_OPTION', executed: 'no' });
    expect(error.message).toMatch(/^The \w+ was read already, or is empty/);
    await roundTrip();
    expect(seen.messages).toBe(0);
  });

  it('and has failed gives the cause', async () => {
    const { session, seen, roundTrip } = await joined();
    const cause = new Error('the disk is gone');
    const items = await readable((each) => each.destroy(cause));

    const error = await failure(session.send(items));

    expect(error).toMatchObject({ code: 'IC_ERR_OPTION', executed: 'no' });
    expect(error.cause).toBe(cause);
    expect(error.message).toContain('failed before it was read: the disk is gone.');
    await roundTrip();
    expect(seen.messages).toBe(0);
  });

  it('is not ended, as it is another reader’s', async () => {
    const { session } = await joined();
    const items = Readable.from(LETTERS);
    const read: string[] = [];
    items.on('data', (item: Buffer) => read.push(item.toString()));

    await failure(session.send(items));

    await until(() => read.length === 3);
    expect(items.errored).toBe(null);
  });
});

/** Begins anew each time. */
const again = (make: () => AsyncGenerator<Buffer>): Items => ({ [Symbol.asyncIterator]: make });

const ANEW: readonly (readonly [string, Items])[] = [
  ['an array', LETTERS],
  ['a Set', new Set(LETTERS)],
  ['an iterable that makes a generator', again(generate)],
  ['an iterable that makes a generator that is not async', { [Symbol.iterator]: generateSync }],
];

const FRESH: readonly (readonly [string, () => Items | Promise<Items>, string])[] = [
  ['an empty array', () => [], ''],
  ['an empty iterable that begins anew', () => again(emptyOnceAsked), ''],
  ['a generator that finds nothing after it has waited', emptyOnceAsked, ''],
  ['an empty Readable', () => Readable.from([]), ''],
  ['an empty web stream', () => asItems(new ReadableStream({ start: (each) => each.close() })), ''],
  ['a Readable that was paused', () => readable((items) => items.pause()), 'abc'],
  [
    'a Readable with listeners for its end',
    () => readable((items) => items.on('end', () => undefined).on('close', () => undefined)),
    'abc',
  ],
  [
    'a generator of which somebody took the first item',
    async () => {
      const items = generate();
      await items.next();
      return items;
    },
    'bc',
  ],
];

describe('A stream that begins anew, or that nobody has read', () => {
  it.each(ANEW)('is sent as often as it is given: %s', async (_, items) => {
    const { session } = await joined();

    const outcomes = await Promise.all([session.send(items), session.send(items)]);
    outcomes.push(await session.send(items));

    for (const outcome of outcomes) expect(outcome).toMatchObject({ data: bytes('abc') });
  });

  it.each(FRESH)('is sent: %s', async (_, make, text) => {
    const { session } = await joined();

    expect(await session.send(await make())).toMatchObject({ data: bytes(text) });
  });

  it('may be an answer that is an empty generator: the handler has made it', async () => {
    const { session, accepted } = await inSession();
    const empty = (async function* () {
      yield* [];
    })();
    accepted.on('message', (message) => void message.respond(empty));

    expect(await session.send(bytes('x'))).toMatchObject({ accepted: true, streamed: true });
  });
});

describe('message.body', () => {
  it('is forwarded once', async () => {
    const { session, accepted } = await inSession();
    const { session: onward, seen } = await joined();
    const errors: InterconnectError[] = [];
    accepted.on(
      'message',
      later(async (message: Message) => {
        const outcome = await onward.send(message.body);
        errors.push(await failure(onward.send(message.body)));
        message.respond(outcome.data);
      }),
    );

    expect(await session.send(LETTERS)).toMatchObject({ data: bytes('abc') });
    expect(errors).toMatchObject([{ code: 'IC_ERR_OPTION', executed: 'no' }]);
    expect(errors[0]?.message).toContain('message.body was read already');
    expect(seen.messages).toBe(1);
  });

  it('that its handler has begun to read is not forwarded', async () => {
    const { session, accepted } = await inSession();
    const { session: onward, seen } = await joined();
    accepted.on(
      'message',
      later(async (message: Message) => {
        for await (const _ of message.body) break;
        const error = await failure(onward.send(message.body));
        message.respond(bytes(error.message));
      }),
    );

    const { data } = await session.send(LETTERS);

    expect(data.toString()).toContain('message.body was read already');
    expect(seen.messages).toBe(0);
  });
});

describe('respond()', () => {
  it.each(READ_ONCE)(
    'refuses what has answered before, and can be called again: %s',
    async (_, make) => {
      const { session, accepted } = await inSession();
      const items = make();
      const errors: unknown[] = [];
      accepted.on('message', (message) => {
        try {
          void message.respond(items);
        } catch (error) {
          errors.push(error);
          message.reject(0x8001, 'no more');
        }
      });
      const taken: string[] = [];
      const onItem = (item: Buffer): void => void taken.push(item.toString());

      const first = session.send(bytes('x'), { onItem });
      const second = session.send(bytes('x'), { onItem });

      expect(await first).toMatchObject({ accepted: true, streamed: true });
      expect(await second).toMatchObject({ accepted: false, reason: 'no more' });
      expect(taken.join('')).toBe('abc');
      expect(errors).toMatchObject([{ code: 'IC_ERR_OPTION', executed: 'no' }]);
    },
  );

  it('does not use up the stream where the message is settled already', async () => {
    const { session, accepted } = await inSession();
    const items = generate();
    const errors: unknown[] = [];
    accepted.on('message', (message) => {
      message.accept();
      errors.push(thrown(() => message.respond(items)));
    });
    await session.send(bytes('x'));

    expect(errors).toMatchObject([{ code: 'IC_ERR_ALREADY_SETTLED' }]);
    expect(await items.next()).toEqual({ done: false, value: bytes('a') });
  });
});

describe('A stream that fails before its first item', () => {
  it.each<[string, (cause: Error) => Items]>([
    [
      'a generator',
      async function* (cause) {
        yield* await Promise.reject<Buffer[]>(cause);
      },
    ],
    [
      'a Readable',
      (cause) => new Readable({ read: () => undefined, construct: (done) => done(cause) }),
    ],
    [
      'a web stream',
      (cause) => asItems(new ReadableStream({ start: (controller) => controller.error(cause) })),
    ],
  ])('fails the send with its own error, and its reader as well: %s', async (_, make) => {
    const { session, accepted } = await inSession();
    const read: unknown[] = [];
    accepted.on(
      'message',
      later(async (message: Message) => {
        read.push(await failure(drain(message.body)));
        message.accept();
      }),
    );
    const cause = new Error('no such table');

    await expect(session.send(make(cause))).rejects.toBe(cause);
    await session.connection.ping();
    expect(read).toMatchObject(read.map(() => ({ code: 'IC_ERR_CANCELLED' })));
  });
});
