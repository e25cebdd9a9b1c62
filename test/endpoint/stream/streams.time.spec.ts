/** How long a message may take whose answer is a stream: at its sender, and at the handler. */
import { describe, expect, it } from '@jest/globals';
import { Code, connect, type Message, type Session } from 'nestjs-interconnect/core';
import { Flag, FrameType } from '../../../src/wire/index.js';
import { afterTest } from '../../support/after-test.js';
import { inSession } from '../../support/peers/connected.js';
import { failure, next, until } from '../../support/events.js';
import { ManualClock } from '../../support/sim/manual-clock.js';
import { RawListener } from '../../support/peers/raw-peer.js';

const bytes = (text: string): Buffer => Buffer.from(text);
const HOUR = 3_600_000;

/** A source in the test's hand. */
class Feed {
  readonly items = this.#generate();
  returned = 0;
  #waiting: Buffer[] = [];
  #isOver = false;
  #wake: () => void = () => undefined;

  push(text: string): void {
    this.#waiting.push(bytes(text));
    this.#wake();
  }

  end(): void {
    this.#isOver = true;
    this.#wake();
  }

  async *#generate(): AsyncGenerator<Buffer> {
    try {
      for (;;) {
        for (const item of this.#waiting.splice(0)) yield item;
        if (this.#isOver) return;
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    } finally {
      this.returned += 1;
    }
  }
}

interface Watched {
  readonly clock: ManualClock;
  readonly session: Session;
  readonly accepted: Session;
  readonly feed: Feed;
  /** The one message, once it is there. */
  readonly message: Promise<Message>;
  readonly timeouts: Message[];
}

/** Sessions whose time is the test's, and a handler that answers with what the feed gives. */
async function watched(messageTimeout = 60_000): Promise<Watched> {
  const clock = new ManualClock();
  const options = { clock, idleTimeout: 0 };
  const { session, accepted } = await inSession(options, { ...options, messageTimeout });
  const feed = new Feed();
  const timeouts: Message[] = [];
  const message = next(accepted, 'message').then(([each]) => each);
  accepted.on('message', (each) => {
    // Nothing is asked of what waits for ever: the signal ends it.
    each.signal.addEventListener('abort', () => feed.end());
    void each.respond(feed.items);
  });
  accepted.on('timeout', (each) => timeouts.push(each));
  return { clock, session, accepted, feed, message, timeouts };
}

/** How a message takes its answer: each gives the items as they come, and how it ends. */
const ways: [string, (session: Session, items: string[], timeout?: number) => Promise<unknown>][] =
  [
    [
      'send with onItem',
      (session, items, timeout) =>
        session.send(bytes('x'), {
          onItem: (item) => void items.push(item.toString()),
          ...(timeout !== undefined && { timeout }),
        }),
    ],
    [
      'session.stream()',
      async (session, items, timeout) => {
        const answer = session.stream(bytes('x'), timeout === undefined ? {} : { timeout });
        for await (const item of answer) items.push(item.toString());
      },
    ],
  ];

describe.each(ways)('an answer in items, to %s,', (_way, read) => {
  it('flows for hours, as long as it makes progress', async () => {
    const { clock, session, feed, message, timeouts } = await watched();
    const items: string[] = [];
    const end = read(session, items);
    const { remaining } = await message;
    const { signal } = await message;
    for (let round = 0; round < 200; round++) {
      clock.advance(50_000);
      feed.push(`${round}`);
      await until(() => items.length === round + 1);
    }
    expect(clock.now()).toBeGreaterThan(2 * HOUR);
    expect([remaining, (await message).remaining]).toEqual([60_000, undefined]);
    expect([signal.aborted, timeouts]).toEqual([false, []]);

    feed.end();
    await end;

    expect(items.at(-1)).toBe('199');
  });

  it('that falls silent for the messageTimeout is given up, and its handler told', async () => {
    const { clock, session, feed, message, timeouts } = await watched(1000);
    const items: string[] = [];
    const failed = failure(read(session, items));
    const { signal } = await message;
    clock.advance(900);
    feed.push('first');
    await until(() => items.length === 1);
    clock.advance(999);
    expect(signal.aborted).toBe(false);

    clock.advance(1);

    expect(await failed).toMatchObject({
      code: 'IC_ERR_TIMEOUT',
      executed: 'maybe',
      message: `A message of "${session.name}" made no progress within 1000 ms.`,
    });
    await until(() => feed.returned === 1);
    expect(signal.reason).toMatchObject({ code: 'IC_ERR_CANCELLED' });
    expect(timeouts).toEqual([]);
  });

  it('that does not begin within the messageTimeout is a timeout at both sides', async () => {
    const { clock, session, feed, message, timeouts } = await watched(1000);
    const items: string[] = [];
    const failed = failure(read(session, items));
    const { signal } = await message;
    clock.advance(999);
    expect((await message).remaining).toBe(1);

    clock.advance(1);

    expect(await failed).toMatchObject({ code: 'IC_ERR_TIMEOUT' });
    expect(signal.reason).toMatchObject({ code: 'IC_ERR_TIMEOUT' });
    expect(timeouts).toEqual([await message]);
    await until(() => feed.returned === 1);
    expect(items).toEqual([]);
  });

  it('ends with a timeout of its own, flow as it may, and its handler is told', async () => {
    const { clock, session, feed, message, timeouts } = await watched();
    const items: string[] = [];
    const failed = failure(read(session, items, 1000));
    const { signal } = await message;
    for (let round = 0; round < 9; round++) {
      clock.advance(110);
      feed.push(`${round}`);
      await until(() => items.length === round + 1);
    }
    expect((await message).remaining).toBeUndefined();

    clock.advance(10);

    expect(await failed).toMatchObject({
      code: 'IC_ERR_TIMEOUT',
      message: `A message of "${session.name}" was neither accepted nor rejected within its 1000 ms.`,
    });
    await until(() => feed.returned === 1);
    expect(signal.reason).toMatchObject({ code: 'IC_ERR_CANCELLED' });
    expect(timeouts).toEqual([]);
  });

  it('has no limit with the timeout 0', async () => {
    const { clock, session, feed, message } = await watched(1000);
    const items: string[] = [];
    const end = read(session, items, 0);
    expect((await message).remaining).toBeUndefined();
    clock.advance(HOUR);
    feed.push('first');
    await until(() => items.length === 1);
    clock.advance(HOUR);

    feed.end();
    await end;

    expect(items).toEqual(['first']);
  });
});

describe('an answer that begins as the time runs out', () => {
  /** Sessions with a clock for each side, and a message that has run out of time at its sender alone. */
  async function late(options: { timeout?: number; onItem?: () => void }) {
    const clock = new ManualClock();
    const { session, accepted, dialer } = await inSession(
      { clock: new ManualClock(), idleTimeout: 0 },
      { clock, idleTimeout: 0, messageTimeout: 1000, reconnect: { minDelay: 1 } },
    );
    const arrived = next(accepted, 'message');
    accepted.on('message', () => undefined);
    const failed = failure(session.send(bytes('x'), options));
    const [message] = await arrived;
    const aborted = new Promise((resolve) => message.signal.addEventListener('abort', resolve));
    return { clock, dialer, message, failed, aborted };
  }

  it.each([
    ['takes items', { onItem: () => undefined }],
    ['takes them for so long', { onItem: () => undefined, timeout: 1000 }],
    ['takes none', { timeout: 1000 }],
  ])('is cancelled by who %s, and its handler told', async (_who, options) => {
    const { clock, message, failed, aborted } = await late(options);
    const feed = new Feed();
    feed.push('late');
    const done = message.respond(feed.items);

    clock.advance(1000);

    expect(await failed).toMatchObject({ code: 'IC_ERR_TIMEOUT', executed: 'maybe' });
    await aborted;
    expect(message.signal.reason).toMatchObject({ code: 'IC_ERR_CANCELLED' });
    feed.end();
    await done;
  });

  it('is cancelled as well where there was no socket meanwhile', async () => {
    const { clock, dialer, message, failed, aborted } = await late({ onItem: () => undefined });
    const resumed = next(dialer, 'resume');
    const detached = next(dialer, 'detach');
    dialer.socket.destroy();
    const feed = new Feed();
    feed.push('late');
    const done = message.respond(feed.items);
    await detached;
    clock.advance(1000);
    expect(await failed).toMatchObject({ code: 'IC_ERR_TIMEOUT' });

    await resumed;
    await aborted;

    expect(message.signal.reason).toMatchObject({ code: 'IC_ERR_CANCELLED' });
    feed.end();
    await done;
  });
});

describe('an answer in items, when its connection changes,', () => {
  it('keeps the time of both sides over a lost socket', async () => {
    const clock = new ManualClock();
    const options = { clock, idleTimeout: 0 };
    const reconnect = { minDelay: 1, maxDelay: 1 };
    const { session, accepted, dialer } = await inSession(options, { ...options, reconnect });
    const feed = new Feed();
    const arrived = next(accepted, 'message');
    accepted.on('message', (message) => void message.respond(feed.items));
    const items: string[] = [];
    const onItem = (item: Buffer) => void items.push(item.toString());
    const end = session.send(bytes('x'), { onItem });
    const [message] = await arrived;
    feed.push('0');
    await until(() => items.length === 1);

    for (let round = 1; round < 10; round++) {
      const resumed = next(dialer, 'resume');
      const detached = next(dialer, 'detach');
      dialer.socket.destroy();
      await detached;
      clock.advance(1);
      await resumed;
      clock.advance(50_000);
      feed.push(`${round}`);
      await until(() => items.length === round + 1);
      expect([message.remaining, message.signal.aborted]).toEqual([undefined, false]);
    }
    feed.end();

    expect(await end).toMatchObject({ accepted: true });
    expect(items).toEqual(Array.from({ length: 10 }, (_, at) => `${at}`));
  });

  it('has on another connection the time that was left', async () => {
    const clock = new ManualClock();
    const raw = await RawListener.listen();
    const connecting = connect({
      ...raw.address,
      clock,
      idleTimeout: 0,
      reconnect: { minDelay: 1 },
    });
    const first = await raw.accepted();
    await first.welcome();
    const connection = await connecting;
    afterTest(() => connection.close());
    const session = connection.openSession('test');
    const opened = (await first.frame(FrameType.OPEN)).session;
    first.send({ type: FrameType.OPENED, session: opened });
    await next(session, 'open');
    const outcome = session.send(bytes('x'), { onItem: () => undefined });
    expect((await first.frame(FrameType.SEND)).meta.deadline).toBe(60_000);
    clock.advance(20_000);

    first.send(
      { type: FrameType.GOAWAY },
      {
        type: FrameType.REJECT,
        flags: Flag.REPLY,
        session: opened,
        id: 1,
        meta: { code: Code.MESSAGE_DRAINING },
      },
    );
    const second = await raw.accepted();
    await second.welcome();
    const { session: number, id, meta } = await second.frame(FrameType.SEND);

    expect(meta.deadline).toBe(40_000);
    second.send(
      { type: FrameType.OPENED, session: number },
      { type: FrameType.ACCEPT, flags: Flag.REPLY, session: number, id },
    );
    expect(await outcome).toMatchObject({ accepted: true });
  });
});
