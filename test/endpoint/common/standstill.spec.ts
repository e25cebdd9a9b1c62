/**
 * What has arrived counts before any clock does. In each of these tests a time runs out while this thread stands still,
 * and what was waited for lies in the kernel when the thread goes on.
 */
import type { TlsOptions } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  connect,
  type Connection,
  type ConnectOptions,
  type ListenerOptions,
  MemoryNetwork,
} from 'nestjs-interconnect/core';
import { afterTest } from '../../support/after-test.js';
import { certificates } from '../../support/peers/certificates.js';
import { connected, dial, inSession, listening } from '../../support/peers/connected.js';
import { failure, later, turn, until } from '../../support/events.js';
import { OtherThread, standUntil } from '../../support/peers/standstill.js';

/** Milliseconds: long enough for what comes before the standstill, on a machine with much else to do. */
const TIME = 300;
/** How long this thread stands still. */
const STILL = 400;

type Kind = 'TCP' | 'TLS' | 'a Unix socket';
const kinds: readonly Kind[] = ['TCP', 'TLS', 'a Unix socket'];
const others = new Map<Kind, OtherThread>();

beforeAll(async () => {
  const { server } = await certificates();
  const where: Record<Kind, ListenerOptions> = {
    TCP: { host: '127.0.0.1' },
    TLS: { host: '127.0.0.1', tls: server },
    'a Unix socket': { path: `\0interconnect-still-${process.pid}` },
  };
  const start = async (kind: Kind): Promise<void> => {
    others.set(kind, await OtherThread.start({ ...where[kind], maxUnsettled: 1024 }));
  };
  await Promise.all(kinds.map(start));
});

afterAll(() => Promise.all([...others.values()].map((other) => other.stop())));

/** The other thread, and how to connect to it. */
async function reachable(kind: Kind): Promise<{ other: OtherThread; target: ConnectOptions }> {
  const other = others.get(kind);
  if (other === undefined) throw new Error(`Nobody listens on ${kind}.`);
  other.hush();
  const { ca } = await certificates();
  return { other, target: { ...other.address, ...(kind === 'TLS' && { tls: { ca } }) } };
}

async function reached(
  kind: Kind,
  options: ConnectOptions = {},
): Promise<{ other: OtherThread; connection: Connection }> {
  const { other, target } = await reachable(kind);
  const connection = await connect({ ...target, ...options });
  afterTest(() => connection.close());
  return { other, connection };
}

