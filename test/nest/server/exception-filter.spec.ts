import { afterEach, describe, expect, it } from '@jest/globals';
import {
  Controller,
  Get,
  HttpException,
  NotFoundException,
  UseFilters,
  UsePipes,
  ValidationPipe,
} from '@nestjs/common';
import type { INestApplication, ValidationPipeOptions } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload, RpcException } from '@nestjs/microservices';
import type { MicroserviceOptions } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { firstValueFrom, lastValueFrom, throwError } from 'rxjs';
import type { Observable } from 'rxjs';
import {
  Code,
  InterconnectClient,
  InterconnectException,
  InterconnectExceptionFilter,
  InterconnectModule,
  InterconnectServer,
} from '../../../src/nest/index.js';
import { failureOf } from '../../support/nest/async.js';
import { LogRecorder } from '../../support/nest/log-recorder.js';
import { Loopback, portOf } from '../../support/nest/loopback.js';

type TransformerPackage = NonNullable<ValidationPipeOptions['transformerPackage']>;

class UserDto {
  name = '';
}

/** What class-validator would find. */
const validatorPackage = {
  validate: async ({ name }: UserDto) =>
    name === ''
      ? [{ property: 'name', constraints: { isNotEmpty: 'name should not be empty' } }]
      : [],
};
const transformerPackage = {
  plainToInstance: (type: new () => object, value: unknown) => Object.assign(new type(), value),
  classToPlain: (value: unknown) => value,
} as TransformerPackage;

@Controller()
class FailingController {
  @Get('page')
  page(): never {
    throw new NotFoundException('no such page');
  }

  @MessagePattern('missing')
  missing(): never {
    throw new NotFoundException('no such file');
  }

  @MessagePattern('text')
  text(): never {
    throw new HttpException('just words', 418);
  }

  /** What an `HttpException` of another copy of Nest is to this one. */
  @MessagePattern('of another copy')
  ofAnotherCopy(): never {
    const methods = { getStatus: () => 409, getResponse: () => 'twice' };
    throw Object.assign(new Error('twice'), methods);
  }

  @MessagePattern('object')
  object(): never {
    throw new HttpException({ reason: 'quota', left: 0 }, 429);
  }

  @MessagePattern('stream')
  stream(): Observable<never> {
    return throwError(() => new NotFoundException('late'));
  }

  @UsePipes(new ValidationPipe({ validatorPackage, transformerPackage }))
  @MessagePattern('validated')
  validated(@Payload() user: UserDto): string {
    return user.name;
  }

  @MessagePattern('rpc')
  rpc(): never {
    throw new RpcException({ code: 7, message: 'as before' });
  }

  @MessagePattern('own')
  own(): never {
    throw new InterconnectException(0x9001, 'own code', Buffer.from('data'));
  }

  @MessagePattern('plain')
  plain(): never {
    throw new Error('secret');
  }

  @MessagePattern('half an exception')
  half(): never {
    throw Object.assign(new Error('secret'), { getStatus: () => 400 });
  }

  @EventPattern('event')
  event(@Payload() _data: Buffer): void {
    throw new NotFoundException('no such event');
  }
}

@UseFilters(InterconnectExceptionFilter)
@Controller()
class FilteredController {
  @MessagePattern('filtered')
  filtered(): never {
    throw new NotFoundException('filtered');
  }
}

@Controller()
class UnfilteredController {
  @MessagePattern('unfiltered')
  unfiltered(): never {
    throw new NotFoundException('unfiltered');
  }
}

const open: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

async function start(): Promise<Loopback> {
  const loopback = await Loopback.start({
    controllers: [FailingController],
    configure: (app) => app.useGlobalFilters(new InterconnectExceptionFilter()),
  });
  open.push(loopback);
  return loopback;
}

async function call(pattern: string): Promise<InterconnectException> {
  const loopback = await start();
  return failureOf(InterconnectException, loopback.client().send(pattern, Buffer.alloc(0)));
}

