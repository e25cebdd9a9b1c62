import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  Controller,
  Get,
  Inject,
  Injectable,
  Scope,
  UseGuards,
  UseInterceptors,
} from '@nestjs/common';
import type { CallHandler, CanActivate, INestApplication, NestInterceptor } from '@nestjs/common';
import { ClientProxy, ClientsModule, MessagePattern } from '@nestjs/microservices';
import type { MicroserviceOptions } from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import type { Observable } from 'rxjs';
import { InterconnectClient, InterconnectServer } from '../../../src/nest/index.js';
import { freePort } from '../../support/tcp-suite/sum-application.js';

/** How many there have been of each. */
const made: Record<string, number> = {};

function count(name: string): void {
  made[name] = (made[name] ?? 0) + 1;
}

@Injectable()
class Shared {
  constructor() {
    count('shared');
  }
}

@Injectable({ scope: Scope.REQUEST })
class PerRequest {
  constructor(@Inject(Shared) readonly shared: Shared) {
    count('provider');
  }
}

@Injectable({ scope: Scope.REQUEST })
class Guard implements CanActivate {
  constructor(@Inject(PerRequest) private readonly provider: PerRequest) {
    count('guard');
  }
  canActivate(): boolean {
    return this.provider.shared instanceof Shared;
  }
}

@Injectable({ scope: Scope.REQUEST })
class Interceptor implements NestInterceptor {
  constructor(@Inject(PerRequest) readonly provider: PerRequest) {
    count('interceptor');
  }
  intercept(_context: unknown, next: CallHandler): Observable<unknown> {
    return next.handle();
  }
}

@Controller()
class HelloController {
  constructor(@Inject(PerRequest) readonly provider: PerRequest) {
    count('controller');
  }

  @UseGuards(Guard)
  @UseInterceptors(Interceptor)
  @MessagePattern('test')
  greeting(): string {
    return 'hello';
  }
}

@Controller()
class HttpController {
  constructor(@Inject('CLIENT') private readonly client: ClientProxy) {}

  @Get('hello')
  hello(): Observable<string> {
    return this.client.send<string>('test', {});
  }
}

let app: INestApplication;

beforeAll(async () => {
  const options = { host: '127.0.0.1', port: await freePort(), encoding: 'json' as const };
  const module = await Test.createTestingModule({
    imports: [
      ClientsModule.register([{ name: 'CLIENT', customClass: InterconnectClient, options }]),
    ],
    controllers: [HelloController, HttpController],
    providers: [Shared, PerRequest],
  }).compile();
  app = module.createNestApplication();
  app.connectMicroservice<MicroserviceOptions>({ strategy: new InterconnectServer(options) });
  await app.listen(0, '127.0.0.1');
  await app.startAllMicroservices();
});
afterAll(() => app.close());

describe('three calls of a request-scoped controller', () => {
  it('make it, its provider, its guard and its interceptor three times, and what is shared once', async () => {
    const url = `${await app.getUrl()}/hello`;
    for (let calls = 0; calls < 3; calls++) {
      expect(await (await fetch(url)).text()).toBe('hello');
    }

    expect(made).toEqual({ shared: 1, provider: 3, guard: 3, interceptor: 3, controller: 3 });
  });
});
