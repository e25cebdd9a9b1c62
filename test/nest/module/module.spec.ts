import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller, Inject, Injectable, Module } from '@nestjs/common';
import type { DynamicModule, INestApplicationContext, Type } from '@nestjs/common';
import {
  Client,
  ClientProxy,
  ClientProxyFactory,
  ClientsModule,
  MessagePattern,
  Payload,
} from '@nestjs/microservices';
import type { ClientsModuleOptionsFactory, CustomClientOptions } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { firstValueFrom } from 'rxjs';
import {
  InterconnectClient,
  InterconnectModule,
  InterconnectServer,
} from '../../../src/nest/index.js';
import type {
  Connection,
  InterconnectModuleOptions,
  InterconnectOptionsFactory,
} from '../../../src/nest/index.js';
import { until } from '../../support/nest/async.js';
import { Loopback } from '../../support/nest/loopback.js';

@Controller()
class EchoController {
  @MessagePattern('echo')
  echo(@Payload() data: Buffer): Buffer {
    return data;
  }
}

let target: Loopback;
let accepted: Connection[];
let apps: INestApplicationContext[];

beforeEach(async () => {
  accepted = [];
  apps = [];
  target = await Loopback.start({
    controllers: [EchoController],
    configure: (_app, server) => server.on('connection', (connection) => accepted.push(connection)),
  });
});
afterEach(async () => {
  for (const app of apps) await app.close();
  await target.close();
});

async function start(
  imports: (Type | DynamicModule)[],
  providers: Type[] = [],
): Promise<INestApplicationContext> {
  const app = await Test.createTestingModule({ imports, providers }).compile();
  await app.init();
  apps.push(app);
  return app;
}

function clientOptions() {
  return { host: '127.0.0.1', port: target.port };
}

async function expectEcho(client: ClientProxy): Promise<void> {
  expect(await firstValueFrom(client.send('echo', Buffer.from('x')))).toEqual(Buffer.from('x'));
}

async function expectClosedWith(app: INestApplicationContext): Promise<void> {
  await app.close();
  await until(() => accepted.length > 0 && accepted.every(({ status }) => status === 'closed'));
}

@Injectable()
class ByClass {
  readonly client: InterconnectClient;

  constructor(@Inject(InterconnectClient) client: InterconnectClient) {
    this.client = client;
  }
}

@Injectable()
class ByToken {
  readonly client: ClientProxy;

  constructor(@Inject('REPLICA') client: ClientProxy) {
    this.client = client;
  }
}

describe('InterconnectModule.forRoot', () => {
  it('provides the client by class', async () => {
    const app = await start([InterconnectModule.forRoot({ client: clientOptions() })], [ByClass]);

    await expectEcho(app.get(ByClass).client);
  });

  it('connects at the first call, and closes the client at shutdown', async () => {
    const app = await start([InterconnectModule.forRoot({ client: clientOptions() })], [ByClass]);
    expect(accepted).toEqual([]);
    await expectEcho(app.get(ByClass).client);

    await expectClosedWith(app);
  });

  it('provides the strategy by class', async () => {
    const module = await Test.createTestingModule({
      imports: [InterconnectModule.forRoot({ server: { host: '127.0.0.1', port: 0 } })],
      controllers: [EchoController],
    }).compile();
    const app = module.createNestMicroservice({ strategy: module.get(InterconnectServer) });
    apps.push(app);
    const { port } = await app.listen();

    const client = target.client({ port });

    expect(port).not.toBe(3000);
    await expectEcho(client);
  });

  it('gives the two to every module when it is global', async () => {
    @Module({ providers: [ByClass], exports: [ByClass] })
    class FeatureModule {}

    const app = await start([
      InterconnectModule.forRoot({ client: clientOptions(), isGlobal: true }),
      FeatureModule,
    ]);

    await expectEcho(app.get(ByClass, { strict: false }).client);
  });

  it('gives them to nobody else when it is not', async () => {
    @Module({ providers: [ByClass] })
    class FeatureModule {}

    await expect(
      start([InterconnectModule.forRoot({ client: clientOptions() }), FeatureModule]),
    ).rejects.toThrow(/InterconnectClient/);
  });

  it('may be imported twice with different options', async () => {
    @Module({ imports: [InterconnectModule.forRoot({ client: { port: 1 } })] })
    class OtherModule {}

    const app = await start(
      [OtherModule, InterconnectModule.forRoot({ client: clientOptions() })],
      [ByClass],
    );

    await expectEcho(app.get(ByClass).client);
  });
});

