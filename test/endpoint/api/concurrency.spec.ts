import { describe, expect, it } from '@jest/globals';
import { createHash, randomBytes } from 'node:crypto';
import type { Message, Session } from 'nestjs-interconnect/core';
import { connected, dial, echo, inSession, listening } from '../../support/peers/connected.js';
import { later } from '../../support/events.js';

const MIB = 1024 * 1024;

function hash(data: Buffer): string {
  return createHash('sha1').update(data).digest('hex');
}

describe('many callers on one connection', () => {
  it('get each their own outcome: 10,000 in one session at once', async () => {
    const { session, accepted } = await inSession();
    accepted.on('message', (message) => message.respond(message.data));

    const outcomes = await Promise.all(
      Array.from({ length: 10_000 }, (_, index) => session.send(Buffer.from(`call ${index}`))),
    );

    const wrong = outcomes.filter(({ data }, index) => data.toString() !== `call ${index}`);
    expect(wrong).toEqual([]);
  });

  it('get each their own outcome: 100 in each of 100 sessions, settled in any order', async () => {
    const { acceptor, dialer } = await connected();
    acceptor.on('session', (session) => {
      session.on('message', (message) => {
        const answer = Buffer.from(`${session.name} ${message.data.toString()}`);
        setImmediate(() =>
          message.id % 3 === 0 ? message.reject(0x8000) : message.respond(answer),
        );
      });
      session.accept();
    });

    const sessions = new Map<string, Session>();
    const results = await Promise.all(
      Array.from({ length: 10_000 }, async (_, index) => {
        const name = `session-${index % 100}`;
        const session = sessions.get(name) ?? dialer.openSession(name);
        sessions.set(name, session);
        const outcome = await session.send(Buffer.from(`${index}`));
        return outcome.accepted ? outcome.data.toString() === `${name} ${index}` : undefined;
      }),
    );

    expect(results.filter((right) => right === false)).toEqual([]);
    expect(results.filter((right) => right === undefined)).toHaveLength(3300);
  });

  it('may call in both directions at once', async () => {
    const { acceptor, dialer } = await connected();
    echo(acceptor);
    echo(dialer);
    const [one, other] = await Promise.all([
      dialer.createSession('x'),
      acceptor.createSession('x'),
    ]);
    const data = Buffer.alloc(10_000, 'd');

    const outcomes = await Promise.all(
      Array.from({ length: 1000 }, (_, index) => (index % 2 === 0 ? one : other).send(data)),
    );

    expect(outcomes.every((outcome) => outcome.data.equals(data))).toBe(true);
  });

  it('may call from within handlers, back and forth', async () => {
    const { acceptor, dialer } = await connected();
    const back = acceptor.openSession('down');
    acceptor.on('session', (session) => {
      session.on(
        'message',
        later(async (message: Message) => {
          const depth = Number(message.data.toString());
          if (depth === 0) return message.respond(Buffer.from('bottom'));
          message.respond((await back.send(Buffer.from(`${depth - 1}`))).data);
        }),
      );
      session.accept();
    });
    const up = dialer.openSession('up');
    dialer.on('session', (session) => {
      session.on(
        'message',
        later(async (message: Message) => message.respond((await up.send(message.data)).data)),
      );
      session.accept();
    });

    const outcome = await up.send(Buffer.from('50'));

    expect(outcome.data.toString()).toBe('bottom');
  });
});

describe('large messages', () => {
  it.each([
    ['8 of 1 MiB', 8, MIB],
    ['64 of 1 MiB', 64, MIB],
    ['4 of 16 MiB', 4, 16 * MIB],
  ])('come back whole, all at once on one connection: %s', async (_what, count, size) => {
    const { session, accepted } = await inSession();
    accepted.on('message', (message) => message.respond(message.data));
    const random = randomBytes(size);

    const payloads = Array.from({ length: count }, (_, index) => {
      const payload = Buffer.from(random);
      payload.writeUInt32BE(index);
      return payload;
    });
    const outcomes = await Promise.all(payloads.map((payload) => session.send(payload)));

    expect(outcomes.map(({ data }) => hash(data))).toEqual(payloads.map(hash));
  });

  it.each([
    ['64 of 1 MiB', 64, MIB],
    ['4 of 16 MiB', 4, 16 * MIB],
  ])('come back whole in sessions of their own: %s', async (_what, count, size) => {
    const { acceptor, dialer } = await connected();
    echo(acceptor);
    const payload = randomBytes(size);

    const outcomes = await Promise.all(
      Array.from({ length: count }, (_, index) => dialer.openSession(`${index}`).send(payload)),
    );

    expect(new Set(outcomes.map(({ data }) => hash(data)))).toEqual(new Set([hash(payload)]));
  });

  it('cross in both directions at once', async () => {
    const { acceptor, dialer } = await connected();
    echo(acceptor);
    echo(dialer);
    const payload = randomBytes(4 * MIB);

    const outcomes = await Promise.all(
      Array.from({ length: 24 }, (_, index) => {
        const side = index % 2 === 0 ? dialer : acceptor;
        return side.openSession(`${index}`).send(payload);
      }),
    );

    expect(new Set(outcomes.map(({ data }) => hash(data)))).toEqual(new Set([hash(payload)]));
  });

  it('hold back no small one of another session', async () => {
    const { acceptor, dialer } = await connected();
    const arrived: string[] = [];
    acceptor.on('session', (session) => {
      session.on('message', (message) => {
        arrived.push(session.name);
        message.accept();
      });
      session.accept();
    });
    const bulk = await dialer.createSession('bulk');
    const small = await dialer.createSession('small');
    const large = bulk.send(Buffer.alloc(16 * MIB));

    for (let round = 0; round < 3; round++) await small.send(Buffer.from('x'));
    await large;

    expect(arrived).toEqual(['small', 'small', 'small', 'bulk']);
  });
});

describe('many connections', () => {
  it('of one listener keep to themselves', async () => {
    const listener = await listening();
    listener.on('connection', (connection) => {
      connection.on('session', (session) => {
        session.on('message', (message) => {
          message.respond(Buffer.concat([connection.data, message.data]));
        });
        session.accept();
      });
    });

    const answers = await Promise.all(
      Array.from({ length: 100 }, async (_, index) => {
        const connection = await dial(listener, { data: Buffer.from(`${index}/`) });
        const session = connection.openSession('x');
        return (await session.send(Buffer.from('x'))).data.toString();
      }),
    );

    expect(answers).toEqual(Array.from({ length: 100 }, (_, index) => `${index}/x`));
    expect(listener.connections.size).toBe(100);
  });
});
