import { describe, expect, it } from '@jest/globals';
import { Code, connect, type Message } from 'nestjs-interconnect/core';
import {
  addressOf,
  connected,
  dial,
  echo,
  inSession,
  listening,
} from '../../support/peers/connected.js';
import { failure, next, thrown, until } from '../../support/events.js';

describe('a message that is too large', () => {
  it('is refused at its sender, with both sizes', async () => {
    const { session, accepted } = await inSession({ maxMessageSize: 100_000 });
    accepted.on('message', (message) => message.accept());

    const error = await failure(session.send(Buffer.alloc(100_001)));

    expect(error).toMatchObject({ code: 'IC_ERR_TOO_LARGE', executed: 'no' });
    expect(error.message).toMatch(/100001 bytes exceeds the 100000 bytes .*maxMessageSize/);
    expect(await session.send(Buffer.alloc(100_000))).toMatchObject({ accepted: true });
  });

  it('is refused as a response to who would respond, who may settle otherwise', async () => {
    const { session, accepted } = await inSession({}, { maxMessageSize: 1000 });
    const errors: Error[] = [];
    accepted.on('message', (message) => {
      errors.push(thrown(() => message.respond(Buffer.alloc(1001))));
      errors.push(thrown(() => message.reject(undefined, '', Buffer.alloc(1001))));
      message.respond(Buffer.alloc(1000));
    });

    const outcome = await session.send(Buffer.from('x'));

    expect(outcome.data.length).toBe(1000);
    for (const error of errors) {
      expect(error).toMatchObject({ code: 'IC_ERR_TOO_LARGE' });
      expect(error.message).toMatch(/1001 bytes exceeds the 1000 bytes .*maxMessageSize/);
    }
  });

  it('is REPLY_TOO_LARGE to its sender, also where the handler rejects it itself [IC-6.41]', async () => {
    const { session, accepted } = await inSession({}, { maxMessageSize: 1000 });
    accepted.on('message', (message) => {
      try {
        message.respond(Buffer.alloc(1001));
      } catch {
        message.reject(Code.FAILED, 'It does not fit.', Buffer.from('so'));
      }
    });

    const outcome = await session.send(Buffer.from('x'));

    expect(outcome).toMatchObject({ code: Code.REPLY_TOO_LARGE, reason: 'It does not fit.' });
    expect(outcome.data.toString()).toBe('so');
  });

  it.each([0, 1])('is none of %d bytes where one byte is allowed', async (size) => {
    const { session, accepted } = await inSession({ maxMessageSize: 1 });
    accepted.on('message', (message) => message.accept());

    expect(await session.send(Buffer.alloc(size))).toMatchObject({ accepted: true });
  });

  it('is none of 100 MiB where both sides allow it', async () => {
    const size = 100 * 1024 * 1024;
    const { session, accepted } = await inSession({ maxMessageSize: size });
    accepted.on('message', (message) => message.respond(Buffer.from(`${message.data.length}`)));

    const outcome = await session.send(Buffer.alloc(size));

    expect(outcome.data.toString()).toBe(`${size}`);
  });
});

describe('the queue of a sender', () => {
  it('is full at its count, which the error names', async () => {
    const { session, accepted } = await inSession(
      { maxUnsettled: 2 },
      { maxQueuedMessages: 3, maxQueuedBytes: 1000 },
    );
    const held: Message[] = [];
    accepted.on('message', (message) => {
      held.push(message);
      if (held.length > 2) message.accept();
    });
    const taken = Array.from({ length: 5 }, () => session.send(Buffer.from('x')));

    const error = await failure(session.send(Buffer.from('x')));

    expect(error).toMatchObject({ code: 'IC_ERR_QUEUE_FULL', executed: 'no' });
    expect(error.message).toMatch(/^3 messages \(3 bytes\) .*maxQueuedMessages is 3/);
    await until(() => held.length === 2);
    for (const message of held.slice(0, 2)) message.accept();
    expect(await Promise.all(taken)).toHaveLength(5);
    expect(await session.send(Buffer.from('x'))).toMatchObject({ accepted: true });
  });

  it('is full at its bytes, which the error names; one message alone always fits', async () => {
    const { session, accepted } = await inSession({ maxUnsettled: 1 }, { maxQueuedBytes: 100 });
    const held: Message[] = [];
    accepted.on('message', (message) => held.push(message));
    const first = session.send(Buffer.from('x'));
    const second = session.send(Buffer.alloc(5000));

    const error = await failure(session.send(Buffer.alloc(1)));

    expect(error).toMatchObject({ code: 'IC_ERR_QUEUE_FULL', executed: 'no' });
    expect(error.message).toMatch(/\(5000 bytes\) .*maxQueuedBytes 100/);
    await until(() => held.length === 1);
    held[0]?.accept();
    await until(() => held.length === 2);
    held[1]?.accept();
    expect(await Promise.all([first, second])).toMatchObject([{ accepted: true }, {}]);
  });

  it('is shared by the sessions of a connection, and not by connections', async () => {
    const { listener, acceptor, dialer } = await connected(
      { maxSessions: 1 },
      { maxQueuedMessages: 2 },
    );
    acceptor.on('session', (session) => session.accept());
    await dialer.createSession('the only one');
    const waiting = ['a', 'b'].map((name) =>
      failure(dialer.openSession(name).send(Buffer.from('x'))),
    );

    const error = await failure(dialer.openSession('c').send(Buffer.from('x')));
    const other = await dial(listener);
    const outcome = failure(other.openSession('d').send(Buffer.from('x')));

    expect(error.code).toBe('IC_ERR_QUEUE_FULL');
    await dialer.close();
    expect((await Promise.all(waiting)).map(({ executed }) => executed)).toEqual(['no', 'no']);
    expect(await outcome).toMatchObject({ code: 'IC_ERR_SESSION_REJECTED' });
  });
});

