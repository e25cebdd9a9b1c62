import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ClientsModule, EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { lastValueFrom } from 'rxjs';
import {
  InterconnectClient,
  InterconnectError,
  InterconnectModule,
} from '../../../src/nest/index.js';
import type { InterconnectClientOptions } from '../../../src/nest/index.js';
import { ManualClock } from '../../support/sim/manual-clock.js';
import { deferred, failureOf, until } from '../../support/nest/async.js';
import { Loopback } from '../../support/nest/loopback.js';
import { freePort } from '../../support/tcp-suite/sum-application.js';

const bytes = Buffer.from('bytes');

@Controller()
class WorkController {
  readonly begun = deferred();
  readonly gate = deferred();
  events = 0;

  @EventPattern('event')
  event(@Payload() _data: Buffer): void {
    this.events += 1;
  }

  @MessagePattern('slow')
  async slow(@Payload() data: Buffer): Promise<Buffer> {
    this.begun.resolve();
    await this.gate.promise;
    return data;
  }
}

let loopback: Loopback;
let work: WorkController;

beforeEach(async () => {
  loopback = await Loopback.start({ controllers: [WorkController] });
  work = loopback.app.get(WorkController);
});
afterEach(async () => {
  work.gate.resolve();
  await loopback.close();
});

function client(options: InterconnectClientOptions = {}): InterconnectClient {
  return loopback.client({ shutdownTimeout: 10_000, ...options });
}

describe('a client that is closed', () => {
  it.each([
    ['connected', true, {}],
    ['connected, one-way', true, { oneWay: true }],
    ['not connected yet', false, {}],
    ['not connected yet, one-way', false, { oneWay: true }],
  ])('lets what was emitted go out: %s', async (_how, isConnected, options) => {
    const closing = client(options);
    if (isConnected) await closing.connect();

    const emitted = Array.from({ length: 2000 }, () => lastValueFrom(closing.emit('event', bytes)));
    await closing.close();

    await expect(Promise.all(emitted)).resolves.toHaveLength(2000);
    await until(() => work.events === 2000);
  });

  it('waits for what runs, and takes its answer', async () => {
    const closing = client();
    const answer = closing.request('slow', bytes);
    await work.begun.promise;
    let isClosed = false;

    const closed = closing.close().then(() => (isClosed = true));
    await new Promise((resolve) => setImmediate(resolve));
    expect(isClosed).toBe(false);
    work.gate.resolve();

    expect(await answer).toEqual(bytes);
    await closed;
  });

  it('waits no longer than its shutdownTimeout, and says what may have run', async () => {
    const clock = new ManualClock();
    const closing = client({ clock, idleTimeout: 0, shutdownTimeout: 3000 });
    const running = failureOf(InterconnectError, closing.request('slow', bytes));
    await work.begun.promise;

    const closed = closing.close();
    clock.advance(2999);
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(1);

    expect(await running).toMatchObject({ code: 'IC_ERR_CLOSED', executed: 'maybe' });
    clock.advance(1000);
    await closed;
    await until(() => clock.pending === 0);
  });

  it('fails what was never written, and says that it did not run', async () => {
    const clock = new ManualClock();
    const port = await freePort();
    const closing = client({ clock, port, whenOffline: 'wait', shutdownTimeout: 3000 });
    const waiting = failureOf(InterconnectError, closing.request('slow', bytes));

    const closed = closing.close();
    clock.advance(3000);

    expect(await waiting).toMatchObject({ code: 'IC_ERR_CLOSED', executed: 'no' });
    await closed;
  });

  it('does not wait longer for a server than calls do', async () => {
    const clock = new ManualClock();
    const closing = client({ clock, port: await freePort(), whenOffline: 1000 });
    const waiting = failureOf(InterconnectError, closing.request('slow', bytes));

    const closed = closing.close();
    clock.advance(1000);

    expect(await waiting).toMatchObject({ code: 'IC_ERR_OFFLINE', executed: 'no' });
    await closed;
  });

  it('does not wait if there is nothing to wait for', async () => {
    const clock = new ManualClock();
    const closing = client({ clock, port: await freePort() });
    const connecting = failureOf(InterconnectError, closing.connect());

    await closing.close();

    expect((await connecting).code).toBe('IC_ERR_CLOSED');
    await until(() => clock.pending === 0);
  });

  it.each([-1, 0.5, 2 ** 31])('takes no time of %p', async (shutdownTimeout) => {
    const error = await failureOf(InterconnectError, client({ shutdownTimeout }).connect());

    expect(error.code).toBe('IC_ERR_OPTION');
    expect(error.message).toContain('shutdownTimeout must be an integer from 0');
  });
});

describe('an application that ends', () => {
  @Module({})
  class ScriptModule {}

  it.each(['InterconnectModule', 'ClientsModule'] as const)(
    'lets the events go out that its client of %s has emitted',
    async (kind) => {
      const options = { host: '127.0.0.1', port: loopback.port };
      const imports = {
        InterconnectModule: InterconnectModule.forRoot({ client: options }),
        ClientsModule: ClientsModule.register([
          { name: 'HUB', customClass: InterconnectClient, options },
        ]),
      };
      const script = await NestFactory.createApplicationContext(
        { module: ScriptModule, imports: [imports[kind]] },
        { logger: false },
      );
      const emitting = script.get<InterconnectClient>(
        kind === 'ClientsModule' ? 'HUB' : InterconnectClient,
        { strict: false },
      );

      for (let count = 0; count < 20; count++) emitting.emit('event', bytes);
      await script.close();

      expect(work.events).toBe(20);
    },
  );
});
