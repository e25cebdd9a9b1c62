/**
 * The application with which Nest tests its own TCP transport, moved to Interconnect. Only the strategy, the client
 * class and `encoding: 'json'` are new.
 */
import { Body, Controller, HttpCode, Inject, Injectable, Post, Query } from '@nestjs/common';
import type { INestApplication } from '@nestjs/common';
import {
  Client,
  ClientProxy,
  ClientsModule,
  EventPattern,
  MessagePattern,
  RpcException,
} from '@nestjs/microservices';
import type {
  ClientProvider,
  ClientsModuleOptionsFactory,
  MicroserviceOptions,
} from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { createServer } from 'node:net';
import { catchError, firstValueFrom, from, of, scan, throwError } from 'rxjs';
import type { Observable } from 'rxjs';
import { InterconnectClient, InterconnectServer } from '../../../src/nest/index.js';
import type {
  InterconnectClientOptions,
  InterconnectServerOptions,
} from '../../../src/nest/index.js';
import { deferred } from '../nest/async.js';
import { LogRecorder } from '../nest/log-recorder.js';
import { portOf } from '../nest/loopback.js';

/** An exception filter as applications have it: it gives errors the form that the rest of the application expects. */
class ErrorHandlingClient extends InterconnectClient {
  override serializeError(error: unknown): unknown {
    return new RpcException(error instanceof Error ? `handled: ${error.message}` : 'unknown');
  }
}

abstract class SumController {
  readonly notified = deferred<unknown>();

  protected abstract readonly standard: ClientProxy;
  @Inject('FACTORY') private readonly factory!: ClientProxy;
  @Inject('CLASS') private readonly byClass!: ClientProxy;
  @Inject('CUSTOM') private readonly custom!: ClientProxy;

  @Post()
  @HttpCode(200)
  call(@Query('command') cmd: string, @Body() data: number[]): Observable<number> {
    return this.standard.send<number>({ cmd }, data);
  }

  @Post('stream')
  @HttpCode(200)
  stream(@Body() data: number[]): Observable<number> {
    return this.standard
      .send<number>({ cmd: 'streaming' }, data)
      .pipe(scan((sum, number) => sum + number));
  }

  @Post('useFactory')
  @HttpCode(200)
  callByFactory(@Query('command') cmd: string, @Body() data: number[]): Observable<number> {
    return this.factory.send<number>({ cmd }, data);
  }

  @Post('useClass')
  @HttpCode(200)
  callByClass(@Query('command') cmd: string, @Body() data: number[]): Observable<number> {
    return this.byClass.send<number>({ cmd }, data);
  }

  @Post('concurrent')
  @HttpCode(200)
  async concurrent(@Body() tables: number[][]): Promise<boolean> {
    const results = await Promise.all(
      tables.map((table) => firstValueFrom(this.standard.send<number>({ cmd: 'sum' }, table))),
    );
    return tables.every((table, at) => results[at] === table.reduce((a, b) => a + b, 0));
  }

  @Post('notify')
  @HttpCode(200)
  notify(): Observable<unknown> {
    return this.standard.emit<unknown>('notification', true);
  }

  @Post('error')
  @HttpCode(200)
  error(@Query('client') client: string, @Query('cmd') cmd: string): Observable<unknown> {
    const proxy = client === 'custom' ? this.custom : this.standard;
    return proxy.send<unknown>({ cmd }, {}).pipe(
      // A property beside the error's JSON, which names the kind of the error.
      catchError((error: unknown) => of([error, error instanceof RpcException])),
    );
  }

  // The handlers. Most of them have the payload as their only parameter.

  @MessagePattern({ cmd: 'sum' })
  sum(data: number[]): number {
    return data.reduce((a, b) => a + b, 0);
  }

  @MessagePattern({ cmd: 'asyncSum' })
  async asyncSum(data: number[]): Promise<number> {
    return data.reduce((a, b) => a + b, 0);
  }

  @MessagePattern({ cmd: 'streamSum' })
  streamSum(data: number[]): Observable<number> {
    return of(data.reduce((a, b) => a + b, 0));
  }

  @MessagePattern({ cmd: 'streaming' })
  streaming(data: number[]): Observable<number> {
    return from(data);
  }

  @MessagePattern({ cmd: 'refuse' })
  refuse(): never {
    throw new RpcException('bad numbers');
  }

  @MessagePattern({ cmd: 'fail' })
  fail(): Observable<never> {
    return throwError(() => new Error('secret'));
  }

  @EventPattern('notification')
  notification(data: boolean): void {
    this.notified.resolve(data);
  }
}

export interface SumApplication {
  readonly app: INestApplication;
  readonly server: InterconnectServer;
  readonly controller: SumController;
  readonly log: LogRecorder;
  /** The response of the HTTP side: status and text. */
  post(path: string, body: unknown): Promise<[status: number, text: string]>;
}

/** HTTP in front of Interconnect, both on free ports. The caller closes `app`. */
export async function startSumApplication(
  serverOptions: InterconnectServerOptions = {},
  clientOptions: InterconnectClientOptions = {},
): Promise<SumApplication> {
  const host = '127.0.0.1';
  const port = await freePort();
  const options: InterconnectClientOptions = { host, port, encoding: 'json', ...clientOptions };
  @Injectable()
  class Options implements ClientsModuleOptionsFactory {
    createClientOptions(): ClientProvider {
      return { customClass: InterconnectClient, options };
    }
  }
  @Controller()
  class ApplicationController extends SumController {
    // Nest's type does not allow customClass here.
    @Client({ customClass: InterconnectClient, options } as never)
    protected override readonly standard!: ClientProxy;
  }
  const module = await Test.createTestingModule({
    imports: [
      ClientsModule.register([{ name: 'CUSTOM', customClass: ErrorHandlingClient, options }]),
      ClientsModule.registerAsync([
        { name: 'FACTORY', useFactory: () => ({ customClass: InterconnectClient, options }) },
        { name: 'CLASS', useClass: Options },
      ]),
    ],
    controllers: [ApplicationController],
  }).compile();
  const log = LogRecorder.install();
  const app = module.createNestApplication();
  const server = new InterconnectServer({ host, port, encoding: 'json', ...serverOptions });
  app.connectMicroservice<MicroserviceOptions>({ strategy: server });
  await app.startAllMicroservices();
  await app.listen(0, host);
  const url = await app.getUrl();
  return {
    app,
    server,
    log,
    controller: app.get(ApplicationController),
    async post(path, body) {
      const headers = { 'content-type': 'application/json' };
      const response = await fetch(`${url}${path}`, {
        method: 'POST',
        headers,
        body: JSON.stringify(body),
      });
      return [response.status, await response.text()];
    },
  };
}

/** A port that was free a moment before. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const port = portOf(server.address());
  await new Promise((resolve) => server.close(resolve));
  return port;
}
