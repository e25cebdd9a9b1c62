/** The role `nest`: a Nest application. */
import 'reflect-metadata';
import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { InterconnectServer } from 'nestjs-interconnect';
import type { Certificates } from '../support/peers/certificates.js';
import type { ServerSetting } from './program.js';
import { answer } from './questions.js';
import { counters, forget, held, listenerOptions, work } from './work.js';

@Controller()
class VictimController {
  @MessagePattern('echo')
  echo(@Payload() data: unknown) {
    return work.echo(data);
  }

  @MessagePattern('rows')
  rows() {
    return work.rows();
  }

  @MessagePattern('empties')
  empties() {
    return work.empties();
  }

  @MessagePattern('big')
  big() {
    return work.big();
  }

  @MessagePattern('slow')
  slow() {
    return work.slow();
  }

  @MessagePattern('hold')
  hold() {
    return work.hold();
  }

  @MessagePattern('gate', { concurrency: 1 })
  gate() {
    return work.gate();
  }

  @MessagePattern('upload', { stream: true })
  upload(@Payload() body: AsyncIterable<unknown>) {
    return work.upload(body);
  }

  @MessagePattern('fault')
  fault() {
    throw new Error('A fault of the handler.');
  }

  @EventPattern('told')
  told(@Payload() data: unknown) {
    throw new Error(`A fault of the event handler: ${String(data)}`);
  }
}

@Module({ controllers: [VictimController] })
class VictimModule {}

answer({
  start: async (order: { setting: ServerSetting; certificates?: Certificates }) => {
    const { tls, ...options } = listenerOptions(order.setting, order.certificates);
    const strategy = new InterconnectServer({
      ...options,
      encoding: order.setting.encoding,
      tlsOptions: tls,
    });
    const app = await NestFactory.createMicroservice(VictimModule, {
      strategy,
      logger: ['log', 'warn', 'error'],
    });
    const address: unknown = await app.listen();
    return typeof address === 'object' && address !== null && 'port' in address
      ? address.port
      : undefined;
  },
  held,
  forget,
  counters: () => ({ ...counters(), failures: {}, words: '' }),
});
