import { describe, expect, it } from '@jest/globals';
import { Buffer } from 'node:buffer';
import type { Bytes } from '../../../src/endpoint/index.js';
import { UnfitItem } from '../../../src/nest/common/item-stream.js';
import { ValueBudget } from '../../../src/nest/server/value-budget.js';
import { QueueOverflow, ValueQueue } from '../../../src/nest/server/value-queue.js';
import { deferred } from '../../support/nest/async.js';

const MIB = 1024 * 1024;
const COST = 128;
const LIMIT = 16 * MIB;

/** A queue of buffers of these sizes, and how often it wanted no more. */
function queueOf(
  encode: (value: unknown) => Bytes | PromiseLike<Bytes>,
  bounds: { readonly budget?: ValueBudget; readonly maxItemSize?: number } = {},
) {
  const seen = { stopped: 0 };
  const { budget = new ValueBudget(LIMIT), maxItemSize = Infinity } = bounds;
  const queue = new ValueQueue(encode, () => (seen.stopped += 1), { budget, maxItemSize });
  return { queue, seen };
}

const sized = (bounds = {}) => queueOf((size) => Buffer.alloc(Number(size)), bounds);

async function rest(queue: ValueQueue): Promise<number[]> {
  const sizes: number[] = [];
  for await (const item of queue) sizes.push(item.byteLength);
  return sizes;
}

describe('ValueQueue', () => {
  it('holds octets to the limit, and what each value takes beside them', async () => {
    const { queue, seen } = sized();
    for (let count = 0; count < 15; count += 1) queue.push(MIB);
    queue.push(MIB - 16 * COST);
    expect(seen.stopped).toBe(0);

    queue.push(0);

    expect(seen.stopped).toBe(1);
    await expect(queue.next()).rejects.toThrow(QueueOverflow);
  });

  it('shares what may wait with the other queues of its connection', async () => {
    const budget = new ValueBudget(3 * MIB);
    const one = sized({ budget });
    const other = sized({ budget });
    one.queue.push(MIB);
    one.queue.push(MIB - 2 * COST);
    other.queue.push(MIB - COST);
    expect([one.seen.stopped, other.seen.stopped]).toEqual([0, 0]);

    other.queue.push(0);

    expect(other.seen.stopped).toBe(1);
    await expect(other.queue.next()).rejects.toMatchObject({ limit: 3 * MIB });
    // What the other one held is free again.
    one.queue.push(MIB - COST);
    expect(one.seen.stopped).toBe(0);
  });

  it.each<[string, (queue: ValueQueue) => Promise<unknown>]>([
    ['is read', (queue) => rest(queue)],
    ['is left', (queue) => queue.return()],
    ['has overflowed', async (queue) => queue.push(LIMIT)],
  ])('holds nothing of the budget when it %s', async (_, leave) => {
    const budget = new ValueBudget(LIMIT);
    const { queue } = sized({ budget });
    for (let count = 0; count < 10; count += 1) queue.push(MIB);
    queue.push(5);
    if (_ === 'is read') queue.complete();

    await leave(queue);

    expect(budget.take(LIMIT)).toBe(true);
  });

  it('has an item larger than its reader takes be the last: the reader refuses it', async () => {
    const { queue, seen } = sized({ budget: new ValueBudget(MIB), maxItemSize: 2 * MIB });
    queue.push(10);
    queue.push(2 * MIB + 1);
    expect(seen.stopped).toBe(1);
    queue.push(20);

    expect(await rest(queue)).toEqual([10, 2 * MIB + 1]);
  });

  it('counts values of no octets too', () => {
    const { queue, seen } = sized();
    const most = LIMIT / COST;
    for (let count = 0; count < most; count += 1) queue.push(0);
    expect(seen.stopped).toBe(0);

    queue.push(0);

    expect(seen.stopped).toBe(1);
  });

  it('has room again for what is taken', async () => {
    const { queue, seen } = sized();
    for (let count = 0; count < 5; count += 1) {
      queue.push(LIMIT / 2 - COST);
      queue.push(LIMIT / 2 - COST);
      await queue.next();
      await queue.next();
    }

    expect(seen.stopped).toBe(0);
  });

  it('takes one value that is larger than all may be', async () => {
    const { queue, seen } = sized();
    queue.push(LIMIT + 1);
    queue.complete();

    expect(await rest(queue)).toEqual([LIMIT + 1]);
    expect(seen.stopped).toBe(0);
  });

  it('encodes values as they come, so that nothing else of them is kept', () => {
    const encoded: unknown[] = [];
    const { queue } = queueOf((value) => {
      encoded.push(value);
      return Buffer.alloc(1);
    });
    queue.push('a');
    queue.push('b');

    expect(encoded).toEqual(['a', 'b']);
  });

  it('gives what came before a value that no bytes can be made of, then says so', async () => {
    const { queue, seen } = queueOf((value) => {
      if (value === 2) throw new TypeError('not this');
      return Buffer.alloc(1);
    });
    for (const value of [1, 2, 3]) queue.push(value);

    expect(seen.stopped).toBe(1);
    expect(await queue.next()).toMatchObject({ done: false });
    await expect(queue.next()).rejects.toThrow(UnfitItem);
  });

  it('forgets all when its reader leaves, and wants no more', async () => {
    const { queue, seen } = sized();
    queue.push(1);
    const left = queue.return();
    queue.push(1);

    expect(await left).toEqual({ done: true, value: undefined });
    expect(await queue.next()).toEqual({ done: true, value: undefined });
    expect(seen.stopped).toBe(1);
  });
});

describe('ValueQueue with a serializer that gives promises', () => {
  it('has one value at a time encoded, in order, when it is read', async () => {
    const gates = [deferred(), deferred(), deferred()];
    const begun: unknown[] = [];
    const { queue } = queueOf(async (value) => {
      begun.push(value);
      await gates[Number(value)]?.promise;
      return Buffer.alloc(Number(value) + 1);
    });
    for (const value of [0, 1, 2]) queue.push(value);
    queue.complete();
    const sizes = rest(queue);
    await Promise.resolve();
    expect(begun).toEqual([0]);

    for (const gate of gates) gate.resolve();

    expect(await sizes).toEqual([1, 2, 3]);
  });

  it('holds 1024 of them', () => {
    const { queue, seen } = queueOf(async () => Buffer.alloc(1));
    for (let count = 0; count < 1024; count += 1) queue.push(count);
    expect(seen.stopped).toBe(0);

    queue.push(1024);

    expect(seen.stopped).toBe(1);
  });

  it.each([0, 1])('says that value %p has no bytes, and stops there', async (bad) => {
    const { queue, seen } = queueOf(async (value) => {
      if (value === bad) throw new TypeError('not this');
      return Buffer.alloc(1);
    });
    for (const value of [0, 1, 2]) queue.push(value);
    for (let at = 0; at < bad; at += 1) await queue.next();

    await expect(queue.next()).rejects.toThrow(UnfitItem);
    expect(seen.stopped).toBe(1);
    expect(await queue.next()).toMatchObject({ done: true });
  });

  it('leaves no rejection behind where nobody reads it', async () => {
    const { queue } = queueOf(async () => {
      throw new TypeError('not this');
    });
    queue.push(1);

    expect(await queue.return()).toMatchObject({ done: true });
    await new Promise((resolve) => setImmediate(resolve));
  });
});
