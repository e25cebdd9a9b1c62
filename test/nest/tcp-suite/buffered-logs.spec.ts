import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Module } from '@nestjs/common';
import type { LoggerService } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { MicroserviceOptions } from '@nestjs/microservices';
import { InterconnectServer } from '../../../src/nest/index.js';
import { isNest11 } from '../../support/nest/nest-version.js';

@Module({})
class EmptyModule {}

class Collector implements LoggerService {
  readonly lines: string[] = [];

  log(message: unknown): void {
    this.lines.push(String(message));
  }
  error(message: unknown): void {
    this.lines.push(String(message));
  }
  warn(message: unknown): void {
    this.lines.push(String(message));
  }
}

let app: { close(): Promise<unknown> };
let logger: Collector;
beforeEach(() => {
  logger = new Collector();
});
afterEach(() => app.close());

function strategy(): InterconnectServer {
  return new InterconnectServer({ host: '127.0.0.1', port: 0, encoding: 'json' });
}

// Nest 11 keeps them until it listens, for every transport.
const start = isNest11 ? 'listen' : 'init';

describe('buffered logs', () => {
  it(`are written at ${start}()`, async () => {
    const microservice = await NestFactory.createMicroservice<MicroserviceOptions>(EmptyModule, {
      strategy: strategy(),
      bufferLogs: true,
      logger,
    });
    app = microservice;
    expect(logger.lines).toEqual([]);

    await microservice[start]();

    expect(logger.lines).toContain('Starting Nest application...');
  });

  it('are kept where nobody wants them flushed by themselves', async () => {
    const microservice = await NestFactory.createMicroservice<MicroserviceOptions>(EmptyModule, {
      strategy: strategy(),
      bufferLogs: true,
      autoFlushLogs: false,
      logger,
    });
    app = microservice;
    await microservice.init();
    expect(logger.lines).toEqual([]);

    microservice.flushLogs();

    expect(logger.lines).toContain('Starting Nest application...');
  });

  it(`of a hybrid application are written at its ${start}()`, async () => {
    const hybrid = await NestFactory.create(EmptyModule, { bufferLogs: true, logger });
    app = hybrid;
    hybrid.connectMicroservice<MicroserviceOptions>({ strategy: strategy() });
    expect(logger.lines).toEqual([]);

    await hybrid[start](0);

    expect(logger.lines).toContain('Nest application successfully started');
  });
});
