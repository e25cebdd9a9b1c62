import { describe, expect, it } from '@jest/globals';
import { Readable } from 'node:stream';
import { Code, connect, type Message } from 'nestjs-interconnect/core';
import { Flag, FrameType } from '../../../src/wire/index.js';
import { afterTest } from '../../support/after-test.js';
import { inSession } from '../../support/peers/connected.js';
import { failure, later, next, thrown, until } from '../../support/events.js';
import { RawListener } from '../../support/peers/raw-peer.js';

const MIB = 1024 * 1024;
const bytes = (text: string): Buffer => Buffer.from(text);

async function collect(items: AsyncIterable<Buffer>): Promise<Buffer[]> {
  const all: Buffer[] = [];
  for await (const item of items) all.push(item);
  return all;
}

const texts = async (items: AsyncIterable<Buffer>): Promise<string[]> =>
  (await collect(items)).map(String);

interface Source {
  readonly items: AsyncGenerator<Buffer>;
  given: number;
  returned: number;
}

function endless(size = 4): Source {
  const source: Source = { items: generate(), given: 0, returned: 0 };
  async function* generate(): AsyncGenerator<Buffer> {
    try {
      for (;;) {
        source.given += 1;
        yield await Promise.resolve(Buffer.alloc(size));
      }
    } finally {
      source.returned += 1;
    }
  }
  return source;
}

async function* nothing(): AsyncGenerator<Buffer> {
  // An answer without items.
}

type Answer = (message: Message) => unknown;

/** What a handler gives; how many items its sender gets, and what `streamed` says there. */
const ANSWERS: readonly [string, Answer, number, boolean][] = [
  ['an empty array', (given) => given.respond([]), 0, true],
  ['an empty generator', (given) => given.respond(nothing()), 0, true],
  ['an empty Readable', (given) => given.respond(Readable.from([])), 0, true],
  ['one empty item', (given) => given.respond([bytes('')]), 1, true],
  ['two items', (given) => given.respond([bytes('a'), bytes('b')]), 2, true],
  ['accept()', (given) => given.accept(), 0, false],
  ['empty bytes', (given) => given.respond(bytes('')), 0, false],
  ['bytes', (given) => given.respond(bytes('whole')), 0, false],
];

describe('the outcome of an answer', () => {
  it.each(ANSWERS)(
    'says whether it was a stream: %s [IC-6.46]',
    async (_what, answer, items, streamed) => {
      const { session, accepted } = await inSession();
      accepted.on('message', (incoming) => void answer(incoming));
      for (const request of [bytes('x'), [bytes('x')]]) {
        const taken: Buffer[] = [];
        const onItem = (item: Buffer): void => void taken.push(item);

        const outcome = await session.send(request, { onItem });

        expect(taken).toHaveLength(items);
        expect(outcome).toMatchObject({ accepted: true });
        expect('streamed' in outcome && outcome.streamed).toBe(streamed);
      }
    },
  );

  it('is no error where a stream of none comes to who takes no items', async () => {
    const { session, accepted } = await inSession();
    accepted.on('message', (message) => void message.respond([], { metadata: { rows: '0' } }));

    expect(await session.send(bytes('x'))).toEqual({
      accepted: true,
      data: bytes(''),
      metadata: { rows: '0' },
      streamed: true,
    });
  });

  it('is not streamed where the stream failed before its first item', async () => {
    const { session, accepted } = await inSession();
    const toRejection = () => ({ code: Code.FAILED, reason: 'no rows' });
    accepted.on('message', (message) => {
      void message.respond(Readable.from(failing()), { toRejection });
    });

    const outcome = await session.send(bytes('x'), { onItem: () => undefined });

    expect(outcome).toMatchObject({ accepted: false, reason: 'no rows' });
    expect(outcome).not.toHaveProperty('streamed');
  });
});

async function* failing(): AsyncGenerator<Buffer> {
  if (bytes('').length === 0) throw new Error('the table is gone');
  yield bytes('never');
}