describe('InterconnectModule.forRootAsync', () => {
  @Injectable()
  class Settings implements InterconnectOptionsFactory {
    async createInterconnectOptions(): Promise<InterconnectModuleOptions> {
      return { client: clientOptions() };
    }
  }

  @Module({ providers: [Settings], exports: [Settings] })
  class SettingsModule {}

  it('takes options from a factory, which may be asynchronous', async () => {
    const imported = InterconnectModule.forRootAsync({
      imports: [SettingsModule],
      inject: [Settings],
      useFactory: (settings: Settings) => settings.createInterconnectOptions(),
    });

    await expectEcho((await start([imported], [ByClass])).get(ByClass).client);
  });

  it('takes options from a class', async () => {
    const imported = InterconnectModule.forRootAsync({ useClass: Settings });

    await expectEcho((await start([imported], [ByClass])).get(ByClass).client);
  });

  it('takes options from a provider that exists, globally too', async () => {
    @Module({ providers: [ByClass] })
    class FeatureModule {}
    const imported = InterconnectModule.forRootAsync({
      imports: [SettingsModule],
      useExisting: Settings,
      isGlobal: true,
    });

    const app = await start([imported, FeatureModule]);

    await expectEcho(app.get(ByClass, { strict: false }).client);
  });
});

describe("Nest's own ways to a client", () => {
  it('work: ClientsModule.register', async () => {
    const imported = ClientsModule.register([
      { name: 'REPLICA', customClass: InterconnectClient, options: clientOptions() },
    ]);
    const app = await start([imported], [ByToken]);

    await expectEcho(app.get(ByToken).client);
    await expectClosedWith(app);
  });

  it('work: ClientsModule.registerAsync with a factory', async () => {
    const imported = ClientsModule.registerAsync([
      {
        name: 'REPLICA',
        useFactory: async () => ({ customClass: InterconnectClient, options: clientOptions() }),
      },
    ]);
    const app = await start([imported], [ByToken]);

    await expectEcho(app.get(ByToken).client);
    await expectClosedWith(app);
  });

  it('work: ClientsModule.registerAsync with a class', async () => {
    class Settings implements ClientsModuleOptionsFactory {
      createClientOptions(): CustomClientOptions {
        return { customClass: InterconnectClient, options: clientOptions() };
      }
    }
    const imported = ClientsModule.registerAsync([{ name: 'REPLICA', useClass: Settings }]);

    await expectEcho((await start([imported], [ByToken])).get(ByToken).client);
  });

  it('work: @Client', async () => {
    // Nest takes a custom class here, but its type does not say so.
    const metadata: object = { customClass: InterconnectClient, options: clientOptions() };

    @Controller()
    class ClientController {
      @Client(metadata)
      readonly client!: ClientProxy;
    }
    const module = await Test.createTestingModule({ controllers: [ClientController] }).compile();
    const app = module.createNestMicroservice({
      strategy: new InterconnectServer({ host: '127.0.0.1', port: 0 }),
    });
    await app.listen();

    await expectEcho(app.get(ClientController).client);
    await expectClosedWith(app);
  });

  it('work: ClientProxyFactory', async () => {
    const client = ClientProxyFactory.create({
      customClass: InterconnectClient,
      options: clientOptions(),
    });

    await expectEcho(client);
    await client.close();
  });

  it('work with an instance that Nest wraps in a Proxy for instrumentation', async () => {
    const instance = new Proxy(new InterconnectClient(clientOptions()), {});
    const server = new Proxy(new InterconnectServer({ host: '127.0.0.1', port: 0 }), {});

    await expectEcho(instance);
    await instance.close();
    await server.listen((error) => expect(error).toBeUndefined());
    await server.close();
  });
});
