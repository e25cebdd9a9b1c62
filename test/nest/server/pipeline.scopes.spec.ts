import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller, Inject, Injectable, Module, Scope } from '@nestjs/common';
import type { CanActivate, ExecutionContext, NestInterceptor, CallHandler } from '@nestjs/common';
import {
  APP_FILTER,
  APP_GUARD,
  APP_INTERCEPTOR,
  APP_PIPE,
  ContextIdFactory,
  REQUEST,
} from '@nestjs/core';
import type { ContextId, ContextIdStrategy, HostComponentInfo } from '@nestjs/core';
import { CONTEXT, EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import type { RequestContext } from '@nestjs/microservices';
import { firstValueFrom, lastValueFrom } from 'rxjs';
import type { Observable } from 'rxjs';
import {
  InterconnectContext,
  InterconnectExceptionFilter,
  InterconnectRecordBuilder,
} from '../../../src/nest/index.js';
import { Loopback } from '../../support/nest/loopback.js';

const TENANT = 'tenant';
let made = 0;
let tenantsMade: string[] = [];
const told: string[] = [];

function contextOf(request: { getContext?(): unknown }): InterconnectContext | undefined {
  const context = request.getContext?.();
  return context instanceof InterconnectContext ? context : undefined;
}

/** One tree of providers for each tenant, kept from message to message. */
class TenantStrategy implements ContextIdStrategy {
  private readonly tenants = new Map<string, ContextId>();

  attach(contextId: ContextId, request: { getContext?(): unknown }) {
    const tenant = contextOf(request)?.getMetadata()[TENANT] ?? 'nobody';
    const known = this.tenants.get(tenant) ?? ContextIdFactory.create();
    this.tenants.set(tenant, known);
    return {
      resolve: (info: HostComponentInfo) => (info.isTreeDurable ? known : contextId),
      payload: { tenant },
    };
  }
}

@Injectable({ scope: Scope.REQUEST, durable: true })
class TenantService {
  readonly tenant: string;

  constructor(@Inject(REQUEST) request: { tenant: string }) {
    this.tenant = request.tenant;
    tenantsMade.push(request.tenant);
  }
}

@Controller()
class TenantController {
  private readonly service: TenantService;

  constructor(@Inject(TenantService) service: TenantService) {
    this.service = service;
  }

  @MessagePattern('tenant')
  tenant(): Buffer {
    return Buffer.from(this.service.tenant);
  }
}

@Injectable({ scope: Scope.REQUEST })
class PerMessage {
  private readonly request: RequestContext<Buffer, InterconnectContext>;

  constructor(@Inject(CONTEXT) request: RequestContext<Buffer, InterconnectContext>) {
    made += 1;
    this.request = request;
  }

  describe(): string {
    const { request } = this;
    return `${JSON.stringify(request.getPattern())} ${request.getData().toString()} ${request.getContext().getPattern()}`;
  }
}

@Controller({ scope: Scope.REQUEST })
class PerMessageController {
  private readonly perMessage: PerMessage;

  constructor(@Inject(PerMessage) perMessage: PerMessage) {
    this.perMessage = perMessage;
  }

  @MessagePattern({ cmd: 'describe' })
  describe(): Buffer {
    return Buffer.from(this.perMessage.describe());
  }

  @EventPattern('noted')
  noted(@Payload() _data: Buffer): void {
    told.push(`first ${this.perMessage.describe()}`);
  }
}

@Controller({ scope: Scope.REQUEST })
class SecondController {
  private readonly perMessage: PerMessage;

  constructor(@Inject(PerMessage) perMessage: PerMessage) {
    this.perMessage = perMessage;
  }

  @EventPattern('noted')
  noted(@Payload() _data: Buffer): void {
    told.push(`second ${this.perMessage.describe()}`);
  }
}

let loopback: Loopback;
afterEach(() => loopback.close());

async function call(pattern: unknown, data: unknown = Buffer.from('x')): Promise<string> {
  const answer = await firstValueFrom(loopback.client().send(pattern, data));
  return answer.toString();
}

describe('request-scoped providers', () => {
  async function start(): Promise<void> {
    made = 0;
    told.length = 0;
    loopback = await Loopback.start({
      controllers: [PerMessageController, SecondController],
      providers: [PerMessage],
    });
  }

  it('are made for each message, and know its pattern, data and context', async () => {
    await start();

    expect(await call({ cmd: 'describe' }, Buffer.from('a'))).toBe(
      '{"cmd":"describe"} a {"cmd":"describe"}',
    );
    await call({ cmd: 'describe' });
    expect(made).toBe(2);
  });

  it('are shared by the handlers of one event', async () => {
    await start();

    await lastValueFrom(loopback.client().emit('noted', Buffer.from('e')));

    expect(told.toSorted()).toEqual(['first "noted" e noted', 'second "noted" e noted']);
    expect(made).toBe(1);
  });
});

describe('durable providers', () => {
  it('are made once for each tenant, who is told by the metadata', async () => {
    tenantsMade = [];
    ContextIdFactory.apply(new TenantStrategy());
    loopback = await Loopback.start({
      controllers: [TenantController],
      providers: [TenantService],
    });
    const of = (tenant: string) =>
      new InterconnectRecordBuilder(Buffer.alloc(0)).setMetadata({ [TENANT]: tenant }).build();

    expect(await call('tenant', of('red'))).toBe('red');
    expect(await call('tenant', of('blue'))).toBe('blue');
    expect(await call('tenant', of('red'))).toBe('red');

    expect(tenantsMade).toEqual(['red', 'blue']);
    ContextIdFactory.apply({ attach: (contextId) => () => contextId });
  });
});

describe('enhancers that are providers', () => {
  @Injectable()
  class Guard implements CanActivate {
    canActivate(host: ExecutionContext): boolean {
      told.push(`guard ${host.getClass().name}.${host.getHandler().name}`);
      return true;
    }
  }

  @Injectable()
  class Interceptor implements NestInterceptor {
    intercept(_host: ExecutionContext, next: CallHandler): Observable<unknown> {
      told.push('interceptor');
      return next.handle();
    }
  }

  @Controller()
  class PlainController {
    @MessagePattern('echo')
    echo(@Payload() data: Buffer): Buffer {
      return data;
    }
  }

  it('are in force: APP_GUARD, APP_INTERCEPTOR, APP_PIPE, APP_FILTER', async () => {
    told.length = 0;
    @Module({})
    class EnhancersModule {}
    const module = {
      module: EnhancersModule,
      providers: [
        { provide: APP_GUARD, useClass: Guard },
        { provide: APP_INTERCEPTOR, useClass: Interceptor },
        { provide: APP_PIPE, useValue: { transform: upperCase } },
        { provide: APP_FILTER, useClass: InterconnectExceptionFilter },
      ],
    };
    loopback = await Loopback.start({ imports: [module], controllers: [PlainController] });

    expect(await call('echo', Buffer.from('abc'))).toBe('ABC');
    expect(told).toEqual(['guard PlainController.echo', 'interceptor']);
  });
});

function upperCase(value: unknown): unknown {
  return Buffer.isBuffer(value) ? Buffer.from(value.toString().toUpperCase()) : value;
}
