import { describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { MessagePattern, Payload } from '@nestjs/microservices';
import { inspect } from 'node:util';
import { InterconnectClient, InterconnectServer } from '../../../src/nest/index.js';
import { certificates } from '../../support/peers/certificates.js';
import { afterTest } from '../../support/after-test.js';
import { until } from '../../support/nest/async.js';
import { Loopback } from '../../support/nest/loopback.js';

const SECRET = 'a-secret-of-32-octets-0123456789';

@Controller()
class EchoController {
  @MessagePattern('echo')
  echo(@Payload() data: Buffer): Buffer {
    return data;
  }
}

/** Every form in which an inspection or a structured log shows the octets of a text. */
function formsOf(text: string): string[] {
  const bytes = Buffer.from(text);
  const start = bytes.subarray(0, 12);
  return [
    text.slice(0, 12),
    start.toString('hex'),
    [...start].map((octet) => octet.toString(16).padStart(2, '0')).join(' '),
    [...start].join(','),
    [...start].join(', '),
    start.toString('base64').slice(0, 12),
  ];
}

function shown(value: unknown): string {
  const seen = new WeakSet();
  const json = JSON.stringify(value, (_key, each: unknown) => {
    if (typeof each === 'bigint') return String(each);
    if (typeof each !== 'object' || each === null) return each;
    if (seen.has(each)) return undefined;
    seen.add(each);
    return each instanceof Map || each instanceof Set ? [...each] : each;
  });
  const options = { depth: 12, showHidden: true, maxArrayLength: 1000, breakLength: Infinity };
  return `${inspect(value)}\n${inspect(value, options)}\n${json}`;
}

function expectNoSecret(value: unknown, ...secrets: string[]): void {
  const text = shown(value);
  for (const secret of secrets) {
    for (const form of formsOf(secret)) expect(text.includes(form)).toBe(false);
  }
}

describe('secrets are in no inspection', () => {
  it('of a server with a key, before and while it listens', async () => {
    const { key, cert } = (await certificates()).server;
    const words = key.split('\n')[1] ?? '';
    const tlsOptions = { key, cert, passphrase: SECRET, ticketKeys: Buffer.alloc(48, 'T') };
    const server = new InterconnectServer({ tlsOptions });

    expectNoSecret(server, words, SECRET, 'T'.repeat(48));
    expect(words).not.toBe('');
  });

  it('of a server, a client and a peer with connect data and metadata', async () => {
    const loopback = await Loopback.start({ controllers: [EchoController] });
    afterTest(() => loopback.close());
    const client = loopback.client({
      data: Buffer.from(SECRET),
      metadata: { authorization: SECRET },
    });
    expectNoSecret(client, SECRET);
    await client.request('echo', Buffer.alloc(1));
    await until(() => loopback.server.peers.size === 1);
    const [peer] = loopback.server.peers;
    await peer?.client.request('none', Buffer.alloc(1)).catch(() => undefined);

    expectNoSecret(inspect(client), SECRET);
    expectNoSecret(inspect(peer), SECRET);
    expectNoSecret(inspect(loopback.server), SECRET);
  });

  it('of a server that connects', () => {
    const connect = { data: Buffer.from(SECRET), tlsOptions: { passphrase: SECRET, key: SECRET } };

    expectNoSecret(new InterconnectServer({ connect }), SECRET);
    expectNoSecret(new InterconnectClient({ ...connect, metadata: { token: SECRET } }), SECRET);
  });
});
