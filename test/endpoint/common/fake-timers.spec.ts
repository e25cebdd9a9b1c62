/**
 * A test of an application fakes time (`jest.useFakeTimers()`, which fakes ticks and microtasks too), and calls a service
 * that really runs. The call is no timer of the application's, and goes on.
 */
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { connect, MemoryNetwork } from 'nestjs-interconnect/core';
import {
  connected,
  echo,
  inSession,
  listening,
  tcpAddressOf,
} from '../../support/peers/connected.js';
import { failure, next } from '../../support/events.js';

describe.each([
  ['as it comes', {}],
  ['with advanceTimers', { advanceTimers: true }],
  ['for another year', { now: 0 }],
] as const)('jest.useFakeTimers(), %s', (_, config) => {
  beforeEach(() => {
    jest.useFakeTimers(config);
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  it.each([
    ['TCP', () => ({})],
    ['memory', () => ({ network: new MemoryNetwork() })],
  ])('leaves a message its answer, by %s', async (__, where) => {
    const options = where();
    const { acceptor, dialer } = await connected(options, options);
    echo(acceptor);

    const session = await dialer.createSession('echo');

    expect(await session.send(Buffer.from('x'))).toMatchObject({ data: Buffer.from('x') });
  });

  it('leaves a message its time', async () => {
    const { session, accepted } = await inSession();
    accepted.on('message', () => undefined);

    const error = await failure(session.send(Buffer.from('x'), { timeout: 5 }));

    expect(error.code).toBe('IC_ERR_TIMEOUT');
  });

  it('lets a connection come back', async () => {
    const network = new MemoryNetwork();
    const { acceptor, dialer } = await connected({ network }, { network });
    echo(acceptor);
    const resumed = next(dialer, 'resume');

    network.cut();
    await resumed;

    const session = await dialer.createSession('echo');
    expect(await session.send(Buffer.from('x'))).toMatchObject({ accepted: true });
  });

  it('lets a stream flow', async () => {
    const { session, accepted } = await inSession();
    accepted.on('message', (message) => void message.respond(message.body));
    const items: string[] = [];

    await session.send([Buffer.from('a'), Buffer.from('b')], {
      onItem: (item) => void items.push(item.toString()),
    });

    expect(items).toEqual(['a', 'b']);
  });
});

describe('A package that is loaded while timers are faked', () => {
  it('uses those of Node all the same', async () => {
    const listener = await listening();
    listener.on('connection', echo);
    jest.useFakeTimers();
    try {
      jest.resetModules();
      const fresh = await import('nestjs-interconnect/core');
      expect(fresh.connect).not.toBe(connect);
      const { host, port } = tcpAddressOf(listener);

      const connection = await fresh.connect({ host, port });
      const session = await connection.createSession('echo');
      const outcome = await session.send(Buffer.from('x'), { timeout: 10_000 });
      await connection.close();

      expect(outcome).toMatchObject({ data: Buffer.from('x') });
    } finally {
      jest.useRealTimers();
    }
  });
});
