import { getEventListeners, getMaxListeners } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import { Code, type Message, type Session } from 'nestjs-interconnect/core';
import { inSession } from '../../support/peers/connected.js';
import { failure, later, next, until } from '../../support/events.js';
import { ManualClock } from '../../support/sim/manual-clock.js';

const bytes = (text: string): Buffer => Buffer.from(text);

interface Source {
  readonly items: AsyncGenerator<Buffer>;
  given: number;
  returned: number;
}

function source(count = Infinity, size = 4): Source {
  const state: Source = { items: generate(), given: 0, returned: 0 };
  async function* generate(): AsyncGenerator<Buffer> {
    try {
      for (; state.given < count; state.given++) yield await Promise.resolve(Buffer.alloc(size));
    } finally {
      state.returned += 1;
    }
  }
  return state;
}

/** Reads what comes, and keeps the error that ends it. */
async function endOf(items: AsyncIterable<Buffer>): Promise<unknown> {
  try {
    for await (const item of items) expect(item).toBeInstanceOf(Buffer);
    return 'end';
  } catch (error) {
    return error;
  }
}

/** A handler that echoes the stream, and how the reading of each body ended. */
function echoing(accepted: Session): { ends: unknown[]; replies: Promise<void>[] } {
  const seen: { ends: unknown[]; replies: Promise<void>[] } = { ends: [], replies: [] };
  accepted.on('message', (message) => {
    const { body } = message;
    seen.replies.push(
      message.respond(
        (async function* () {
          // Stopped where it waits for its turn, it is asked to return.
          let end: unknown = 'returned';
          try {
            for await (const item of body) yield item;
            end = 'end';
          } catch (error) {
            end = error;
            throw error;
          } finally {
            seen.ends.push(end);
          }
        })(),
      ),
    );
  });
  return seen;
}

