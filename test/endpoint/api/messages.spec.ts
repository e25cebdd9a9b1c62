import { describe, expect, it } from '@jest/globals';
import { Code, type Message, type Outcome } from 'nestjs-interconnect/core';
import { inSession } from '../../support/peers/connected.js';
import { failure, next, thrown } from '../../support/events.js';
import { ManualClock } from '../../support/sim/manual-clock.js';

/** Sends one message of `x` to a handler, and gives the outcome. */
async function outcomeOf(handler: (message: Message) => void): Promise<Outcome> {
  const { session, accepted } = await inSession();
  accepted.on('message', handler);
  return session.send(Buffer.from('x'));
}

describe('a message', () => {
  it('arrives with its bytes, its number and its session', async () => {
    const { session, accepted } = await inSession();
    const messages: Message[] = [];
    accepted.on('message', (message) => {
      messages.push(message);
      message.accept();
    });

    await session.send(Buffer.from('one'));
    await session.send(Buffer.from('two'));

    expect(messages.map(({ id, data, oneWay }) => [id, data.toString(), oneWay])).toEqual([
      [1, 'one', false],
      [2, 'two', false],
    ]);
    expect(messages[0]?.session).toBe(accepted);
  });

  it('is accepted', async () => {
    const outcome = await outcomeOf((message) => message.accept());

    expect(outcome).toEqual({ accepted: true, data: Buffer.alloc(0), metadata: {} });
  });

  it.each([
    ['bytes', Buffer.from('answer')],
    ['no bytes', Buffer.alloc(0)],
    ['a Uint8Array', new Uint8Array(Buffer.from('answer'))],
    ['8 KiB, which are copied', Buffer.alloc(8192, 'c')],
    ['a byte more, which are not', Buffer.alloc(8193, 'r')],
    ['several fragments', Buffer.alloc(1_000_000, 'f')],
  ])('is responded to with %s', async (_what, data) => {
    const outcome = await outcomeOf((message) => message.respond(data));

    expect(outcome.accepted).toBe(true);
    expect(outcome.data.equals(data)).toBe(true);
  });

  it('is rejected with a code, a reason and data', async () => {
    const outcome = await outcomeOf((message) =>
      message.reject(0x8001, 'checksum differs', Buffer.from('abc')),
    );

    expect(outcome).toEqual({
      accepted: false,
      code: 0x8001,
      reason: 'checksum differs',
      data: Buffer.from('abc'),
      metadata: {},
    });
  });

  it('is rejected as REFUSED where the handler gives no code', async () => {
    const outcome = await outcomeOf((message) => message.reject());

    expect(outcome).toMatchObject({ accepted: false, code: Code.REFUSED, reason: '' });
  });

  it.each([Code.REFUSED, Code.FAILED, 0x8000, 0xbfff, 0xc000, 0xffff])(
    'is rejected with the code %p',
    async (code) => {
      expect(await outcomeOf((message) => message.reject(code))).toMatchObject({ code });
    },
  );

  it.each([Code.OK, Code.EXPIRED, Code.NO_HANDLER, 0x0601, 0x7fff, 0x10000, -1, NaN])(
    'is not to be rejected with the code %p, and is still to be settled then [IC-13.2] [IC-13.3]',
    async (code) => {
      let error: Error | undefined;

      const outcome = await outcomeOf((message) => {
        error = thrown(() => message.reject(code));
        message.accept();
      });

      expect(error?.message).toBe(
        `message.reject takes Code.REFUSED, Code.FAILED, Code.DEADLINE or a code of your own from 0x8000 to 0xffff, and got ${code}.`,
      );
      expect(outcome.accepted).toBe(true);
    },
  );

  it('is not to be rejected with a reason that is too long, or no text', async () => {
    const errors: string[] = [];

    const outcome = await outcomeOf((message) => {
      errors.push(thrown(() => message.reject(undefined, 'é'.repeat(513))).message);
      errors.push(thrown(() => message.reject(undefined, 'a\0b')).message);
      errors.push(thrown(() => message.reject(undefined, 'a\ud800b')).message);
      errors.push(thrown(() => message.reject(undefined, 7 as unknown as string)).message);
      message.reject(undefined, 'é'.repeat(512));
    });

    expect(errors).toEqual([
      expect.stringContaining('1026 bytes must have at most 1024'),
      expect.stringContaining('without U+0000'),
      expect.stringContaining('halves of surrogate pairs'),
      expect.stringContaining('must be a string, and is 7'),
    ]);
    expect(outcome).toMatchObject({ reason: 'é'.repeat(512) });
  });

  it('is rejected as NO_HANDLER where nobody listens', async () => {
    const { session } = await inSession();

    const outcome = await session.send(Buffer.from('x'));

    expect(outcome).toMatchObject({
      accepted: false,
      code: Code.NO_HANDLER,
      reason: 'Nobody listens for messages of session "test".',
    });
  });

  it('may be settled long after its event', async () => {
    const { session, accepted } = await inSession();
    const arrived = next(accepted, 'message');
    accepted.once('message', () => undefined);
    const outcome = session.send(Buffer.from('x'));
    const [message] = await arrived;
    await session.connection.ping();
    expect(message.settled).toBe(false);

    message.respond(Buffer.from('later'));

    expect(message.settled).toBe(true);
    expect(await outcome).toMatchObject({ data: Buffer.from('later') });
  });

  it('may be settled in another order than it came', async () => {
    const { session, accepted } = await inSession();
    const held: Message[] = [];
    accepted.on('message', (message) => {
      held.push(message);
      if (held.length === 3) for (const each of held.toReversed()) each.respond(each.data);
    });

    const outcomes = await Promise.all(
      ['1', '2', '3'].map((text) => session.send(Buffer.from(text))),
    );

    expect(outcomes.map(({ data }) => data.toString())).toEqual(['1', '2', '3']);
  });

  it('is settled once: a second time is an error, and the first stands', async () => {
    const errors: unknown[] = [];

    const outcome = await outcomeOf((message) => {
      message.respond(Buffer.from('first'));
      errors.push(thrown(() => message.accept()));
      errors.push(thrown(() => message.respond(Buffer.from('second'))));
      errors.push(thrown(() => message.reject()));
    });

    expect(outcome).toMatchObject({ accepted: true, data: Buffer.from('first') });
    for (const error of errors) {
      expect(error).toMatchObject({
        code: 'IC_ERR_ALREADY_SETTLED',
        message: 'Message 1 of session "test" is settled already. Settle a message once.',
      });
    }
  });

  it('tells this side, too, what it was rejected with', async () => {
    const { session, accepted } = await inSession();
    const arrived = next(accepted, 'message');
    const sent = session.send(Buffer.from('x'));
    const [message] = await arrived;
    expect(message.rejection).toBeUndefined();

    message.reject(0x8001, 'full');

    expect(message.rejection).toEqual({ code: 0x8001, reason: 'full' });
    expect(await sent).toMatchObject({ accepted: false, code: 0x8001, reason: 'full' });
  });

  it('ignores a settlement after its time, and a second is still an error', async () => {
    const clock = new ManualClock();
    const { session, accepted } = await inSession({ clock }, { clock });
    const arrived = next(accepted, 'message');
    accepted.once('message', () => undefined);
    const outcome = failure(session.send(Buffer.from('x'), { timeout: 50 }));
    const [message] = await arrived;

    clock.advance(50);
    expect([message.settled, message.answered]).toEqual([true, false]);
    message.accept();

    expect(message.answered).toBe(true);
    expect(thrown(() => message.accept()).code).toBe('IC_ERR_ALREADY_SETTLED');
    expect(await outcome).toMatchObject({ code: 'IC_ERR_TIMEOUT' });
  });

  it('ignores a settlement after its connection is gone', async () => {
    const { session, accepted, acceptor } = await inSession();
    const arrived = next(accepted, 'message');
    accepted.once('message', () => undefined);
    const outcome = failure(session.send(Buffer.from('x')));
    const [message] = await arrived;

    await acceptor.close();
    message.respond(Buffer.alloc(100_000));

    expect(message.settled).toBe(true);
    expect(await outcome).toMatchObject({ code: 'IC_ERR_CLOSED', executed: 'maybe' });
  });

  it('may be sent one way: it arrives, and the promise resolves without an outcome', async () => {
    const { session, accepted } = await inSession();
    const arrived = next(accepted, 'message');
    accepted.once('message', () => undefined);

    const nothing: void = await session.send(Buffer.from('x'), { oneWay: true });
    const [message] = await arrived;
    message.reject();

    expect(nothing).toBeUndefined();
    expect(message).toMatchObject({ oneWay: true, settled: true });
    expect(thrown(() => message.accept()).code).toBe('IC_ERR_ALREADY_SETTLED');
  });

  it('may be sent one way in any size, and in any number', async () => {
    const { session, accepted } = await inSession({ maxUnsettled: 8 });
    let received = 0;
    accepted.on('message', (message) => {
      received += message.data.length;
      message.accept();
    });
    const sizes = Array.from({ length: 100 }, (_, index) => (index % 10) * 10_000);

    await Promise.all(sizes.map((size) => session.send(Buffer.alloc(size), { oneWay: true })));
    await session.close();

    expect(received).toBe(sizes.reduce((sum, size) => sum + size));
  });

  it.each([
    ['a string', 'text', /of type string\. Encode it, for example with Buffer\.from\(text\)/],
    ['nothing', undefined, /of type undefined/],
    ['null', null, /of type null/],
    ['a number', 7, /of type number/],
    ['an object', { length: 3 }, /of type object/],
    ['memory that is shared', new SharedArrayBuffer(2), /of type object/],
  ])('is not %s', async (_what, data, words) => {
    const { session, accepted } = await inSession();
    accepted.on('message', (message) => {
      const bad = thrown(() => message.respond(data as Buffer));
      message.respond(Buffer.from(bad.message));
    });

    const error = await failure(session.send(data as Buffer));
    const outcome = await session.send(Buffer.from('x'));

    expect(error).toMatchObject({ code: 'IC_ERR_OPTION', executed: 'no' });
    expect(error.message).toMatch(words);
    expect(outcome.data.toString()).toMatch(words);
  });

  it('starts its handler in the order in which it was sent, large or small', async () => {
    const { session, accepted } = await inSession();
    const order: number[] = [];
    accepted.on('message', (message) => {
      order.push(message.data.length);
      message.accept();
    });
    const sizes = [10, 300_000, 20, 30, 100_000, 8192, 8193, 0];

    await Promise.all(sizes.map((size) => session.send(Buffer.alloc(size))));

    expect(order).toEqual(sizes);
  });
});
