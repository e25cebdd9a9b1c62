import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import type { INestApplication } from '@nestjs/common';
import { ClientProxy, MessagePattern, RpcException } from '@nestjs/microservices';
import type { MicroserviceOptions } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { firstValueFrom, throwError } from 'rxjs';
import { InterconnectClient, InterconnectServer } from '../../../src/nest/index.js';
import { portOf } from '../../support/nest/loopback.js';

@Controller()
class SumController {
  @MessagePattern({ cmd: 'sum' })
  sum(data: number[]): number {
    return data.reduce((a, b) => a + b, 0);
  }

  @MessagePattern({ cmd: 'fail' })
  fail(): never {
    throw new RpcException('failed');
  }
}

let app: INestApplication;
let client: ClientProxy;
afterEach(async () => {
  await client.close();
  await app.close();
});

/** All four kinds, each of which notes that it was called. */
function spies(called: string[]) {
  return {
    guard: { canActivate: () => Boolean(called.push('guard')) },
    interceptor: {
      intercept: (_context: unknown, next: { handle(): never }) => {
        called.push('interceptor');
        return next.handle();
      },
    },
    pipe: {
      transform: (value: unknown) => {
        called.push('pipe');
        return value;
      },
    },
    filter: {
      catch: (exception: unknown) => {
        called.push('filter');
        return throwError(() => exception);
      },
    },
  };
}

async function start(
  configure: (
    application: INestApplication,
    server: InterconnectServer,
    all: ReturnType<typeof spies>,
  ) => void,
): Promise<string[]> {
  const called: string[] = [];
  const module = await Test.createTestingModule({ controllers: [SumController] }).compile();
  app = module.createNestApplication();
  const server = new InterconnectServer({ host: '127.0.0.1', port: 0, encoding: 'json' });
  configure(app, server, spies(called));
  await app.startAllMicroservices();
  await app.init();
  const port = portOf(server.unwrap().address());
  client = new InterconnectClient({ host: '127.0.0.1', port, encoding: 'json' });

  expect(await firstValueFrom(client.send({ cmd: 'sum' }, [1, 2, 3]))).toBe(6);
  await firstValueFrom(client.send({ cmd: 'fail' }, [])).catch(() => undefined);
  return called;
}

const CALLED = ['guard', 'interceptor', 'pipe', 'guard', 'interceptor', 'pipe', 'filter'];

describe('global enhancers', () => {
  // Without `deferInitialization`, Nest 12 binds the handlers before there are any, for TCP too.
  it('of the microservice are applied', async () => {
    const called = await start((application, server, { guard, interceptor, pipe, filter }) => {
      const microservice = application.connectMicroservice<MicroserviceOptions>(
        { strategy: server },
        { deferInitialization: true },
      );
      microservice
        .useGlobalGuards(guard)
        .useGlobalInterceptors(interceptor)
        .useGlobalPipes(pipe)
        .useGlobalFilters(filter);
    });

    expect(called).toEqual(CALLED);
  });

  it('of the application are applied, where they are inherited', async () => {
    const called = await start((application, server, { guard, interceptor, pipe, filter }) => {
      application.useGlobalGuards(guard);
      application.useGlobalInterceptors(interceptor);
      application.useGlobalPipes(pipe);
      application.useGlobalFilters(filter);
      application.connectMicroservice<MicroserviceOptions>(
        { strategy: server },
        { inheritAppConfig: true },
      );
    });

    expect(called).toEqual(CALLED);
  });

  it('of the application are not applied otherwise', async () => {
    const called = await start((application, server, { guard }) => {
      application.useGlobalGuards(guard);
      application.connectMicroservice<MicroserviceOptions>({ strategy: server });
    });

    expect(called).toEqual([]);
  });
});
