import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller, Injectable } from '@nestjs/common';
import type {
  BeforeApplicationShutdown,
  INestApplication,
  OnApplicationBootstrap,
  OnApplicationShutdown,
  OnModuleDestroy,
  OnModuleInit,
} from '@nestjs/common';
import { MessagePattern } from '@nestjs/microservices';
import type { MicroserviceOptions } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { InterconnectServer } from '../../../src/nest/index.js';
import { isNest11 } from '../../support/nest/nest-version.js';

const told: string[] = [];

@Injectable()
class Hooked
  implements
    OnModuleInit,
    OnApplicationBootstrap,
    OnModuleDestroy,
    BeforeApplicationShutdown,
    OnApplicationShutdown
{
  onModuleInit(): void {
    told.push('init');
  }
  onApplicationBootstrap(): void {
    told.push('bootstrap');
  }
  onModuleDestroy(): void {
    told.push('destroy');
  }
  beforeApplicationShutdown(): void {
    told.push('before shutdown');
  }
  onApplicationShutdown(): void {
    told.push('shutdown');
  }
}

@Controller()
class PingController {
  @MessagePattern({ cmd: 'ping' })
  ping(): string {
    return 'pong';
  }
}

let app: INestApplication | undefined;
afterEach(() => app?.close());

async function hybrid(): Promise<[INestApplication, InterconnectServer]> {
  told.length = 0;
  const module = await Test.createTestingModule({
    controllers: [PingController],
    providers: [Hooked],
  }).compile();
  app = module.createNestApplication();
  const server = new InterconnectServer({ host: '127.0.0.1', port: 0, encoding: 'json' });
  server.on('listening', () => told.push('listening'));
  server.on('close', () => told.push('closed'));
  return [app, server];
}

describe('a hybrid application', () => {
  // Nest 11 leaves there what the microservice listens with, for every transport.
  const left = isNest11 ? 1 : 0;

  it(`leaves ${left} signal listeners of its microservice behind when it closes`, async () => {
    const before = process.listenerCount('SIGTERM');
    const [application, strategy] = await hybrid();
    const microservice = application.connectMicroservice<MicroserviceOptions>({ strategy });
    microservice.enableShutdownHooks(['SIGTERM']);
    expect(process.listenerCount('SIGTERM')).toBe(before + 1);
    await application.startAllMicroservices();
    await application.init();

    await application.close();

    expect(process.listenerCount('SIGTERM')).toBe(before + left);
    for (const listener of process.listeners('SIGTERM').slice(before)) {
      process.removeListener('SIGTERM', listener);
    }
  });

  it('runs its hooks in the order that Nest has for every transport', async () => {
    const [application, strategy] = await hybrid();
    application.connectMicroservice<MicroserviceOptions>({ strategy });
    await application.init();
    await application.startAllMicroservices();

    await application.close();

    expect(told).toEqual([
      'init',
      'bootstrap',
      'listening',
      'destroy',
      'before shutdown',
      'closed',
      'shutdown',
    ]);
  });
});
