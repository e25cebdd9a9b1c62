import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { firstValueFrom, lastValueFrom } from 'rxjs';
import {
  InterconnectClient,
  InterconnectContext,
  InterconnectRecordBuilder,
} from '../../../src/nest/index.js';
import { failure } from '../../support/nest/async.js';
import { Loopback } from '../../support/nest/loopback.js';

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

describe('the option metadata of a client', () => {
  const metadata = { app: 'sync', tenant: 'red' };

  it('goes with every call and event, also before there is a connection', async () => {
    const own = loopback.client({ metadata });

    await own.request('message', Buffer.from('x'));
    await firstValueFrom(own.send('message', Buffer.from('x')));
    await lastValueFrom(own.emit('event', Buffer.from('x')), { defaultValue: undefined });

    expect(seen()).toEqual([metadata, metadata, metadata]);
  });

  it('gives way to that of a record, and of a request', async () => {
    const own = loopback.client({ metadata });

    await firstValueFrom(own.send('message', record({ tenant: 'blue', offset: '1' })));
    await own.request('message', Buffer.from('x'), { metadata: { tenant: 'green' } });
    await own.request('message', Buffer.from('x'));

    expect(seen()).toEqual([
      { app: 'sync', tenant: 'blue', offset: '1' },
      { app: 'sync', tenant: 'green' },
      metadata,
    ]);
  });

  it("goes with what a subclass sends by Nest's own means", async () => {
    class Subclass extends InterconnectClient {
      publishNow(): Promise<unknown> {
        return new Promise((resolve) => {
          this.publish({ pattern: 'message', data: Buffer.from('x') }, resolve);
        });
      }
    }
    const own = new Subclass({ host: '127.0.0.1', port: loopback.port, metadata });

    await own.publishNow();
    await own.close();

    expect(seen()).toEqual([metadata]);
  });

  it('that does not fit fails the call, by name', async () => {
    const own = loopback.client({ metadata: { tenant: 'x'.repeat(8000) } });

    expect(await failure(own.request('message', Buffer.from('x')))).toMatchObject({
      code: 'IC_ERR_OPTION',
      message: expect.stringMatching(/metadata/i),
    });
  });
});
