import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { firstValueFrom, lastValueFrom } from 'rxjs';
import {
  InterconnectClient,
  InterconnectContext,
  InterconnectRecordBuilder,
} from '../../src/nest/index.js';
import { Loopback } from './support/loopback.js';

@Controller()
class MetadataController {
  readonly seen: Record<string, string>[] = [];

  @MessagePattern('message')
  message(@Ctx() context: InterconnectContext): unknown {
    this.seen.push({ ...context.getMetadata() });
    return new InterconnectRecordBuilder(Buffer.from('data')).setMetadata({ version: '3' }).build();
  }

  @MessagePattern('metadata only')
  metadataOnly(): unknown {
    return new InterconnectRecordBuilder().setMetadata({ version: '3' }).build();
  }

  @EventPattern<unknown>('event')
  event(@Payload() _data: Buffer, @Ctx() context: InterconnectContext): void {
    this.seen.push({ ...context.getMetadata() });
  }
}

let loopback: Loopback;
let client: InterconnectClient;

beforeEach(async () => {
  loopback = await Loopback.start({ controllers: [MetadataController] });
  client = loopback.client();
});
afterEach(() => loopback.close());

function seen(): Record<string, string>[] {
  return loopback.app.get(MetadataController).seen;
}

function record(metadata: Record<string, string>) {
  return new InterconnectRecordBuilder(Buffer.from('x')).setMetadata(metadata).build();
}

describe('metadata', () => {
  it('of a record reaches the handlers of messages and events', async () => {
    await firstValueFrom(client.send('message', record({ offset: '1', größe: '大' })));
    await lastValueFrom(client.emit('event', record({ offset: '2' })));

    expect(seen()).toEqual([{ offset: '1', größe: '大' }, { offset: '2' }]);
  });

  it('is empty when none was sent', async () => {
    await firstValueFrom(client.send('message', Buffer.alloc(0)));

    expect(seen()).toEqual([{}]);
  });

  it('that a dispatch hook adds travels too, and gives way to the record', async () => {
    client.setOnDispatchHook((packet) => {
      packet.metadata = { traceparent: '00-1', offset: 'hook' };
    });

    await firstValueFrom(client.send('message', Buffer.alloc(0)));
    await lastValueFrom(client.emit('event', record({ offset: 'record' })));

    expect(seen()).toEqual([
      { traceparent: '00-1', offset: 'hook' },
      { traceparent: '00-1', offset: 'record' },
    ]);
  });

  it('of a returned record travels back beside the response', async () => {
    const connection = await client.connect();

    const outcome = await connection.openSession('message').send(Buffer.alloc(0));

    expect(outcome).toMatchObject({ accepted: true, data: Buffer.from('data') });
    expect({ ...outcome.metadata }).toEqual({ version: '3' });
  });

  it('may be all that a handler returns', async () => {
    const connection = await client.connect();

    const outcome = await connection.openSession('metadata only').send(Buffer.alloc(0));

    expect(outcome).toMatchObject({ accepted: true, data: Buffer.alloc(0) });
    expect({ ...outcome.metadata }).toEqual({ version: '3' });
  });
});