describe('an answer in a stream', () => {
  it('is read in a loop, with the data of the acceptance last', async () => {
    const { session, accepted } = await inSession();
    accepted.once(
      'message',
      (message) => void message.respond([bytes('a'), bytes(''), bytes('c')]),
    );
    expect(await texts(session.stream(bytes('x')))).toEqual(['a', '', 'c']);

    accepted.once('message', (message) => message.respond(bytes('whole')));
    expect(await texts(session.stream(bytes('x')))).toEqual(['whole']);

    accepted.once('message', (message) => message.accept());
    expect(await texts(session.stream(bytes('x')))).toEqual([]);

    accepted.once('message', (message) => void message.respond(Readable.from([bytes('r')])));
    expect(await texts(session.stream(bytes('x')))).toEqual(['r']);
  });

  it('sends nothing before it is read, and can be read once', async () => {
    const { session, accepted, dialer } = await inSession();
    let started = 0;
    accepted.on('message', (message) => {
      started += 1;
      message.accept();
    });

    const answer = session.stream(bytes('x'));
    await dialer.ping();
    expect(started).toBe(0);
    await collect(answer);

    expect(started).toBe(1);
    expect(thrown(() => answer[Symbol.asyncIterator]())).toMatchObject({ code: 'IC_ERR_OPTION' });
  });

  it.each([
    [0x8001, 'yes'],
    [0xc001, 'no'],
    [Code.FAILED, 'yes'],
    [Code.REFUSED, 'no'],
  ])('throws a rejection 0x%x, executed: %s', async (code, executed) => {
    const { session, accepted } = await inSession();
    accepted.on('message', (message) => message.reject(code, 'why', bytes('data')));

    const error = await failure(collect(session.stream(bytes('x'))));

    expect(error).toMatchObject({ code: 'IC_ERR_REJECTED', status: code, reason: 'why', executed });
    expect(error.data).toEqual(bytes('data'));
  });

  it.each([Code.REFUSED, 0xc001])(
    'throws a rejection after an item as executed, whatever its code says: %p',
    async (code) => {
      const { session, accepted } = await inSession();
      const toRejection = () => ({ code, reason: 'why' });
      accepted.on('message', (message) => void message.respond(breaking(), { toRejection }));

      const error = await failure(collect(session.stream(bytes('x'))));

      expect(error).toMatchObject({ code: 'IC_ERR_REJECTED', status: code, executed: 'yes' });
    },
  );

  it('throws a rejection after the items that came before it [IC-6.56]', async () => {
    const { session, accepted } = await inSession();
    const errors: unknown[] = [];
    accepted.connection.on('handlerError', (error) => errors.push(error));
    const fault = new Error('no more');
    accepted.on(
      'message',
      (message) =>
        void message.respond(
          (async function* () {
            yield await Promise.resolve(bytes('a'));
            yield bytes('b');
            throw fault;
          })(),
        ),
    );
    const read: string[] = [];

    const error = await failure(
      (async () => {
        for await (const item of session.stream(bytes('x'))) read.push(item.toString());
      })(),
    );

    expect(read).toEqual(['a', 'b']);
    expect(error).toMatchObject({ code: 'IC_ERR_REJECTED', status: Code.FAILED, executed: 'yes' });
    expect(errors).toEqual([fault]);
  });

  it('whose loop is left is cancelled, and its source ends', async () => {
    const { session, accepted } = await inSession();
    const source = endless();
    let done = false;
    const arrived = next(accepted, 'message');
    accepted.on(
      'message',
      later(async (message: Message) => {
        await message.respond(source.items);
        done = true;
      }),
    );

    for await (const item of session.stream(bytes('x'))) {
      expect(item).toHaveLength(4);
      break;
    }

    await until(() => done);
    expect(source.returned).toBe(1);
    const [message] = await arrived;
    expect(message.signal.reason).toMatchObject({ code: 'IC_ERR_CANCELLED' });
    await until(() => message.settled);
  });

  it('is held back by a reader that takes its time', async () => {
    const { session, accepted, dialer } = await inSession({}, { maxItems: 4 });
    const source = endless(100_000);
    accepted.on('message', (message) => void message.respond(source.items));

    const reader = session.stream(bytes('x'))[Symbol.asyncIterator]();
    await reader.next();
    for (let round = 0; round < 20; round++) await dialer.ping();
    expect(source.given).toBeLessThanOrEqual(7);
    for (let read = 0; read < 10; read++) await reader.next();
    for (let round = 0; round < 20; round++) await dialer.ping();
    expect(source.given).toBeLessThanOrEqual(17);

    await reader.return?.();
    await until(() => source.returned === 1);
  });

  it('may be of items larger than the window of the session', async () => {
    const { session, accepted } = await inSession({}, { sessionWindow: 256 * 1024 });
    accepted.on(
      'message',
      (message) => void message.respond([1, 2, 3, 4].map((fill) => Buffer.alloc(5 * MIB, fill))),
    );

    let fill = 1;
    for await (const item of session.stream(bytes('x'))) {
      expect(item.equals(Buffer.alloc(5 * MIB, fill))).toBe(true);
      fill += 1;
    }

    expect(fill).toBe(5);
  });

  it('of an item that is too large for the caller is rejected', async () => {
    const { session, accepted } = await inSession({}, { maxMessageSize: 1000 });
    const errors: unknown[] = [];
    accepted.connection.on('handlerError', (error) => errors.push(error));
    accepted.on('message', (message) => void message.respond([bytes('a'), Buffer.alloc(1001)]));
    const read: string[] = [];

    const error = await failure(
      (async () => {
        for await (const item of session.stream(bytes('x'))) read.push(item.toString());
      })(),
    );

    expect(read).toEqual(['a']);
    expect(error).toMatchObject({ status: Code.REPLY_TOO_LARGE, executed: 'yes' });
    expect(errors).toMatchObject([{ code: 'IC_ERR_TOO_LARGE' }]);
  });

  it('to nobody ends its source, and frees the place', async () => {
    const { session, accepted } = await inSession({ maxUnsettled: 1 });
    const source = endless();
    const readable = new Readable({ read: () => undefined });
    const done: Promise<void>[] = [];
    const arrived = next(accepted, 'message');
    accepted.once('message', (message) => {
      done.push(message.respond(source.items));
    });
    await session.send(bytes('x'), { oneWay: true });
    await arrived;
    await Promise.all(done);
    expect(source.given).toBe(0);
    accepted.once('message', (message) => {
      done.push(message.respond(readable));
    });
    await session.send(bytes('x'), { oneWay: true });
    await until(() => readable.destroyed);

    accepted.on('message', (message) => message.accept());
    expect(await session.send(bytes('y'))).toMatchObject({ accepted: true });
  });

  it('counts as the answer: nothing else may follow', async () => {
    const { session, accepted } = await inSession();
    const errors: unknown[] = [];
    accepted.on('message', (message) => {
      void message.respond([bytes('a')]);
      errors.push(thrown(() => message.accept()));
      errors.push(thrown(() => message.respond([])));
    });

    await collect(session.stream(bytes('x')));

    expect(errors).toMatchObject([
      { code: 'IC_ERR_ALREADY_SETTLED' },
      { code: 'IC_ERR_ALREADY_SETTLED' },
    ]);
  });
});

