/**
 * `undefined` means the default, for every option: a configuration service that lacks a value passes it on. The tables
 * name every option of their type, or do not compile.
 */
import { describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { MessagePattern } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { firstValueFrom } from 'rxjs';
import {
  InterconnectClient,
  type InterconnectClientOptions,
  InterconnectException,
  InterconnectHealthIndicator,
  type InterconnectHealthOptions,
  InterconnectModule,
  type InterconnectModuleOptions,
  type InterconnectPayloadOptions,
  InterconnectRecord,
  type InterconnectRecordOptions,
  type InterconnectRequestOptions,
  InterconnectServer,
  type InterconnectServerConnectOptions,
  type InterconnectServerOptions,
} from '../../../src/nest/index.js';
import {
  createInterconnectContext,
  FakeInterconnectClient,
  type InterconnectContextOptions,
  InterconnectPair,
  type InterconnectPairOptions,
} from '../../../src/testing/index.js';
import { afterTest } from '../../support/after-test.js';
import { ENDPOINT, type Nothing } from '../../support/undefined-options.js';
import { createMicroservice, Loopback } from '../../support/nest/loopback.js';

const PAYLOAD: Nothing<InterconnectPayloadOptions> = {
  encoding: undefined,
  maxJsonDepth: undefined,
  maxJsonValues: undefined,
  serializer: undefined,
  deserializer: undefined,
};
const NEST_ENDPOINT = {
  ...ENDPOINT,
  host: undefined,
  port: undefined,
  path: undefined,
  tlsOptions: undefined,
};
const CONNECT: Nothing<InterconnectServerConnectOptions> = {
  ...NEST_ENDPOINT,
  addresses: undefined,
  data: undefined,
  reconnect: undefined,
  autoSelectFamilyAttemptTimeout: undefined,
  whenOffline: undefined,
  waitForConnection: undefined,
};
const { waitForConnection: _, ...DIAL } = CONNECT;
const CLIENT: Nothing<InterconnectClientOptions> = {
  ...DIAL,
  ...PAYLOAD,
  metadata: undefined,
  oneWay: undefined,
  connectOnBootstrap: undefined,
  shutdownTimeout: undefined,
};
const SERVER: Nothing<InterconnectServerOptions> = {
  ...NEST_ENDPOINT,
  ...PAYLOAD,
  backlog: undefined,
  mode: undefined,
  proxyProtocol: undefined,
  maxConnections: undefined,
  perAddress: undefined,
  maxAuthenticating: undefined,
  resumeTimeout: undefined,
  authenticate: undefined,
  identify: undefined,
  transportId: undefined,
  authorize: undefined,
  connect: undefined,
  shutdownTimeout: undefined,
};
const REQUEST: Nothing<InterconnectRequestOptions> = {
  timeout: undefined,
  signal: undefined,
  metadata: undefined,
  idempotent: undefined,
  whenOffline: undefined,
};
const RECORD: Nothing<InterconnectRecordOptions> = {
  metadata: undefined,
  timeout: undefined,
  oneWay: undefined,
  idempotent: undefined,
  whenOffline: undefined,
};
const HEALTH: Nothing<InterconnectHealthOptions> = { timeout: undefined, clock: undefined };
const MODULE: Nothing<InterconnectModuleOptions> = {
  client: undefined,
  server: undefined,
  serveOverClient: undefined,
};
const CONTEXT: Nothing<InterconnectContextOptions> = {
  pattern: undefined,
  data: undefined,
  metadata: undefined,
  signal: undefined,
  remaining: undefined,
  isEvent: undefined,
  identity: undefined,
  client: undefined,
};
const PAIR: Nothing<InterconnectPairOptions> = {
  server: undefined,
  client: undefined,
  configure: undefined,
};

@Controller()
class Controlled {
  @MessagePattern('echo', { concurrency: undefined, timeout: undefined, stream: undefined })
  echo(data: Buffer): Buffer {
    return data;
  }

  @MessagePattern('reject')
  reject(_data: Buffer): never {
    throw new InterconnectException(0x8001, undefined, undefined);
  }
}

describe('undefined', () => {
  it('is the default of whatever a server, a client and a call take', async () => {
    const loopback = await Loopback.start({
      controllers: [Controlled],
      server: { ...SERVER, port: 0 },
    });
    afterTest(() => loopback.close());
    const client = loopback.client({ ...CLIENT, port: loopback.port });
    const data = Buffer.from('x');

    expect(await client.request('echo', data, REQUEST)).toEqual(data);
    expect(await client.request('echo', new InterconnectRecord(data, RECORD), REQUEST)).toEqual(
      data,
    );
    expect(await firstValueFrom(client.send('echo', new InterconnectRecord(data, RECORD)))).toEqual(
      data,
    );
    await expect(client.request('reject', data)).rejects.toMatchObject({
      code: 0x8001,
      reason: '',
    });
    const health = await new InterconnectHealthIndicator().check('test', client, HEALTH);
    expect(health).toMatchObject({ test: { status: 'up' } });
  });

  it('is the default of a server that connects', async () => {
    const loopback = await Loopback.start({ controllers: [Controlled] });
    afterTest(() => loopback.close());
    const connect = { ...CONNECT, host: '127.0.0.1', port: loopback.port };
    const worker = await createMicroservice(new InterconnectServer({ ...SERVER, connect }), {
      controllers: [Controlled],
    });
    afterTest(() => worker.close());

    await worker.listen();

    expect(loopback.server.peers.size).toBe(1);
  });

  it('is the default of the module', async () => {
    const module = await Test.createTestingModule({
      imports: [
        InterconnectModule.forRoot({
          ...MODULE,
          isGlobal: undefined,
          mapHttpExceptions: undefined,
        }),
      ],
    }).compile();
    afterTest(() => module.close());

    expect(module.get(InterconnectClient)).toBeInstanceOf(InterconnectClient);
    expect(module.get(InterconnectServer)).toBeInstanceOf(InterconnectServer);
  });

  it('is the default of the testing kit', async () => {
    const module = await Test.createTestingModule({ controllers: [Controlled] }).compile();
    const pair = await InterconnectPair.start(module, PAIR);
    afterTest(() => pair.close());
    const fake = new FakeInterconnectClient(PAYLOAD);
    fake.reply('echo', undefined);

    expect(await pair.client.request('echo', Buffer.from('x'))).toEqual(Buffer.from('x'));
    expect(await fake.request('echo', Buffer.from('x'))).toEqual(Buffer.alloc(0));
    expect(createInterconnectContext(CONTEXT).getPattern()).toBe('test');
  });
});
