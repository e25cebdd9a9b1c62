import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { ClientProxy, MessagePattern, Payload } from '@nestjs/microservices';
import { connect } from 'nestjs-interconnect/core';
import { firstValueFrom } from 'rxjs';
import type { InterconnectServerOptions } from '../../../src/nest/index.js';
import { failure } from '../support/async.js';
import { Loopback } from '../support/loopback.js';

const MIB = 1024 * 1024;
const PAYLOAD = 'x'.repeat(MIB);

@Controller()
class PayloadController {
  calls = 0;

  @MessagePattern({ cmd: 'payload' })
  payload(): string {
    this.calls += 1;
    return PAYLOAD;
  }

  @MessagePattern('length')
  length(@Payload() text: string): number {
    return text.length;
  }
}

let loopback: Loopback;
afterEach(() => loopback.close());

async function start(options: InterconnectServerOptions = {}): Promise<PayloadController> {
  loopback = await Loopback.start({
    controllers: [PayloadController],
    server: { encoding: 'json', ...options },
  });
  return loopback.app.get(PayloadController);
}

describe('what arrives', () => {
  it('is no larger than the server takes: refused before a byte of it is sent', async () => {
    await start({ maxMessageSize: MIB });
    const client = loopback.client({ encoding: 'json' });

    expect(await failure(client.send('length', `${PAYLOAD}xx`))).toMatchObject({
      code: 'IC_ERR_TOO_LARGE',
      executed: 'no',
    });
    expect(await firstValueFrom(client.send('length', PAYLOAD.slice(2)))).toBe(MIB - 2);
  });
});

describe('what is to be read', () => {
  it('arrives in full where it is read, however much it is', async () => {
    const controller = await start();
    const client: ClientProxy = loopback.client({ encoding: 'json' });

    const answers = await Promise.all(
      Array.from({ length: 20 }, () => firstValueFrom(client.send<string>({ cmd: 'payload' }, {}))),
    );

    expect(answers.every((answer) => answer === PAYLOAD)).toBe(true);
    expect(controller.calls).toBe(20);
  });

  it('does not pile up where it is not: the handlers wait', async () => {
    const controller = await start({ maxUnsettled: 8 });
    const connection = await connect({
      host: '127.0.0.1',
      port: loopback.port,
      maxMessageSize: MIB + 64,
      connectionWindow: 2 * MIB,
    });
    const session = connection.openSession('{"cmd":"payload"}');
    connection.socket.pause();
    const answers = Promise.all(Array.from({ length: 100 }, () => session.send(Buffer.from('{}'))));
    const calls = await standstill(() => controller.calls);
    connection.socket.resume();
    await answers;
    await connection.close();

    // Those that may be unsettled, and what the kernel takes.
    expect(calls).toBeLessThan(50);
    expect(controller.calls).toBe(100);
  });
});

/** What a count comes to when nothing moves it any more. */
async function standstill(count: () => number): Promise<number> {
  let seen = -1;
  for (let turns = 0; turns < 500; turns++) {
    if (count() !== seen || seen === 0) turns = 0;
    seen = count();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return seen;
}
