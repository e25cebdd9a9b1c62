import { afterEach, describe, expect, it } from '@jest/globals';
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { InterconnectClient } from '../../../src/nest/index.js';
import type { InterconnectStatus } from '../../../src/nest/index.js';
import { certificates } from '../../support/peers/certificates.js';
import { failure, until } from '../../support/nest/async.js';
import { Loopback } from '../../support/nest/loopback.js';

let client: InterconnectClient;
let end: () => unknown;
afterEach(async () => {
  await client.close();
  await end();
});

function observed(options: { port: number; tlsOptions: object }): InterconnectStatus[] {
  const statuses: InterconnectStatus[] = [];
  client = new InterconnectClient({ host: '127.0.0.1', encoding: 'json', ...options });
  client.status.subscribe((status) => statuses.push(status));
  return statuses;
}

/** Takes sockets, and never speaks TLS. */
async function stalledServer(): Promise<{ port: number; sockets: Socket[] }> {
  const sockets: Socket[] = [];
  const server: Server = createServer((socket) => sockets.push(socket.resume()));
  end = () => server.close();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: (server.address() as AddressInfo).port, sockets };
}

async function tlsServer(): Promise<{ port: number; ca: string }> {
  const { ca, server } = await certificates();
  const loopback = await Loopback.start({ server: { encoding: 'json', tlsOptions: server } });
  end = () => loopback.close();
  return { port: loopback.port, ca };
}

describe('a client with TLS', () => {
  it('is not connected before the handshake is over, and gives it up when it is closed', async () => {
    const { port, sockets } = await stalledServer();
    const statuses = observed({ port, tlsOptions: {} });
    let isSettled = false;
    const connecting = failure(client.connect()).finally(() => (isSettled = true));
    await until(() => sockets.length > 0);
    await new Promise((resolve) => setImmediate(resolve));
    expect([isSettled, statuses]).toEqual([false, []]);

    await client.close();

    expect(await connecting).toMatchObject({ code: 'IC_ERR_CLOSED' });
    await until(() => sockets.every(({ destroyed }) => destroyed));
    expect(statuses).not.toContain('connected');
  });

  it('is connected after it', async () => {
    const { port, ca } = await tlsServer();
    const statuses = observed({ port, tlsOptions: { ca } });

    await client.connect();

    expect(statuses).toEqual(['connected']);
    const socket = client.unwrap();
    expect(socket).toBeInstanceOf(TLSSocket);
    expect((socket as TLSSocket).getCipher().name).not.toBe('');
  });

  it('never is where it does not trust the server', async () => {
    const { port } = await tlsServer();
    const statuses = observed({ port, tlsOptions: {} });

    expect(await failure(client.connect())).toMatchObject({ code: 'IC_ERR_CONNECT' });

    expect(statuses).toEqual(['disconnected']);
  });
});