describe('a stream whose signal aborts', () => {
  it('does not mind after its end, and keeps nothing of it', async () => {
    const { session, accepted } = await inSession();
    accepted.on('message', (message) => void message.respond([bytes('a')]));
    const abort = new AbortController();
    const { signal } = abort;

    expect(await endOf(session.stream(bytes('x'), { signal }))).toBe('end');
    await session.send([bytes('x')], { signal, onItem: () => undefined });
    accepted.removeAllListeners('message').on('message', (message) => message.accept());
    await session.send([bytes('x')], { signal });

    expect(getEventListeners(signal, 'abort')).toEqual([]);
    abort.abort();
  });

  it('may be shared by any number of answers, and keeps none of them', async () => {
    const { session, accepted } = await inSession();
    const { signal } = new AbortController();
    const held: Message[] = [];
    accepted.on('message', (message) => held.push(message));
    const sends = Array.from({ length: 20 }, () => session.send([bytes('x')]));
    await until(() => held.length === 20);

    const answers = held.map((message) => message.respond([bytes('a')], { signal }));
    // Node would warn otherwise.
    expect(getMaxListeners(signal)).toBe(Infinity);
    await Promise.all(answers);
    await Promise.allSettled(sends);

    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('ends both sources, and throws on both sides', async () => {
    const { session, accepted } = await inSession();
    const seen = echoing(accepted);
    const errors: unknown[] = [];
    accepted.connection.on('handlerError', (error) => errors.push(error));
    const abort = new AbortController();
    const { signal } = abort;
    const upload = source();
    let read = 0;

    const error = await failure(
      (async () => {
        for await (const item of session.stream(upload.items, { signal })) {
          read += item.length;
          if (read === 400) abort.abort();
        }
      })(),
    );

    expect(error).toMatchObject({ code: 'IC_ERR_CANCELLED' });
    expect(upload.returned).toBe(1);
    await until(() => seen.ends.length === 1);
    expect(seen.ends).not.toEqual(['end']);
    await Promise.all(seen.replies);
    expect(errors).toEqual([]);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('before it is read sends nothing', async () => {
    const { session, accepted, dialer } = await inSession();
    let started = 0;
    accepted.on('message', () => started++);
    const upload = source();
    const signal = AbortSignal.abort();

    expect(await endOf(session.stream(upload.items, { signal }))).toMatchObject({
      code: 'IC_ERR_CANCELLED',
      executed: 'no',
    });
    expect(await failure(session.send(source().items, { signal }))).toMatchObject({
      code: 'IC_ERR_CANCELLED',
      executed: 'no',
    });
    await dialer.ping();
    expect([started, upload.given]).toEqual([0, 0]);
  });

  it('after the outcome, with items unread, ends the reading', async () => {
    const { session, accepted, dialer } = await inSession();
    accepted.on('message', (message) => void message.respond([bytes('a'), bytes('b')]));
    const abort = new AbortController();
    const reader = session.stream(bytes('x'), { signal: abort.signal })[Symbol.asyncIterator]();
    await reader.next();
    await dialer.ping();

    abort.abort();

    expect(await failure(reader.next())).toMatchObject({
      code: 'IC_ERR_CANCELLED',
      executed: 'yes',
    });
    expect(await reader.next()).toMatchObject({ done: true });
  });

  it('before its session is accepted leaves nothing behind', async () => {
    const { dialer, acceptor } = await inSession();
    acceptor.removeAllListeners('session');
    const opened = next(acceptor, 'session');
    acceptor.on('session', () => undefined);
    const session = dialer.openSession('later');
    const abort = new AbortController();
    const upload = source(10);
    const outcome = failure(session.send(upload.items, { signal: abort.signal }));
    const [pending] = await opened;

    abort.abort();

    expect(await outcome).toMatchObject({ code: 'IC_ERR_CANCELLED' });
    await dialer.ping();
    let started = 0;
    pending.on('message', (message) => {
      started += 1;
      message.accept();
    });
    pending.accept();
    expect(await session.send(bytes('y'))).toMatchObject({ accepted: true });
    expect(started).toBe(1);
  });
});

describe('the time of a stream', () => {
  const clocks = (): [ManualClock, { clock: ManualClock; idleTimeout: number }] => {
    const clock = new ManualClock();
    return [clock, { clock, idleTimeout: 0 }];
  };

  it('that was given ends it on both sides, progress or not', async () => {
    const [clock, options] = clocks();
    const { session, accepted } = await inSession(options, options);
    const seen = echoing(accepted);
    const arrived = next(accepted, 'message');
    const upload = source();
    const reader = session.stream(upload.items, { timeout: 1000 })[Symbol.asyncIterator]();
    for (let round = 0; round < 9; round++) {
      await reader.next();
      clock.advance(100);
    }

    clock.advance(101);
    const [message] = await arrived;

    expect(message.streaming).toBe(true);
    await until(() => upload.returned === 1);
    await until(() => seen.ends.length === 1);
    expect(seen.ends).not.toEqual(['end']);
    // Its own clock had stopped: the sender's was over.
    expect(message.signal.reason).toMatchObject({ code: 'IC_ERR_CANCELLED' });
    let end: unknown;
    while (end === undefined)
      end = await reader.next().then(
        () => undefined,
        (error) => error,
      );
    expect(end).toMatchObject({ code: 'IC_ERR_TIMEOUT' });
  });

  it('without one is that since the last progress, and then the other side is told', async () => {
    const [clock, options] = clocks();
    const { session, accepted } = await inSession(options, { ...options, messageTimeout: 1000 });
    const messages: Message[] = [];
    accepted.on('message', (message) => messages.push(message));
    const upload = source();
    const outcome = failure(session.send(upload.items));
    await until(() => messages.length === 1 && upload.given === 32);
    const [message] = messages;
    const reader = message!.body[Symbol.asyncIterator]();
    expect(message?.remaining).toBeUndefined();
    for (let round = 0; round < 5; round++) {
      clock.advance(900);
      const { given } = upload;
      for (let read = 0; read < 16; read++) await reader.next();
      await until(() => upload.given > given + 14);
    }

    clock.advance(1001);

    expect(await outcome).toMatchObject({ code: 'IC_ERR_TIMEOUT', executed: 'maybe' });
    expect(upload.returned).toBe(1);
    await until(() => message!.signal.aborted);
    let end: unknown;
    while (end === undefined)
      end = await reader.next().then(
        () => undefined,
        (error) => error,
      );
    expect(end).toMatchObject({ code: 'IC_ERR_CANCELLED' });
  });
});

describe('a stream on a session that ends', () => {
  it('in order goes on to its end', async () => {
    const { session, accepted } = await inSession();
    const seen = echoing(accepted);
    const upload = source(500);
    let read = 0;
    let closing: Promise<void> | undefined;

    for await (const item of session.stream(upload.items)) {
      expect(item).toHaveLength(4);
      read += 1;
      if (read === 10) closing = session.close();
    }

    expect(read).toBe(500);
    await closing;
    expect(seen.ends).toEqual(['end']);
    expect(session.status).toBe('closed');
  });

  it.each(['close', 'loss'] as const)('by the %s of the connection', async (how) => {
    const { session, accepted, dialer, acceptor } = await inSession({}, { reconnect: false });
    const errors: unknown[] = [];
    acceptor.on('handlerError', (error) => errors.push(error));
    const seen = echoing(accepted);
    const upload = source();
    const plain = source();
    const outcome = failure(session.send(plain.items, { onItem: () => undefined }));
    let read = 0;

    const end = failure(
      (async () => {
        for await (const item of session.stream(upload.items)) {
          read += item.length;
          if (read !== 400) continue;
          if (how === 'loss') dialer.socket.destroy();
          else void dialer.close();
        }
      })(),
    );

    const code = how === 'loss' ? 'IC_ERR_CONNECTION_LOST' : 'IC_ERR_CLOSED';
    expect(await end).toMatchObject({ code, executed: 'maybe' });
    expect(await outcome).toMatchObject({ code });
    expect([upload.returned, plain.returned]).toEqual([1, 1]);
    await until(() => seen.ends.length === 2);
    expect(seen.ends).not.toContain('end');
    await Promise.all(seen.replies);
    expect(errors).toEqual([]);
  });

  it('that is closed already fails, and ends the source', async () => {
    const { session, dialer } = await inSession();
    await dialer.close();
    const [one, other] = [source(), source()];

    expect(await failure(session.send(one.items))).toMatchObject({ code: 'IC_ERR_CLOSED' });
    expect(await endOf(session.stream(other.items))).toMatchObject({ code: 'IC_ERR_CLOSED' });

    expect([one.given, other.given]).toEqual([0, 0]);
  });
});

describe('a handler that is stopped', () => {
  it('by what the body throws is no fault of its own', async () => {
    const { session, accepted } = await inSession();
    const errors: unknown[] = [];
    accepted.connection.on('handlerError', (error) => errors.push(error));
    let message: Message | undefined;
    accepted.on(
      'message',
      later(async (each: Message) => {
        message = each;
        for await (const item of each.body) expect(item).toHaveLength(4);
      }),
    );
    const abort = new AbortController();
    const outcome = failure(session.send(source().items, { signal: abort.signal }));
    await until(() => message !== undefined);

    abort.abort();

    expect(await outcome).toMatchObject({ code: 'IC_ERR_CANCELLED' });
    await until(() => message!.settled);
    expect(errors).toEqual([]);
  });

  it('keeps its place until its source has ended its work', async () => {
    const { session, accepted, dialer } = await inSession({ maxUnsettled: 1 });
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    accepted.once(
      'message',
      (message) =>
        void message.respond(
          (async function* () {
            try {
              for (;;) yield await Promise.resolve(bytes('x'));
            } finally {
              await released;
            }
          })(),
        ),
    );
    accepted.on('message', () => (started += 1));
    let started = -1;
    for await (const item of session.stream(bytes('x'))) {
      expect(item).toHaveLength(1);
      break;
    }

    const blocked = session.send(bytes('next'), { timeout: 0 });
    for (let round = 0; round < 10; round++) await dialer.ping();
    expect(started).toBe(0);
    release();

    await until(() => started === 1);
    blocked.catch(() => undefined);
  });

  it('whose answer has an end that throws is reported', async () => {
    const { session, accepted } = await inSession();
    const errors: unknown[] = [];
    accepted.connection.on('handlerError', (error) => errors.push(error));
    const fault = new Error('could not close');
    accepted.on(
      'message',
      (message) =>
        void message.respond(
          (async function* () {
            try {
              for (;;) yield await Promise.resolve(bytes('x'));
            } finally {
              // A generator that fails as it is stopped.
              // oxlint-disable-next-line eslint/no-unsafe-finally
              throw fault;
            }
          })(),
        ),
    );

    for await (const item of session.stream(bytes('x'))) {
      expect(item).toHaveLength(1);
      break;
    }

    await until(() => errors.length > 0);
    expect(errors).toEqual([fault]);
    accepted.removeAllListeners('message').on('message', (message) => message.reject());
    expect(await session.send(bytes('y'))).toMatchObject({ code: Code.REFUSED });
  });
});
