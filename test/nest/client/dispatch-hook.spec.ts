import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { firstValueFrom, lastValueFrom } from 'rxjs';
import {
  InterconnectClient,
  InterconnectContext,
  InterconnectRecordBuilder,
} from '../../../src/nest/index.js';
import { failureOf } from '../../support/nest/async.js';
import { Loopback } from '../../support/nest/loopback.js';

@Controller()
class MetadataController {
  readonly seen: Record<string, string>[] = [];

  @MessagePattern('message')
  message(@Ctx() context: InterconnectContext): void {
    this.seen.push({ ...context.getMetadata() });
  }

  @EventPattern<unknown>('event')
  event(@Payload() _data: Buffer, @Ctx() context: InterconnectContext): void {
    this.seen.push({ ...context.getMetadata() });
  }
}

const bytes = Buffer.from('bytes');
let loopback: Loopback;
let client: InterconnectClient;
let controller: MetadataController;

beforeEach(async () => {
  loopback = await Loopback.start({ controllers: [MetadataController] });
  client = loopback.client();
  controller = loopback.app.get(MetadataController);
});
afterEach(() => loopback.close());

// Nest 12's; test/nest-11 says what becomes of a call where there is none.
describe('a dispatch hook', () => {
  it('adds metadata to what is sent, and gives way to the record', async () => {
    client.setOnDispatchHook((packet) => {
      packet.metadata = { traceparent: '00-1', offset: 'hook' };
    });
    const record = new InterconnectRecordBuilder(bytes).setMetadata({ offset: 'record' }).build();

    await firstValueFrom(client.send('message', bytes));
    await lastValueFrom(client.emit('event', record));

    expect(controller.seen).toEqual([
      { traceparent: '00-1', offset: 'hook' },
      { traceparent: '00-1', offset: 'record' },
    ]);
  });

  it('adds metadata to what is requested, and gives way to the options', async () => {
    client.setOnDispatchHook((packet) => {
      packet.metadata = { traceparent: '00-1', offset: 'hook' };
    });

    await client.request('message', bytes, { metadata: { offset: 'option' } });

    expect(controller.seen).toEqual([{ traceparent: '00-1', offset: 'option' }]);
  });

  it('goes before the metadata that the client has for every call', async () => {
    const own = loopback.client({ metadata: { tenant: 'red', app: 'sync' } });
    own.setOnDispatchHook((packet) => {
      packet.metadata = { tenant: 'blue' };
    });

    await own.request('message', bytes);

    expect(controller.seen).toEqual([{ tenant: 'blue', app: 'sync' }]);
  });

  it('that throws fails the call', async () => {
    client.setOnDispatchHook(() => {
      throw new Error('hook broke');
    });

    expect((await failureOf(Error, client.send('message', bytes))).message).toBe('hook broke');
    expect((await failureOf(Error, client.emit('event', bytes))).message).toBe('hook broke');
  });
});
