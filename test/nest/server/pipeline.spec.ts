import { afterEach, describe, expect, it } from '@jest/globals';
import {
  Catch,
  Controller,
  Inject,
  Injectable,
  Scope,
  UseFilters,
  UseGuards,
  UseInterceptors,
  UsePipes,
  ValidationPipe,
} from '@nestjs/common';
import type {
  CallHandler,
  CanActivate,
  ExecutionContext,
  INestMicroservice,
  NestInterceptor,
  PipeTransform,
  RpcExceptionFilter,
} from '@nestjs/common';
import { REQUEST } from '@nestjs/core';
import { Ctx, MessagePattern, Payload, RpcException } from '@nestjs/microservices';
import { firstValueFrom, map, throwError } from 'rxjs';
import type { Observable } from 'rxjs';
import { InterconnectContext, InterconnectException } from '../../../src/nest/index.js';
import { failureOf } from '../../support/nest/async.js';
import { Loopback } from '../../support/nest/loopback.js';

const told: string[] = [];

@Injectable()
class MetadataGuard implements CanActivate {
  canActivate(host: ExecutionContext): boolean {
    const context: InterconnectContext = host.switchToRpc().getContext();
    told.push(`guard ${host.getType()} ${context.getPattern()}`);
    return context.getMetadata()['forbidden'] === undefined;
  }
}

@Injectable()
class DenyingGuard implements CanActivate {
  canActivate(): boolean {
    return false;
  }
}

@Injectable()
class WrapInterceptor implements NestInterceptor {
  intercept(_host: ExecutionContext, next: CallHandler<Buffer>): Observable<Buffer> {
    told.push('interceptor before');
    return next.handle().pipe(
      map((value) => {
        told.push('interceptor after');
        return Buffer.concat([Buffer.from('<'), value, Buffer.from('>')]);
      }),
    );
  }
}

@Injectable()
class ParsePipe implements PipeTransform<Buffer, string> {
  transform(value: Buffer): string {
    told.push('pipe');
    if (value.length === 0) throw new RpcException('nothing to parse');
    return value.toString();
  }
}

@Catch()
class TellingFilter implements RpcExceptionFilter {
  private readonly level: string;

  constructor(level: string) {
    this.level = level;
  }

  catch(exception: unknown): Observable<never> {
    const message = exception instanceof Error ? exception.message : String(exception);
    return throwError(() => ({ level: this.level, message }));
  }
}

@Injectable({ scope: Scope.REQUEST })
class RequestService {
  private readonly request: { getPattern(): string };

  constructor(@Inject(REQUEST) request: { getPattern(): string }) {
    this.request = request;
  }

  describe(): string {
    return `request of ${this.request.getPattern()}`;
  }
}

@Controller()
class PipelineController {
  @UseGuards(MetadataGuard)
  @UseInterceptors(WrapInterceptor)
  @MessagePattern('ordered')
  ordered(@Payload(ParsePipe) text: string): Buffer {
    told.push('handler');
    return Buffer.from(text.toUpperCase());
  }

  @UseGuards(DenyingGuard)
  @MessagePattern('denied')
  denied(): void {
    told.push('never');
  }

  @UsePipes(ParsePipe)
  @MessagePattern('piped')
  piped(@Payload() text: unknown): Buffer {
    return Buffer.from(typeof text);
  }

  @MessagePattern('validated')
  validated(@Payload() data: Buffer, @Ctx() context: InterconnectContext): Buffer {
    return context instanceof InterconnectContext && Buffer.isBuffer(data)
      ? data
      : Buffer.from('?');
  }

  @MessagePattern('first byte')
  firstByte(@Payload('0') byte: number): Buffer {
    return Buffer.from(String(byte));
  }

  @UseFilters(new TellingFilter('method'))
  @MessagePattern('filtered by method')
  filteredByMethod(): void {
    throw new Error('original');
  }

  @MessagePattern('filtered globally')
  filteredGlobally(): void {
    throw new Error('original');
  }
}

@UseFilters(new TellingFilter('controller'))
@Controller()
class FilteredController {
  @MessagePattern('filtered by controller')
  filteredByController(): void {
    throw new Error('original');
  }
}

@Controller({ scope: Scope.REQUEST })
class RequestScopedController {
  private readonly service: RequestService;

  constructor(@Inject(RequestService) service: RequestService) {
    this.service = service;
  }

  @MessagePattern('request scoped')
  requestScoped(): Buffer {
    return Buffer.from(this.service.describe());
  }
}

/** Instead of class-validator and class-transformer: a Buffer must reach neither. */
const refuse = (): never => {
  throw new Error('A Buffer was validated.');
};
const untouched = {
  validatorPackage: { validate: refuse },
  transformerPackage: { plainToInstance: refuse, classToPlain: refuse },
};

let loopback: Loopback;
afterEach(() => loopback.close());

async function start(configure: (app: INestMicroservice) => void = () => {}): Promise<void> {
  told.length = 0;
  loopback = await Loopback.start({
    controllers: [PipelineController, FilteredController, RequestScopedController],
    providers: [RequestService],
    configure,
  });
}

async function call(pattern: string, text = 'text'): Promise<string> {
  const answer = await firstValueFrom(loopback.client().send(pattern, Buffer.from(text)));
  return answer.toString();
}

describe('the pipeline', () => {
  it('runs guard, interceptor, pipe, handler and interceptor again', async () => {
    await start();

    expect(await call('ordered', 'abc')).toBe('<ABC>');
    expect(told).toEqual([
      'guard rpc ordered',
      'interceptor before',
      'pipe',
      'handler',
      'interceptor after',
    ]);
  });

  it('rejects with "Forbidden resource" when a guard says no', async () => {
    await start();

    const error = await failureOf(InterconnectException, call('denied'));

    expect(error.getError()).toBe('Forbidden resource');
    expect(told).toEqual([]);
  });

  it('rejects with what a pipe throws', async () => {
    await start();

    expect((await failureOf(InterconnectException, call('ordered', ''))).getError()).toBe(
      'nothing to parse',
    );
    expect(await call('piped')).toBe('string');
  });

  it('picks a part of the payload where the parameter names one', async () => {
    await start();

    expect(await call('first byte', '\x07')).toBe('7');
  });

  it('gives request-scoped providers the message', async () => {
    await start();

    expect(await call('request scoped')).toBe('request of request scoped');
  });
});

describe('global enhancers', () => {
  it('leave a Buffer parameter as it is: ValidationPipe', async () => {
    await start((app) =>
      app.useGlobalPipes(new ValidationPipe({ ...untouched, transform: true, whitelist: true })),
    );

    expect(await call('validated', '\0\x01\xff')).toBe('\0\x01\xff');
  });

  it('are in force: interceptor, guard and filter', async () => {
    await start((app) =>
      app
        .useGlobalInterceptors(new WrapInterceptor())
        .useGlobalGuards(new MetadataGuard())
        .useGlobalFilters(new TellingFilter('global')),
    );

    expect(await call('validated')).toBe('<text>');
    expect(told[0]).toBe('guard rpc validated');
    expect((await failureOf(InterconnectException, call('filtered globally'))).getError()).toEqual({
      level: 'global',
      message: 'original',
    });
  });
});

describe('an exception filter', () => {
  it.each([
    ['filtered by method', 'method'],
    ['filtered by controller', 'controller'],
  ])('decides what the caller gets: %s', async (pattern, level) => {
    await start((app) => app.useGlobalFilters(new TellingFilter('global')));

    const error = await failureOf(InterconnectException, call(pattern));

    expect(error.getError()).toEqual({ level, message: 'original' });
  });
});
