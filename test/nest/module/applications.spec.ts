import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller, Get, Injectable, Module } from '@nestjs/common';
import type { OnApplicationShutdown } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Ctx, EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import type { AsyncMicroserviceOptions, MicroserviceOptions } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { firstValueFrom } from 'rxjs';
import {
  INTERCONNECT_TRANSPORT,
  InterconnectClient,
  InterconnectContext,
  InterconnectException,
  InterconnectModule,
  InterconnectServer,
} from '../../../src/nest/index.js';
import { failureOf } from '../../support/nest/async.js';
import { LogRecorder } from '../../support/nest/log-recorder.js';
import { portOf } from '../../support/nest/loopback.js';

const INTERNAL = Symbol.for('test.internal');

@Injectable()
class Ending implements OnApplicationShutdown {
  ended = 0;

  onApplicationShutdown(): void {
    this.ended += 1;
  }
}

@Controller()
class AppController {
  @Get()
  page(): string {
    return 'page';
  }

  @MessagePattern('echo')
  echo(@Payload() data: Buffer): Buffer {
    return data;
  }

  @MessagePattern('public only', INTERCONNECT_TRANSPORT)
  publicOnly(): Buffer {
    return Buffer.from('public');
  }

  @MessagePattern('internal only', INTERNAL)
  internalOnly(): Buffer {
    return Buffer.from('internal');
  }

  @EventPattern<unknown>('noted')
  noted(@Payload() _data: Buffer, @Ctx() _context: InterconnectContext): void {}
}

@Module({ controllers: [AppController], providers: [Ending] })
class AppModule {}

const open: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

function keep<T extends { close(): Promise<unknown> }>(resource: T): T {
  open.push(resource);
  return resource;
}

async function call(port: number, pattern: string): Promise<string> {
  const client = keep(new InterconnectClient({ host: '127.0.0.1', port }));
  const answer = await firstValueFrom(client.send(pattern, Buffer.from('x')));
  return answer.toString();
}

function strategy(transportId?: symbol): InterconnectServer {
  return new InterconnectServer({
    host: '127.0.0.1',
    port: 0,
    ...(transportId !== undefined && { transportId }),
  });
}

function portOfServer(server: InterconnectServer): number {
  return portOf(server.unwrap().address());
}

describe('a pure microservice', () => {
  it('serves, and resolves listen() with the bound address', async () => {
    const app = keep(
      await NestFactory.createMicroservice<MicroserviceOptions>(AppModule, {
        strategy: strategy(),
        logger: LogRecorder.install(),
      }),
    );

    const address: unknown = await app.listen();

    expect(await call(portOf(address), 'echo')).toBe('x');
  });

  it('takes its strategy from a factory with injected settings', async () => {
    @Module({
      imports: [InterconnectModule.forRoot({ server: { host: '127.0.0.1', port: 0 } })],
      controllers: [AppController],
      providers: [Ending],
    })
    class ConfiguredModule {}
    const options: AsyncMicroserviceOptions = {
      inject: [InterconnectServer],
      useFactory: (server: InterconnectServer) => ({ strategy: server }),
    };
    const app = keep(
      await NestFactory.createMicroservice<AsyncMicroserviceOptions>(ConfiguredModule, {
        ...options,
        logger: LogRecorder.install(),
      }),
    );

    expect(await call(portOf(await app.listen()), 'echo')).toBe('x');
  });

  it('may be closed twice', async () => {
    const app = await NestFactory.createMicroservice<MicroserviceOptions>(AppModule, {
      strategy: strategy(),
      logger: LogRecorder.install(),
    });
    await app.listen();

    await app.close();

    await expect(app.close()).resolves.toBeUndefined();
    expect(app.get(Ending).ended).toBe(1);
  });
});

describe('a hybrid application', () => {
  async function hybrid() {
    LogRecorder.install();
    const module = await Test.createTestingModule({ imports: [AppModule] }).compile();
    return keep(module.createNestApplication());
  }

  it('serves HTTP and Interconnect side by side', async () => {
    const app = await hybrid();
    const server = strategy();
    app.connectMicroservice<MicroserviceOptions>({ strategy: server });
    await app.startAllMicroservices();
    await app.listen(0, '127.0.0.1');

    const page = await fetch(`${await app.getUrl()}/`);

    expect(await page.text()).toBe('page');
    expect(await call(portOfServer(server), 'echo')).toBe('x');
  });

  it('fails to start when a microservice cannot listen', async () => {
    const app = await hybrid();
    app.connectMicroservice<MicroserviceOptions>({
      strategy: new InterconnectServer({ host: '192.0.2.1', port: 0 }),
    });

    expect(await failureOf(Error, app.startAllMicroservices())).toMatchObject({
      code: 'IC_ERR_LISTEN',
    });
  });

  it('gives each of two servers the handlers of its own id, and those of none', async () => {
    const app = await hybrid();
    const outer = strategy();
    const inner = strategy(INTERNAL);
    app.connectMicroservice<MicroserviceOptions>({ strategy: outer });
    app.connectMicroservice<MicroserviceOptions>({ strategy: inner });
    await app.startAllMicroservices();

    expect(await call(portOfServer(outer), 'public only')).toBe('public');
    expect(await call(portOfServer(inner), 'internal only')).toBe('internal');
    expect(await call(portOfServer(inner), 'echo')).toBe('x');
    await failureOf(InterconnectException, call(portOfServer(outer), 'internal only'));
    await failureOf(InterconnectException, call(portOfServer(inner), 'public only'));
  });

  it.each([
    [{ inheritAppConfig: true }, 'X'],
    [{ inheritAppConfig: false }, 'x'],
  ])('applies its global enhancers as Nest says: %p', async (hybridOptions, answer) => {
    const app = await hybrid();
    app.useGlobalPipes({ transform: upperCase });
    const server = strategy();
    app.connectMicroservice<MicroserviceOptions>({ strategy: server }, hybridOptions);
    await app.startAllMicroservices();

    expect(await call(portOfServer(server), 'echo')).toBe(answer);
  });

  it('may bind its handlers late: deferInitialization', async () => {
    const app = await hybrid();
    const server = strategy();
    const microservice = app.connectMicroservice<MicroserviceOptions>(
      { strategy: server },
      { deferInitialization: true },
    );
    microservice.useGlobalPipes({ transform: upperCase });
    await app.startAllMicroservices();

    expect(await call(portOfServer(server), 'echo')).toBe('X');
  });

  it('closes the server, then runs the shutdown hooks once', async () => {
    const app = await hybrid();
    const server = strategy();
    app.connectMicroservice<MicroserviceOptions>({ strategy: server });
    await app.startAllMicroservices();
    await app.init();

    await app.close();

    expect(() => server.unwrap()).toThrow('Not initialized');
    expect(app.get(Ending).ended).toBe(1);
  });
});

function upperCase(value: unknown): unknown {
  return Buffer.isBuffer(value) ? Buffer.from(value.toString().toUpperCase()) : value;
}
