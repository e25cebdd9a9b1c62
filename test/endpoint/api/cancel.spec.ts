import { getEventListeners, getMaxListeners } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import { connect, type Message } from 'nestjs-interconnect/core';
import { addressOf, connected, inSession, listening } from '../../support/peers/connected.js';
import { failure, next, until } from '../../support/events.js';
import { RawListener } from '../../support/peers/raw-peer.js';

describe('the signal of a send', () => {
  it('that has aborted before keeps the message here', async () => {
    const { session, accepted, dialer } = await inSession();
    let started = 0;
    accepted.on('message', () => started++);

    const error = await failure(session.send(Buffer.from('x'), { signal: AbortSignal.abort() }));
    await dialer.ping();

    expect(error).toMatchObject({ code: 'IC_ERR_CANCELLED', executed: 'no' });
    expect(started).toBe(0);
  });

  it('that aborts while the handler runs aborts the signal there', async () => {
    const { session, accepted } = await inSession();
    const arrived = next(accepted, 'message');
    accepted.once('message', () => undefined);
    const abort = new AbortController();
    const outcome = failure(session.send(Buffer.from('x'), { signal: abort.signal }));
    const [message] = await arrived;
    const aborted = new Promise((resolve) => message.signal.addEventListener('abort', resolve));

    abort.abort();

    expect(await outcome).toMatchObject({ code: 'IC_ERR_CANCELLED', executed: 'maybe' });
    await aborted;
    expect(message.signal.reason).toMatchObject({ code: 'IC_ERR_CANCELLED' });
    message.accept();
    accepted.on('message', (each) => each.accept());
    expect(await session.send(Buffer.from('y'))).toMatchObject({ accepted: true });
  });

  it('shows at its first access what has happened before', async () => {
    const { session, accepted, dialer } = await inSession();
    const arrived = next(accepted, 'message');
    accepted.once('message', () => undefined);
    const abort = new AbortController();
    const outcome = failure(session.send(Buffer.from('x'), { signal: abort.signal }));
    const [message] = await arrived;

    abort.abort();
    await outcome;
    await dialer.ping();

    expect(message.signal.aborted).toBe(true);
    expect(message.signal).toBe(message.signal);
  });

  it('that aborts while the message waits for credit keeps it here', async () => {
    const { session, accepted, dialer } = await inSession({ maxUnsettled: 1 });
    const held: Message[] = [];
    accepted.on('message', (message) => held.push(message));
    const abort = new AbortController();
    const first = session.send(Buffer.from('1'));
    const second = failure(session.send(Buffer.from('2'), { signal: abort.signal }));
    const third = session.send(Buffer.from('3'));
    await until(() => held.length === 1);

    abort.abort();
    expect(await second).toMatchObject({ code: 'IC_ERR_CANCELLED', executed: 'no' });
    held[0]?.accept();
    await until(() => held.length === 2);
    held[1]?.accept();

    expect(await Promise.all([first, third])).toMatchObject([{ accepted: true }, {}]);
    await dialer.ping();
    expect(held.map(({ data }) => data.toString())).toEqual(['1', '3']);
  });

  it('that aborts while a large message is on its way starts no handler', async () => {
    const { session, accepted } = await inSession();
    const lengths: number[] = [];
    accepted.on('message', (message) => {
      lengths.push(message.data.length);
      message.accept();
    });
    const abort = new AbortController();
    const sending = session.send(Buffer.alloc(16 * 1024 * 1024), { signal: abort.signal });
    const outcome = failure(sending);
    await until(() => accepted.connection.socket.bytesRead > 100_000);

    abort.abort();

    expect(await outcome).toMatchObject({ code: 'IC_ERR_CANCELLED', executed: 'no' });
    expect(await session.send(Buffer.alloc(500_000))).toMatchObject({ accepted: true });
    expect(lengths).toEqual([500_000]);
  });

  it('does not matter after the outcome', async () => {
    const { session, accepted, dialer } = await inSession();
    accepted.on('message', (message) => message.respond(message.data));
    const abort = new AbortController();

    const outcome = await session.send(Buffer.from('x'), { signal: abort.signal });
    abort.abort();

    expect(outcome).toMatchObject({ accepted: true });
    expect(await dialer.ping()).toBeGreaterThanOrEqual(0);
  });

  it('may be shared by any number of messages, and keeps none of them', async () => {
    const { session, accepted } = await inSession();
    accepted.on('message', (message) => message.accept());
    const { signal } = new AbortController();

    const sends = Array.from({ length: 100 }, () => session.send(Buffer.from('x'), { signal }));
    expect(getEventListeners(signal, 'abort')).toHaveLength(100);
    await Promise.all(sends);

    expect(getEventListeners(signal, 'abort')).toEqual([]);
    // Node would warn otherwise.
    expect(getMaxListeners(signal)).toBe(Infinity);
  });

  it('cancels a one-way message that waits', async () => {
    const { session, accepted } = await inSession({ maxUnsettled: 1 });
    const held: Message[] = [];
    accepted.on('message', (message) => held.push(message));
    const first = session.send(Buffer.from('1'));
    const abort = new AbortController();
    const options = { signal: abort.signal, oneWay: true as const };
    const second = failure(session.send(Buffer.from('2'), options));
    await until(() => held.length === 1);

    abort.abort();

    expect(await second).toMatchObject({ code: 'IC_ERR_CANCELLED', executed: 'no' });
    held[0]?.accept();
    await first;
  });
});

describe('the signal of connect', () => {
  it('that has aborted before opens no socket', async () => {
    const listener = await listening();
    let sockets = 0;
    listener.server?.on('connection', () => sockets++);

    const options = { ...addressOf(listener), signal: AbortSignal.abort() };
    const error = await failure(connect(options));
    await connected();

    expect(error).toMatchObject({ code: 'IC_ERR_CANCELLED', executed: 'no' });
    expect(sockets).toBe(0);
  });

  it.each([
    ['before the socket stands', 0],
    ['before it is welcomed', 1],
  ])('gives up %s, and leaves no socket', async (_when, accepted) => {
    const mute = await RawListener.listen();
    const abort = new AbortController();
    const connecting = failure(connect({ ...mute.address, signal: abort.signal }));
    const peer = accepted === 1 ? await mute.accepted() : undefined;
    if (peer !== undefined) await until(() => peer.received > 0);

    abort.abort();

    expect(await connecting).toMatchObject({ code: 'IC_ERR_CANCELLED', executed: 'no' });
    await peer?.closed;
  });

  it('gives up amid a TLS handshake', async () => {
    const mute = await RawListener.listen();
    const abort = new AbortController();
    const options = { ...mute.address, tls: true as const, signal: abort.signal };
    const connecting = failure(connect(options));
    const peer = await mute.accepted();
    await until(() => peer.received > 0);

    abort.abort();

    expect(await connecting).toMatchObject({ code: 'IC_ERR_CANCELLED' });
    await peer.closed;
  });

  it('does not matter once the connection stands', async () => {
    const abort = new AbortController();
    const { dialer } = await connected({}, { signal: abort.signal });

    abort.abort();

    expect(await dialer.ping()).toBeGreaterThanOrEqual(0);
  });
});
