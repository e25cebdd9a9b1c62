import { describe, expect, it } from '@jest/globals';
import { connect } from 'nestjs-interconnect/core';
import { afterTest } from '../../support/after-test.js';
import {
  addressOf,
  connected,
  dial,
  echo,
  listening,
  tcpAddressOf,
} from '../../support/peers/connected.js';

describe('a connection over TCP', () => {
  it.each([
    ['IPv4', '127.0.0.1'],
    ['IPv6', '::1'],
  ])('runs over %s [IC-2.1]', async (family, host) => {
    const { listener, acceptor, dialer } = await connected({ host });
    echo(acceptor);

    const session = await dialer.createSession('echo');
    const outcome = await session.send(Buffer.from('over the wire'));

    expect(outcome).toMatchObject({ accepted: true, data: Buffer.from('over the wire') });
    expect(tcpAddressOf(listener)).toEqual({ host, family, port: expect.any(Number) });
  });

  it('finds a listener by the name that both sides use if they name none', async () => {
    const listener = await listening({ host: 'localhost' });
    const connection = await connect({ port: tcpAddressOf(listener).port });
    afterTest(() => connection.close());

    expect(connection.status).toBe('open');
  });

  it('reaches a listener on all addresses over IPv4 and IPv6', async () => {
    const listener = await listening({ host: '::' });
    const { port } = tcpAddressOf(listener);

    const four = await dial(listener, { host: '127.0.0.1', port });
    const six = await dial(listener, { host: '::1', port });

    expect([four.status, six.status]).toEqual(['open', 'open']);
  });

  it('tells each side who the other is', async () => {
    const { listener, acceptor, dialer } = await connected(
      { agent: 'the listener' },
      { agent: 'the dialer' },
    );

    expect(dialer.peer).toEqual({
      agent: 'the listener',
      address: '127.0.0.1',
      port: tcpAddressOf(listener).port,
      encrypted: false,
      authorized: false,
      certificate: undefined,
    });
    expect(acceptor.peer).toMatchObject({ agent: 'the dialer', address: '127.0.0.1' });
    expect(acceptor.peer.port).toBe(dialer.socket.localPort);
  });

  it('numbers the connections of a process', async () => {
    const { acceptor, dialer } = await connected();

    expect(acceptor.id).toMatch(/^connection-\d+$/);
    expect(dialer.id).not.toBe(acceptor.id);
  });

  it('is in the set of the listener while it lasts', async () => {
    const { listener, acceptor, dialer } = await connected();
    expect([...listener.connections]).toEqual([acceptor]);

    await Promise.all([dialer.close(), acceptor.close()]);

    expect(listener.connections.size).toBe(0);
  });

  it('reports the port that the system chose', async () => {
    const listener = await listening();

    expect(addressOf(listener)).toEqual({ host: '127.0.0.1', port: expect.any(Number) });
    expect(tcpAddressOf(listener).port).toBeGreaterThan(0);
    expect(listener.server?.address()).toMatchObject({ port: tcpAddressOf(listener).port });
  });
});