describe('InterconnectExceptionFilter', () => {
  it.each([
    [
      'missing',
      404,
      'no such file',
      { statusCode: 404, message: 'no such file', error: 'Not Found' },
    ],
    ['of another copy', 409, 'twice', { statusCode: 409, message: 'twice' }],
    ['text', 418, 'just words', { statusCode: 418, message: 'just words' }],
    ['object', 429, 'Http Exception', { reason: 'quota', left: 0 }],
    ['stream', 404, 'late', { statusCode: 404, message: 'late', error: 'Not Found' }],
  ])(
    'tells the caller what an HttpException says: %s',
    async (pattern, status, reason, details) => {
      const error = await call(pattern);

      expect(error).toMatchObject({ code: 0x8000 + status, reason, executed: 'yes' });
      expect(error.getError()).toEqual(details);
    },
  );

  it('tells the caller of an event, too', async () => {
    const loopback = await start();

    const error = await failureOf(
      InterconnectException,
      lastValueFrom(loopback.client().emit('event', Buffer.alloc(0))),
    );

    expect(error.code).toBe(0x8000 + 404);
  });

  it('tells the caller what a ValidationPipe found', async () => {
    const loopback = await Loopback.start({
      controllers: [FailingController],
      server: { encoding: 'json' },
      configure: (app) => app.useGlobalFilters(new InterconnectExceptionFilter()),
    });
    open.push(loopback);
    const client: InterconnectClient<unknown> = loopback.client({ encoding: 'json' });

    expect(await client.request<string>('validated', { name: 'Ada' })).toBe('Ada');
    const error = await failureOf(InterconnectException, client.request('validated', { name: '' }));

    expect(error.getError()).toEqual({
      statusCode: 400,
      message: ['name should not be empty'],
      error: 'Bad Request',
    });
  });

  it('leaves all other errors as they are', async () => {
    expect((await call('rpc')).getError()).toEqual({ code: 7, message: 'as before' });
    expect(await call('own')).toMatchObject({ code: 0x9001, data: Buffer.from('data') });
    for (const pattern of ['plain', 'half an exception']) {
      expect(await call(pattern)).toMatchObject({
        code: Code.FAILED,
        message: 'Internal server error',
      });
    }
  });

  it('may stand on a controller, and holds for it alone', async () => {
    const loopback = await Loopback.start({
      controllers: [FilteredController, UnfilteredController],
    });
    open.push(loopback);
    const client = loopback.client();

    const filtered = await failureOf(
      InterconnectException,
      client.send('filtered', Buffer.alloc(0)),
    );
    const unfiltered = await failureOf(
      InterconnectException,
      client.send('unfiltered', Buffer.alloc(0)),
    );

    expect([filtered.code, unfiltered.code]).toEqual([0x8000 + 404, Code.FAILED]);
  });

  it('throws on what is neither RPC nor HTTP', () => {
    const error = new Error('of a GraphQL resolver');
    const host = { getType: () => 'graphql' };

    expect(() => new InterconnectExceptionFilter().catch(error, host as never)).toThrow(error);
  });
});

describe('mapHttpExceptions', () => {
  async function hybrid(
    mapHttpExceptions: boolean,
  ): Promise<[INestApplication, InterconnectClient]> {
    LogRecorder.install();
    const server = { host: '127.0.0.1', port: 0 };
    const module = await Test.createTestingModule({
      imports: [InterconnectModule.forRoot({ server, mapHttpExceptions })],
      controllers: [FailingController],
    }).compile();
    const app = module.createNestApplication();
    open.push(app);
    const strategy = app.get(InterconnectServer);
    app.connectMicroservice<MicroserviceOptions>({ strategy }, { inheritAppConfig: true });
    await app.startAllMicroservices();
    await app.listen(0, '127.0.0.1');
    const client = new InterconnectClient({
      host: '127.0.0.1',
      port: portOf(strategy.unwrap().address()),
    });
    open.push(client);
    return [app, client];
  }

  it.each([
    [true, 0x8000 + 404],
    [false, Code.FAILED],
  ])('is the filter for the whole application: %p', async (maps, code) => {
    const [app, client] = await hybrid(maps);

    const error = await failureOf(
      InterconnectException,
      firstValueFrom(client.send('missing', Buffer.alloc(0))),
    );
    const page = await fetch(`${await app.getUrl()}/page`);

    expect(error.code).toBe(code);
    expect([page.status, await page.json()]).toEqual([
      404,
      { statusCode: 404, message: 'no such page', error: 'Not Found' },
    ]);
  });
});
