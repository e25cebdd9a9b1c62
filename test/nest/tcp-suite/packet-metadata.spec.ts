import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { ClientProxy, Ctx, EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { firstValueFrom } from 'rxjs';
import { InterconnectContext } from '../../../src/nest/index.js';
import { Loopback } from '../../support/nest/loopback.js';

@Controller()
class MetadataController {
  last: object | undefined;

  @MessagePattern('echo with metadata')
  echo(@Payload() data: unknown, @Ctx() context: InterconnectContext): object {
    return { data, metadata: context.getMetadata() };
  }

  @EventPattern<unknown>('note metadata')
  note(@Payload() _data: unknown, @Ctx() context: InterconnectContext): void {
    this.last = { ...context.getMetadata() };
  }
}

let loopback: Loopback;
let client: ClientProxy;

beforeAll(async () => {
  loopback = await Loopback.start({
    controllers: [MetadataController],
    server: { encoding: 'json' },
  });
});
afterAll(() => loopback.close());
beforeEach(async () => {
  client = loopback.client({ encoding: 'json' });
  await client.connect();
});

describe('what a dispatch hook attaches', () => {
  it('arrives with a request, beside the payload', async () => {
    client.setOnDispatchHook((packet) => {
      packet.metadata = { 'x-request-id': '1' };
    });

    expect(await firstValueFrom(client.send('echo with metadata', { order: 7 }))).toEqual({
      data: { order: 7 },
      metadata: { 'x-request-id': '1' },
    });
  });

  it('arrives with an event', async () => {
    client.setOnDispatchHook((packet) => {
      packet.metadata = { 'x-request-id': '2' };
    });

    await firstValueFrom(client.emit('note metadata', {}));

    expect(loopback.app.get(MetadataController).last).toEqual({ 'x-request-id': '2' });
  });

  // TCP's context gives undefined here; ours always gives an object.
  it('is nothing where there is no hook', async () => {
    expect(await firstValueFrom(client.send('echo with metadata', 'plain'))).toEqual({
      data: 'plain',
      metadata: {},
    });
  });

  it('is asked for once per packet, with pattern and data', async () => {
    const seen: unknown[] = [];
    client.setOnDispatchHook(({ pattern, data }) => void seen.push({ pattern, data }));

    await firstValueFrom(client.send('echo with metadata', 1));
    await firstValueFrom(client.send({ cmd: 'nobody' }, 2)).catch(() => undefined);

    expect(seen).toEqual([
      { pattern: 'echo with metadata', data: 1 },
      { pattern: { cmd: 'nobody' }, data: 2 },
    ]);
  });
});
