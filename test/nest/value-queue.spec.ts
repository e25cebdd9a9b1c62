import { describe, expect, it } from '@jest/globals';
import { Buffer } from 'node:buffer';
import type { Bytes } from '../../src/endpoint/index.js';
import { UnfitItem } from '../../src/nest/common/item-stream.js';
import { MAX_WAITING_BYTES, QueueOverflow, ValueQueue } from '../../src/nest/server/value-queue.js';
import { deferred } from './support/async.js';

const MIB = 1024 * 1024;
const COST = 128;

/** A queue of buffers of these sizes, and how often it wanted no more. */
function queueOf(encode: (value: unknown) => Bytes | PromiseLike<Bytes>) {
  const seen = { stopped: 0 };
  const queue = new ValueQueue(encode, () => (seen.stopped += 1));
  return { queue, seen };
}

const sized = () => queueOf((size) => Buffer.alloc(Number(size)));

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

  it('counts values of no octets too', () => {
    const { queue, seen } = sized();
    const most = MAX_WAITING_BYTES / COST;
    for (let count = 0; count < most; count += 1) queue.push(0);
    expect(seen.stopped).toBe(0);

    queue.push(0);

    expect(seen.stopped).toBe(1);
  });

  it('has room again for what is taken', async () => {
    const { queue, seen } = sized();
    for (let count = 0; count < 5; count += 1) {
      queue.push(MAX_WAITING_BYTES / 2 - COST);
      queue.push(MAX_WAITING_BYTES / 2 - COST);
      await queue.next();
      await queue.next();
    }

    expect(seen.stopped).toBe(0);
  });

  it('takes one value that is larger than all may be', async () => {
    const { queue, seen } = sized();
    queue.push(MAX_WAITING_BYTES + 1);
    queue.complete();

    expect(await rest(queue)).toEqual([MAX_WAITING_BYTES + 1]);
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