describe('send with onItem', () => {
  it('gives each item after the one before it, and then the outcome [IC-6.56]', async () => {
    const { session, accepted } = await inSession();
    accepted.on(
      'message',
      later(async (message: Message) => {
        await message.respond([bytes('a'), bytes('b'), bytes('c')], { metadata: { k: 'v' } });
      }),
    );
    const log: string[] = [];

    const outcome = await session.send(bytes('x'), {
      onItem: async (item) => {
        log.push(`>${item.toString()}`);
        await new Promise((resolve) => setImmediate(resolve));
        log.push(`<${item.toString()}`);
      },
    });

    expect(log).toEqual(['>a', '<a', '>b', '<b', '>c', '<c']);
    expect(outcome).toMatchObject({ accepted: true, metadata: { k: 'v' } });
  });

  it('takes an answer that is no stream, and a rejection, as send does', async () => {
    const { session, accepted } = await inSession();
    const onItem = (): void => {
      throw new Error('There is none.');
    };
    accepted.once('message', (message) => message.respond(bytes('data')));
    expect(await session.send(bytes('x'), { onItem })).toMatchObject({ data: bytes('data') });

    accepted.once('message', (message) => message.reject(0x8001));
    expect(await session.send(bytes('x'), { onItem })).toMatchObject({ code: 0x8001 });
  });

  it('that throws cancels the message, and rejects with what it threw', async () => {
    const { session, accepted } = await inSession();
    const source = endless();
    accepted.on('message', (message) => void message.respond(source.items));
    const fault = new Error('too much');

    const outcome = session.send(bytes('x'), {
      onItem: () => {
        throw fault;
      },
    });

    await expect(outcome).rejects.toBe(fault);
    await until(() => source.returned === 1);
  });

  it('holds back the source while its promise waits', async () => {
    const { session, accepted, dialer } = await inSession({}, { maxItems: 2 });
    const source = endless();
    accepted.on('message', (message) => void message.respond(source.items));
    const abort = new AbortController();
    let taken = 0;

    const outcome = failure(
      session.send(bytes('x'), {
        signal: abort.signal,
        onItem: () => {
          taken += 1;
          return taken < 5 ? undefined : new Promise(() => undefined);
        },
      }),
    );
    await until(() => taken === 5);
    for (let round = 0; round < 10; round++) await dialer.ping();
    expect(source.given).toBeLessThanOrEqual(8);
    abort.abort();

    // Although onItem is not done.
    expect(await outcome).toMatchObject({ code: 'IC_ERR_CANCELLED' });
    await until(() => source.returned === 1);
  });

  it('gives back what is unread when there is no outcome', async () => {
    const listener = await RawListener.listen();
    const connecting = connect({ ...listener.address, sessionWindow: 65_536 });
    const peer = await listener.accepted();
    await peer.welcome();
    const connection = await connecting;
    afterTest(() => connection.close());
    const session = connection.openSession('a');
    const outcome = failure(
      session.send(bytes('x'), { onItem: () => new Promise(() => undefined) }),
    );
    await peer.frame(FrameType.SEND);

    const reply = { session: 1, id: 1, flags: Flag.REPLY };
    const payload = Buffer.alloc(20_000);
    peer.send(
      { type: FrameType.OPENED, session: 1 },
      { type: FrameType.ITEM, ...reply, payload },
      { type: FrameType.ITEM, ...reply, payload },
      { type: FrameType.REJECT, ...reply, meta: { code: Code.DEADLINE } },
    );

    expect(await outcome).toMatchObject({ code: 'IC_ERR_TIMEOUT' });
    const limits: number[] = [];
    while (limits.at(-1) !== 65_536 + 2 * 20_000 + 5) {
      const { payload: credit, session: of } = await peer.frame(FrameType.CREDIT);
      if (of === 1) limits.push(credit.readUInt32BE(4));
    }
  });

  it('must be a function', async () => {
    const { session } = await inSession();

    expect(await failure(session.send(bytes('x'), { onItem: 1 } as object))).toMatchObject({
      code: 'IC_ERR_OPTION',
    });
  });

  it('is what a plain send lacks: an answer in a stream is cancelled', async () => {
    const { session, accepted } = await inSession();
    const source = endless();
    accepted.on('message', (message) => void message.respond(source.items));

    const error = await failure(session.send(bytes('x')));

    expect(error).toMatchObject({ code: 'IC_ERR_UNEXPECTED_STREAM', executed: 'yes' });
    expect(error.message).toContain('session.stream()');
    expect(error.message).toContain('onItem');
    await until(() => source.returned === 1);
    accepted.removeAllListeners('message').on('message', (message) => message.accept());
    expect(await session.send(bytes('y'))).toMatchObject({ accepted: true });
  });
});

async function* breaking(): AsyncGenerator<Buffer> {
  yield await Promise.resolve(bytes('a'));
  throw new Error('no more');
}
