import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { Ctx, MessagePattern } from '@nestjs/microservices';
import { EMPTY, NEVER, finalize, firstValueFrom, lastValueFrom } from 'rxjs';
import type { Observable } from 'rxjs';
import {
  InterconnectClient,
  InterconnectContext,
  InterconnectError,
  InterconnectRecordBuilder,
} from '../../../src/nest/index.js';
import { deferred, failure, failureOf } from '../../support/nest/async.js';
import { Loopback } from '../../support/nest/loopback.js';

@Controller()
class ContextController {
  readonly contexts: InterconnectContext[] = [];
  readonly started = deferred();
  readonly aborted = deferred();
  readonly unsubscribed = deferred();
  private streams = 0;

  @MessagePattern('look')
  look(@Ctx() context: InterconnectContext): void {
    this.contexts.push(context);
  }

  @MessagePattern('wait')
  async wait(@Ctx() context: InterconnectContext): Promise<void> {
    this.contexts.push(context);
    context.signal.addEventListener('abort', () => this.aborted.resolve());
    this.started.resolve();
    await this.aborted.promise;
  }

  @MessagePattern('stream')
  stream(): Observable<never> {
    this.streams += 1;
    if (this.streams > 1) return EMPTY;
    this.started.resolve();
    return NEVER.pipe(finalize(() => this.unsubscribed.resolve()));
  }
}

let loopback: Loopback;
let client: InterconnectClient;
let controller: ContextController;

beforeEach(async () => {
  loopback = await Loopback.start({
    controllers: [ContextController],
    server: { maxUnsettled: 1 },
  });
  client = loopback.client({ data: Buffer.from('who I am') });
  controller = loopback.app.get(ContextController);
});
afterEach(() => loopback.close());

async function contextOf(data: Buffer | InterconnectRecordBuilder): Promise<InterconnectContext> {
  await firstValueFrom(client.send('look', Buffer.isBuffer(data) ? data : data.build()));
  const context = controller.contexts.at(-1);
  if (context === undefined) throw new Error('The handler did not run.');
  return context;
}

describe('InterconnectContext', () => {
  it('knows pattern, message, session and connection', async () => {
    const context = await contextOf(Buffer.from('payload'));

    expect(context.getPattern()).toBe('look');
    expect(context.getMessage().data).toEqual(Buffer.from('payload'));
    expect(context.getSession().name).toBe('look');
    expect(context.getConnection()).toBe(context.getSession().connection);
    expect(context.getConnection().data).toEqual(Buffer.from('who I am'));
    expect(context.isEvent()).toBe(false);
  });

  it('knows the caller', async () => {
    const context = await contextOf(Buffer.alloc(0));

    expect(context.getPeer()).toMatchObject({ address: '127.0.0.1', encrypted: false });
  });

  it('gives its args as every Nest context does', async () => {
    const context = await contextOf(Buffer.alloc(0));

    expect(context.getArgs().slice(1)).toEqual(['look', false, context.getCaller(), undefined]);
    expect(context.getArgByIndex(0)).toBe(context.getMessage());
  });

  it('is a new one for every message', async () => {
    const first = await contextOf(Buffer.alloc(0));
    const second = await contextOf(Buffer.alloc(0));

    expect(second).not.toBe(first);
  });

  it('gives metadata that has no prototype', async () => {
    const record = new InterconnectRecordBuilder(Buffer.alloc(0)).setMetadata({ offset: '4096' });

    const metadata = (await contextOf(record)).getMetadata();

    expect({ ...metadata }).toEqual({ offset: '4096' });
    expect(Object.getPrototypeOf(metadata)).toBeNull();
  });

  it('knows how long the caller waits', async () => {
    const before = Date.now();
    const context = await contextOf(
      new InterconnectRecordBuilder(Buffer.alloc(0)).setTimeout(20_000),
    );

    const remaining = context.getRemaining();
    expect(remaining).toBeGreaterThan(10_000);
    expect(remaining).toBeLessThanOrEqual(20_000);
    expect(context.getDeadline()).toBeGreaterThan(before + 10_000);
  });

  it('knows no deadline where there is none', async () => {
    const context = await contextOf(new InterconnectRecordBuilder(Buffer.alloc(0)).setTimeout(0));

    expect(context.getRemaining()).toBeUndefined();
    expect(context.getDeadline()).toBeUndefined();
  });
});

describe('the signal', () => {
  it('aborts when the connection of the caller ends', async () => {
    const pending = failure(client.send('wait', Buffer.alloc(0)));
    await controller.started.promise;

    await client.close();

    await controller.aborted.promise;
    expect(await pending).toBeInstanceOf(InterconnectError);
  });

  it('aborts when the caller unsubscribes', async () => {
    const subscription = client.send('wait', Buffer.alloc(0)).subscribe();
    await controller.started.promise;

    subscription.unsubscribe();

    await controller.aborted.promise;
    expect(controller.contexts[0]?.getSignal().reason).toMatchObject({ code: 'IC_ERR_CANCELLED' });
  });

  it('aborts when the message times out', async () => {
    const record = new InterconnectRecordBuilder(Buffer.alloc(0)).setTimeout(50).build();

    const error = await failureOf(InterconnectError, client.send('wait', record));

    expect(error.code).toBe('IC_ERR_TIMEOUT');
    await controller.aborted.promise;
  });

  it('settles the message whose Observable it ended, so that the next one finds a place', async () => {
    const subscription = client.send('stream', Buffer.alloc(0)).subscribe();
    await controller.started.promise;
    subscription.unsubscribe();
    await controller.unsubscribed.promise;

    const next = lastValueFrom(client.send('stream', Buffer.alloc(0)), { defaultValue: 'none' });

    expect(await next).toBe('none');
  });

  it('ends the subscription to the Observable that a handler gave', async () => {
    const pending = failure(client.send('stream', Buffer.alloc(0)));
    await controller.started.promise;

    await client.close();

    await controller.unsubscribed.promise;
    expect(await pending).toBeInstanceOf(InterconnectError);
  });
});
