import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller, Scope } from '@nestjs/common';
import { MessagePattern } from '@nestjs/microservices';
import { AsyncLocalStorage } from 'node:async_hooks';
import { firstValueFrom, Observable, throwError } from 'rxjs';
import {
  InterconnectContext,
  InterconnectException,
  InterconnectRecordBuilder,
} from '../../../src/nest/index.js';
import { failureOf } from '../../support/nest/async.js';
import { Loopback } from '../../support/nest/loopback.js';

const scope = new AsyncLocalStorage<string>();

@Controller({ scope: Scope.REQUEST })
class ScopeController {
  @MessagePattern('scope')
  scope(): Buffer {
    return Buffer.from(scope.getStore() ?? 'none');
  }
}

let loopback: Loopback;
afterEach(() => loopback.close());

// Nest 12's.
describe('pre-request hooks', () => {
  it('run before all else, around it all, and may end it', async () => {
    const told: string[] = [];
    loopback = await Loopback.start({
      controllers: [ScopeController],
      configure: (app) => {
        app.registerPreRequestHook((context, next) => {
          told.push(`hook ${context.getType()} ${context.getArgs().length}`);
          // What `next` gives is cold: the handler runs where it is subscribed.
          return new Observable((subscriber) =>
            scope.run('of the hook', () => next().subscribe(subscriber)),
          );
        });
        app.registerPreRequestHook((context, next) => {
          const rpc: InterconnectContext = context.switchToRpc().getContext();
          return rpc.getMetadata()['forbidden'] === undefined
            ? next()
            : throwError(() => new InterconnectException(0xc001, 'hooked out'));
        });
      },
    });
    const client = loopback.client();
    const allowed = Buffer.alloc(0);
    const forbidden = new InterconnectRecordBuilder(allowed)
      .setMetadata({ forbidden: 'yes' })
      .build();

    expect(await firstValueFrom(client.send('scope', allowed))).toEqual(Buffer.from('of the hook'));
    expect(told).toEqual(['hook rpc 2']);
    const error = await failureOf(InterconnectException, client.send('scope', forbidden));
    expect(error).toMatchObject({ code: 0xc001, reason: 'hooked out' });
  });
});