describe('an answer that came while this thread stood still', () => {
  it.each(kinds)('settles its message, whose time is over, by %s', async (kind) => {
    const { other, connection } = await reached(kind);
    const session = await connection.createSession('test');
    const outcome = session.send(Buffer.from('x'), { timeout: TIME });
    await turn();

    other.standStill(STILL);

    expect(await outcome).toMatchObject({ accepted: true, data: Buffer.from('x') });
  });

  // The kernel holds so much of what comes by these.
  it.each(['TCP', 'TLS'] as const)('settles it behind megabytes of others, by %s', async (kind) => {
    const { other, connection } = await reached(kind);
    const session = await connection.createSession('test');
    const parts = Array.from({ length: 450 }, () => session.send(Buffer.from('part')));
    const outcome = session.send(Buffer.from('x'), { timeout: TIME });
    await turn();

    other.standStill(STILL);

    expect(await outcome).toMatchObject({ accepted: true, data: Buffer.from('x') });
    await Promise.all(parts);
  });

  it('settles it when the thread stood still within a timer', async () => {
    const { other, connection } = await reached('TCP');
    const session = await connection.createSession('test');
    const outcome = session.send(Buffer.from('x'), { timeout: TIME });
    await turn();

    await new Promise<void>((resolve) => {
      setTimeout(() => resolve(other.standStill(STILL)));
    });

    expect(await outcome).toMatchObject({ accepted: true });
  });

  it('opens a session whose time is over', async () => {
    const { other, connection } = await reached('TCP');
    const session = connection.createSession('late', { timeout: TIME });
    await turn();

    other.standStill(STILL);

    expect((await session).status).toBe('open');
  });

  it.each(kinds)('lets a dialer in whose time for the handshake is over, by %s', async (kind) => {
    const { other, target } = await reachable(kind);
    const limits = { handshakeTimeout: 1000, reconnect: false } as const;
    const attempt = connect({ ...target, ...limits, data: Buffer.from('late') });
    await until(() => other.isGreeted);

    other.standStill(1100);

    const connection = await attempt;
    expect(connection.status).toBe('open');
    await connection.close();
  });

  it.each(kinds)('leaves a dialer its time that had said nothing before, by %s', async (kind) => {
    const { target } = await reachable(kind);
    const attempt = connect({ ...target, handshakeTimeout: 500, reconnect: false });

    standUntil(performance.now() + 700);

    const connection = await attempt;
    expect(connection.status).toBe('open');
    await connection.close();
  });

  it('keeps a connection whose silence was as long as idleTimeout', async () => {
    const { other, connection } = await reached('TCP', { idleTimeout: TIME, reconnect: false });
    const session = await connection.createSession('test');
    const outcome = session.send(Buffer.from('x'));
    await turn();

    other.standStill(1.1 * TIME);

    expect(await outcome).toMatchObject({ accepted: true });
    expect(connection.status).toBe('open');
  });

  it('ends a drain in order whose time is over', async () => {
    const { other, connection } = await reached('TCP');
    const session = await connection.createSession('test');
    const outcome = session.send(Buffer.from('x'));
    await turn();
    const drained = connection.drain({ timeout: TIME });
    await turn();

    other.standStill(STILL);

    expect(await outcome).toMatchObject({ accepted: true });
    await drained;
  });

  it('settles its message in memory, where both sides stood still', async () => {
    const network = new MemoryNetwork();
    const { session, accepted } = await inSession({ network }, { network });
    accepted.on('message', (message) => {
      message.respond(message.data);
      standUntil(performance.now() + 50);
    });

    const outcome = await session.send(Buffer.from('x'), { timeout: 25 });

    expect(outcome).toMatchObject({ accepted: true });
  });
});

describe('a handler', () => {
  it('settles its message by what came while this thread stood still', async () => {
    const { other, connection } = await reached('TCP');
    const { session, accepted } = await inSession();
    const elsewhere = await connection.createSession('test');
    accepted.on(
      'message',
      later(async (message) => {
        const { data } = await elsewhere.send(message.data);
        message.respond(data);
      }),
    );
    const outcome = session.send(Buffer.from('x'), { timeout: TIME });
    // There and into the handler, and from there to the other thread.
    for (let turns = 0; turns < 4; turns++) await turn();

    other.standStill(STILL);

    expect(await outcome).toMatchObject({ accepted: true, data: Buffer.from('x') });
  });
});

describe('a silence that came of this thread alone', () => {
  it('ends no connection between two ends that both stood still', async () => {
    const { dialer, acceptor } = await connected(
      { idleTimeout: TIME, resumeTimeout: 0 },
      { idleTimeout: TIME, reconnect: false },
    );

    standUntil(performance.now() + 3 * TIME);
    await dialer.ping();

    expect([dialer.status, acceptor.status]).toEqual(['open', 'open']);
  });
});

describe('a TLS handshake amid which the listener stands still', () => {
  it('has its whole time afterwards', async () => {
    const { ca, server } = await certificates();
    const SNICallback: TlsOptions['SNICallback'] = (_, done) => {
      done(null);
      // The answer is written, and what the dialer says to that is still to come.
      setImmediate(() => standUntil(performance.now() + 300));
    };
    const listener = await listening({ tls: { ...server, SNICallback }, handshakeTimeout: 100 });
    const tls = { ca, servername: 'localhost' };

    const connection = await dial(listener, { tls, reconnect: false });

    expect(connection.status).toBe('open');
  });
});

describe('a time that is over', () => {
  it('is, where nothing has come', async () => {
    const { session, accepted } = await inSession();
    accepted.on('message', () => undefined);
    const outcome = failure(session.send(Buffer.from('x'), { timeout: 50 }));
    await turn();

    standUntil(performance.now() + 100);

    expect(await outcome).toMatchObject({ code: 'IC_ERR_TIMEOUT', executed: 'maybe' });
  });
});
