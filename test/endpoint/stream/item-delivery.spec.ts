import { describe, expect, it } from '@jest/globals';
import { ItemDelivery } from '../../../src/endpoint/stream/item-delivery.js';

describe('the delivery of items', () => {
  it('misses none that comes just as it has found nothing more', async () => {
    const waiting: Buffer[] = [];
    const taken: string[] = [];
    const message = { take: () => waiting.shift(), abandon: () => undefined };
    const delivery = new ItemDelivery(message, (item) => void taken.push(item.toString()));

    delivery.advance();
    waiting.push(Buffer.from('late'));
    delivery.advance();
    await new Promise((resolve) => setImmediate(resolve));

    expect(taken).toEqual(['late']);
  });
});
