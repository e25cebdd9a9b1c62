import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller, Injectable, Module } from '@nestjs/common';
import type { INestMicroservice } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ClientProxy, ClientsModule, MessagePattern, Payload } from '@nestjs/microservices';
import type { AsyncMicroserviceOptions } from '@nestjs/microservices';
import { lastValueFrom } from 'rxjs';
import { InterconnectClient, InterconnectServer } from '../../../src/nest/index.js';
import { freePort } from '../../support/tcp-suite/sum-application.js';

let app: INestMicroservice;
afterEach(() => app.close());

describe('a microservice whose options come from a factory', () => {
  it('serves a client that it provides itself', async () => {
    const options = { host: '127.0.0.1', port: await freePort(), encoding: 'json' as const };

    @Injectable()
    class Options {
      createStrategy(): InterconnectServer {
        return new InterconnectServer(options);
      }
    }

    @Controller()
    class SumController {
      @MessagePattern({ cmd: 'sum' })
      sum(@Payload() numbers: number[]): number {
        return numbers.reduce((a, b) => a + b, 0);
      }
    }

    @Module({
      imports: [
        ClientsModule.register([{ name: 'CLIENT', customClass: InterconnectClient, options }]),
      ],
      controllers: [SumController],
      providers: [Options],
    })
    class SumModule {}

    app = await NestFactory.createMicroservice<AsyncMicroserviceOptions>(SumModule, {
      logger: false,
      inject: [Options],
      useFactory: (provided: Options) => ({ strategy: provided.createStrategy() }),
    });
    await app.listen();
    const client: ClientProxy = app.get('CLIENT', { strict: false });

    expect(await lastValueFrom(client.send<number>({ cmd: 'sum' }, [1, 2, 3, 4, 5]))).toBe(15);
  });
});
