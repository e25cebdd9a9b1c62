/**
 * An application of a user. `package.spec.ts` compiles it as a CommonJS and as an ES module, and runs both with
 * the package as it is published; it prints in one line of JSON what came of it.
 */
import 'reflect-metadata';
import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ClientProxy, Ctx, MessagePattern, Payload, RpcException } from '@nestjs/microservices';
import {
  Code,
  InterconnectClient,
  InterconnectContext,
  InterconnectException,
  InterconnectServer,
} from 'nestjs-interconnect';
import { connect } from 'nestjs-interconnect/core';
import { createInterconnectContext } from 'nestjs-interconnect/testing';

@Controller()
class EchoController {
  @MessagePattern('echo')
  echo(@Payload() data: Buffer, @Ctx() context: InterconnectContext): Buffer {
    return Buffer.from(`${data.toString()} ${context.getPattern()}`);
  }

  @MessagePattern('refused')
  refused(): never {
    throw new InterconnectException(Code.REFUSED, 'no');
  }
}

@Module({ controllers: [EchoController] })
class ApplicationModule {}

async function main(): Promise<void> {
  const server = new InterconnectServer({ host: '127.0.0.1', port: 0 });
  const app = await NestFactory.createMicroservice(ApplicationModule, {
    strategy: server,
    logger: false,
  });
  await app.listen();
  const { port } = server.unwrap().address() as { port: number };
  const client = new InterconnectClient({ host: '127.0.0.1', port });
  const data = Buffer.from('bytes');

  const echo = await client.request('echo', data);
  const refusal: unknown = await client.request('refused', data).catch((error: unknown) => error);
  const connection = await connect({ host: '127.0.0.1', port });
  const session = await connection.createSession('echo');
  const response = await session.send(data);
  const context = createInterconnectContext({ pattern: 'p' });
  await Promise.all([client.close(), connection.close(), app.close()]);

  const report = {
    echo: echo.toString(),
    core: response.data.toString(),
    testing: context.getPattern(),
    // One copy of Nest and of this package, however they were loaded.
    isNestsClient: client instanceof ClientProxy,
    isNestsException: refusal instanceof RpcException,
    hasDispatchHook: 'setOnDispatchHook' in client,
  };
  console.log(JSON.stringify(report));
}

void main();
