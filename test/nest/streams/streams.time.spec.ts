import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Controller } from '@nestjs/common';
import { Ctx, MessagePattern } from '@nestjs/microservices';
import { finalize, Subject } from 'rxjs';
import type { Observable } from 'rxjs';
import {
  InterconnectClient,
  InterconnectContext,
  InterconnectRecordBuilder,
} from '../../../src/nest/index.js';
import type { InterconnectRecord } from '../../../src/nest/index.js';
import { ManualClock } from '../../support/sim/manual-clock.js';
import { until } from '../../support/nest/async.js';
import { Loopback } from '../../support/nest/loopback.js';

@Controller()
class PricesController {
  prices = new Subject<Buffer>();
  context: InterconnectContext | undefined;
  unsubscribed = 0;

  @MessagePattern('prices')
  follow(@Ctx() context: InterconnectContext): Observable<Buffer> {
    this.context = context;
    return this.prices.pipe(finalize(() => (this.unsubscribed += 1)));
  }
}

let clock: ManualClock;
let loopback: Loopback;
let client: InterconnectClient;
let controller: PricesController;

beforeEach(async () => {
  clock = new ManualClock();
  const options = { clock, idleTimeout: 0 };
  loopback = await Loopback.start({ controllers: [PricesController], server: options });
  client = loopback.client({ ...options, messageTimeout: 1000 });
  await client.connect();
  controller = loopback.app.get(PricesController);
});
afterEach(() => loopback.close());

interface Seen {
  readonly values: string[];
  readonly errors: unknown[];
  isComplete: boolean;
}

/** Subscribed, and the handler runs. */
async function follow(data: Buffer | InterconnectRecord<Buffer>): Promise<Seen> {
  const seen: Seen = { values: [], errors: [], isComplete: false };
  client.send('prices', data).subscribe({
    next: (value: Buffer) => seen.values.push(value.toString()),
    error: (error) => seen.errors.push(error),
    complete: () => (seen.isComplete = true),
  });
  await until(() => controller.context !== undefined);
  return seen;
}

async function give(seen: Seen): Promise<void> {
  const { length } = seen.values;
  controller.prices.next(Buffer.from(`${length}`));
  await until(() => seen.values.length > length);
}

describe('an Observable that a handler returns', () => {
  it('arrives whole though it outlives the messageTimeout many times over', async () => {
    const seen = await follow(Buffer.from('x'));
    expect(controller.context?.getRemaining()).toBe(1000);
    for (let round = 0; round < 20; round++) {
      clock.advance(900);
      await give(seen);
    }
    expect(controller.context?.getRemaining()).toBeUndefined();
    controller.prices.complete();
    await until(() => seen.isComplete);

    expect(seen.values).toEqual(Array.from({ length: 20 }, (_, at) => `${at}`));
    expect(seen.errors).toEqual([]);
  });

  it('is unsubscribed from when it falls silent for the messageTimeout', async () => {
    const seen = await follow(Buffer.from('x'));
    clock.advance(900);
    await give(seen);

    clock.advance(1000);

    await until(() => seen.errors.length === 1 && controller.unsubscribed === 1);
    expect(seen.errors).toEqual([expect.objectContaining({ code: 'IC_ERR_TIMEOUT' })]);
    expect(controller.context?.getSignal().aborted).toBe(true);
  });

  it.each([
    ['so long as it says', 1500, 1],
    ['for ever where it says 0', 0, 0],
  ])('may last, with setTimeout() of a record, %s', async (_by, timeout, ends) => {
    const record = new InterconnectRecordBuilder(Buffer.from('x')).setTimeout(timeout).build();
    const seen = await follow(record);
    await give(seen);
    clock.advance(900);
    await give(seen);

    clock.advance(timeout === 0 ? 100_000 : 600);
    if (ends === 0) await give(seen);
    else await until(() => seen.errors.length === 1);

    expect(seen.errors).toHaveLength(ends);
    controller.prices.complete();
    await until(() => controller.unsubscribed === 1);
  });
});
