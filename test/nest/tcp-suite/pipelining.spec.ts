import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { EventPattern, MessagePattern } from '@nestjs/microservices';
import { firstValueFrom } from 'rxjs';
import { InterconnectClient, InterconnectRecordBuilder } from '../../../src/nest/index.js';
import { until } from '../../support/events.js';
import { Loopback } from '../../support/nest/loopback.js';

const BURST = 12_000;

@Controller()
class PingController {
  events = 0;

  @EventPattern<unknown>('noise')
  noise(_data: unknown): void {
    this.events += 1;
  }

  @MessagePattern({ cmd: 'ping' })
  ping(): string {
    return 'pong';
  }
}

let loopback: Loopback;
afterEach(() => loopback.close());

describe('12,000 messages at once', () => {
  it('are taken one after the other, and the request behind them is answered', async () => {
    // As many as the default allows would leave at once; the rest would wait for credit.
    loopback = await Loopback.start({
      controllers: [PingController],
      server: { encoding: 'json', maxUnsettled: BURST },
    });
    const client = loopback.client({ encoding: 'json' }) as InterconnectClient<unknown>;
    await client.connect();
    const nothing = new InterconnectRecordBuilder<unknown>({}).setOneWay().build();

    for (let sent = 0; sent < BURST; sent++) client.emit('noise', nothing);
    const pong = firstValueFrom(client.send<string>({ cmd: 'ping' }, {}));

    expect(await pong).toBe('pong');
    // The events have a session of their own, so that the request may overtake some of them.
    await until(() => loopback.app.get(PingController).events === BURST);
  });
});
