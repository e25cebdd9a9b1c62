/** What a server's log says of those who come to nothing: health checks, other protocols, too many at once. */
import { connect as connectTcp } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { MessagePattern } from '@nestjs/microservices';
import type {
  DroppedSocket,
  InterconnectServerOptions,
  Stranger,
} from '../../../src/nest/index.js';
import { certificates } from '../../support/peers/certificates.js';
import { ManualClock } from '../../support/sim/manual-clock.js';
import { proxyV1 } from '../../support/peers/proxy-headers.js';
import { until } from '../../support/nest/async.js';
import { Loopback } from '../../support/nest/loopback.js';

@Controller()
class EchoController {
  @MessagePattern('echo')
  echo(data: Buffer): Buffer {
    return data;
  }
}

const ends: (() => unknown)[] = [];

afterEach(async () => {
  for (let end = ends.pop(); end !== undefined; end = ends.pop()) await end();
});

async function serve(server: InterconnectServerOptions = {}): Promise<Loopback> {
  const loopback = await Loopback.start({ controllers: [EchoController], server });
  ends.push(() => loopback.close());
  return loopback;
}

/** Says this and waits for the end; with nothing to say, it ends by itself as it is told to. */
function knock(port: number, words: Buffer | string, how?: 'end' | 'resetAndDestroy' | 'destroy') {
  const socket = connectTcp(port, '127.0.0.1');
  ends.push(() => socket.destroy());
  socket.on('error', () => undefined);
  socket.resume();
  socket.once('connect', () => {
    if (words.length > 0) socket.write(words);
    if (how !== undefined) socket[how]();
  });
  return new Promise<void>((resolve) => socket.once('close', () => resolve()));
}

async function options(kind: string): Promise<InterconnectServerOptions> {
  return kind === 'TLS' ? { tlsOptions: (await certificates()).server } : {};
}

/** Lines that anybody reads. */
function linesOf({ log }: Loopback): string[] {
  return (['log', 'warn', 'error'] as const).flatMap((level) => log.find(level, ''));
}

describe.each(['plain', 'TLS'])('a server (%s)', (kind) => {
  it('says nothing of who ends without a word', async () => {
    const loopback = await serve(await options(kind));
    const before = linesOf(loopback);

    for (const how of ['end', 'resetAndDestroy', 'destroy'] as const) {
      for (let count = 0; count < 5; count++) await knock(loopback.port, '', how);
    }
    await knock(loopback.port, 'GET / HTTP/1.1\r\n\r\n');

    await until(() => linesOf(loopback).length > before.length);
    expect(linesOf(loopback).slice(before.length)).toEqual([expect.stringContaining('HTTP')]);
  });

  it('says who it was and what it looked like, and once in a while', async () => {
    const clock = new ManualClock();
    const loopback = await serve({ ...(await options(kind)), clock });
    const strangers: Stranger[] = [];
    loopback.server.on('stranger', (stranger) => strangers.push(stranger));

    for (let count = 0; count < 20; count++) await knock(loopback.port, 'SSH-2.0-x\r\n');
    await knock(loopback.port, proxyV1('TCP4 192.0.2.1 192.0.2.2 5000 5000'));
    await until(() => strangers.length === 21);
    clock.advance(1000);

    const lines = loopback.log.find('warn', 'A socket of 127.0.0.1:');
    expect(lines).toHaveLength(3);
    expect(lines[0]).toMatch(
      /^A socket of 127\.0\.0\.1:\d+ was ended\. .*this looks like an SSH peer/i,
    );
    expect(lines[1]).toContain('the PROXY protocol, version 1');
    expect(lines[1]).toContain('set proxyProtocol');
    expect(lines[2]).toContain('19 more times');
  });

  it('says whom it drops', async () => {
    const clock = new ManualClock();
    const loopback = await serve({ ...(await options(kind)), clock, maxConnections: 1 });
    const dropped: DroppedSocket[] = [];
    loopback.server.on('drop', (socket) => dropped.push(socket));

    // Each newcomer gets the place of the one before, which has said nothing.
    for (let count = 0; count < 6; count++) void knock(loopback.port, '');
    await until(() => dropped.length === 5);
    clock.advance(1000);

    const lines = loopback.log.find('warn', 'maxConnections');
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatch(/^A socket of 127\.0\.0\.1:\d+ was dropped/);
    expect(lines[1]).toContain('4 more times');
  });
});

describe('a server with TLS', () => {
  it('says whose TLS handshake failed', async () => {
    const loopback = await serve(await options('TLS'));

    await knock(loopback.port, Buffer.from('1603010005ff00000000', 'hex'));

    const warned = (): string[] => loopback.log.find('warn', '');
    await until(() => warned().length === 1);
    expect(warned()[0]).toMatch(/^The TLS handshake with 127\.0\.0\.1 failed: /);
  });
});

describe('a server behind a balancer', () => {
  it('names those who come through it by the addresses that it tells', async () => {
    const loopback = await serve({ proxyProtocol: { from: ['127.0.0.1'] } });
    const header = proxyV1('TCP4 192.0.2.7 192.0.2.1 4711 5000');

    await knock(loopback.port, Buffer.concat([header, Buffer.from('SSH-2.0-x\r\n')]));

    const warned = (): string[] => loopback.log.find('warn', '');
    await until(() => warned().length === 1);
    expect(warned()[0]).toContain('A socket of 192.0.2.7:4711 was ended.');
  });
});