describe('the credit of a receiver', () => {
  it('bounds the messages of a session that are not settled', async () => {
    const { session, accepted, dialer } = await inSession({ maxUnsettled: 5 });
    const held: Message[] = [];
    accepted.on('message', (message) => held.push(message));
    const outcomes = Array.from({ length: 50 }, () => session.send(Buffer.from('x')));
    await until(() => held.length === 5);
    await dialer.ping();
    let most = 0;

    for (let settled = 0; settled < 50; settled++) {
      await until(() => held.length > 0);
      most = Math.max(most, held.length);
      held.shift()?.accept();
    }

    expect(await Promise.all(outcomes)).toHaveLength(50);
    expect(most).toBe(5);
  });

  it('bounds the bytes that it holds for its handlers', async () => {
    const size = 256 * 1024;
    const { acceptor, dialer } = await connected({
      maxMessageSize: size,
      connectionWindow: 4 * size,
      sessionWindow: size,
    });
    const held: Message[] = [];
    acceptor.on('session', (session) => {
      session.on('message', (message) => held.push(message));
      session.accept();
    });
    const sessions = await Promise.all(
      Array.from({ length: 20 }, (_, index) => dialer.createSession(`${index}`)),
    );
    const outcomes = sessions.map((session) => session.send(Buffer.alloc(size)));
    let most = 0;

    for (let settled = 0; settled < 20; settled++) {
      await until(() => held.length > 0);
      await dialer.ping();
      most = Math.max(most, held.length);
      held.shift()?.accept();
    }

    expect(await Promise.all(outcomes)).toHaveLength(20);
    expect(most).toBeLessThanOrEqual(4);
  });

  it('is different on both sides, and each obeys the other [IC-2.9]', async () => {
    const { acceptor, dialer } = await connected(
      { maxFrameSize: 16_384, maxUnsettled: 1, sessionWindow: 65_536 },
      { maxFrameSize: 1024 * 1024, maxUnsettled: 1000, sessionWindow: 8 * 1024 * 1024 },
    );
    echo(acceptor);
    echo(dialer);
    const data = Buffer.alloc(700_000, 'data');

    const [one, other] = await Promise.all([
      dialer.createSession('x'),
      acceptor.createSession('y'),
    ]);
    const outcomes = await Promise.all([one.send(data), other.send(data), one.send(data)]);

    for (const outcome of outcomes) expect(outcome.data.equals(data)).toBe(true);
  });
});

describe('maxConnections', () => {
  it('drops the socket of one more, and takes one when another has gone', async () => {
    const listener = await listening({ maxConnections: 2 });
    const [first, second] = await Promise.all([dial(listener), dial(listener)]);
    for (const accepted of listener.connections) {
      accepted.on('session', (session) => session.accept());
    }
    await Promise.all([first.createSession('x'), second.createSession('x')]);

    const error = await failure(connect(addressOf(listener)));
    expect(error).toMatchObject({ code: 'IC_ERR_CONNECT', executed: 'no' });
    const accepted = [...listener.connections];
    const gone = Promise.all(accepted.map((each) => next(each, 'close')));
    await first.close();
    await Promise.race([gone, until(() => listener.connections.size === 1)]);

    expect((await dial(listener)).status).toBe('open');
  });
});
