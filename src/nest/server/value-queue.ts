/** What an Observable emits, as the items of an answer. */
import type { Bytes } from '../../endpoint/index.js';
import { encodeItem, UnfitItem } from '../common/item-stream.js';
import type { EncodeItem } from '../common/item-stream.js';
import { isPromiseLike } from '../common/promises.js';
import type { ValueBudget } from './value-budget.js';

/** What a value takes beside its octets: Node makes an object of some 110 bytes for a small `Buffer`. */
const VALUE_COST = 128;
/** What a value counts if its serializer takes its time, so that its size is not known. */
const UNENCODED_COST = 16 * 1024;

/** More would wait than `maxQueuedBytes` allows. */
export class QueueOverflow extends Error {
  /** `maxQueuedBytes`. */
  readonly limit: number;

  constructor(limit: number) {
    super(`More than ${limit} bytes wait.`);
    this.limit = limit;
  }
}

/** An item, or what makes it when its turn has come. */
type Waiting = Bytes | (() => Bytes | PromiseLike<Bytes>);

/** What bounds the values that wait. */
export interface QueueBounds {
  /** What all queues of a connection share. */
  readonly budget: ValueBudget;
  /** Bytes of the largest item that the reader takes. */
  readonly maxItemSize: number;
}

/**
 * An Observable cannot be held back: what its reader has not taken waits here, and when that is too much the rest is given
 * up. Values are encoded as they come: then their size is known, and what they were made of need not be kept. A
 * serializer that gives promises has one value at a time, when it is read.
 */
export class ValueQueue implements AsyncIterableIterator<Bytes> {
  private readonly encode: EncodeItem;
  private readonly stop: () => void;
  private readonly bounds: QueueBounds;
  private values: (Waiting | undefined)[] = [];
  /** Of `values`, those that were taken. */
  private taken = 0;
  /** What those count for that wait. */
  private held = 0;
  private givesPromises = false;
  private end: { readonly error?: unknown } | undefined;
  private wake: (() => void) | undefined;

  /** `stop` unsubscribes: nothing more is wanted. */
  constructor(encode: EncodeItem, stop: () => void, bounds: QueueBounds) {
    this.encode = encode;
    this.stop = stop;
    this.bounds = bounds;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  push(value: unknown): void {
    if (this.end !== undefined) return;
    try {
      this.add(this.prepare(value));
    } catch (cause) {
      this.fail(new UnfitItem(cause));
      this.stop();
    }
  }

  complete(): void {
    this.finish({});
  }

  /** The reader gets the values that wait, and then the error. */
  fail(error: unknown): void {
    this.finish({ error });
  }

  /** @throws UnfitItem for a value that no bytes can be made of. */
  async next(): Promise<IteratorResult<Bytes, undefined>> {
    while (this.taken === this.values.length) {
      const { end } = this;
      if (end === undefined) {
        await new Promise<void>((resolve) => (this.wake = resolve));
        continue;
      }
      this.end = {};
      if ('error' in end) throw end.error;
      return { done: true, value: undefined };
    }
    const waiting = this.take();
    if (typeof waiting !== 'function') return { done: false, value: waiting };
    try {
      return { done: false, value: await waiting() };
    } catch (cause) {
      await this.return();
      throw new UnfitItem(cause);
    }
  }

  return(): Promise<IteratorResult<Bytes, undefined>> {
    this.clear();
    this.end = {};
    this.wake?.();
    this.stop();
    return Promise.resolve({ done: true, value: undefined });
  }

  private prepare(value: unknown): Waiting {
    if (this.givesPromises) return () => encodeItem(value, this.encode);
    const encoded = encodeItem(value, this.encode);
    if (!isPromiseLike(encoded)) return encoded;
    this.givesPromises = true;
    // Who reads it is told of its failure; it may be nobody.
    encoded.then(undefined, () => undefined);
    return () => encoded;
  }

  private add(waiting: Waiting): void {
    const { budget, maxItemSize } = this.bounds;
    const cost = costOf(waiting);
    const isTooLarge = typeof waiting !== 'function' && waiting.byteLength > maxItemSize;
    // One value always may wait, however large: it is what the reader asks for.
    if (isTooLarge || this.held === 0) budget.force(cost);
    else if (!budget.take(cost)) return this.overflow(budget.limit);
    this.held += cost;
    this.values.push(waiting);
    this.wake?.();
    // The reader refuses it for its size, and takes nothing after it: that is the failure to tell, and no other.
    if (isTooLarge) this.giveUp({});
  }

  private overflow(limit: number): void {
    this.clear();
    this.giveUp({ error: new QueueOverflow(limit) });
  }

  private take(): Waiting {
    const waiting = this.values[this.taken] as Waiting;
    this.values[this.taken] = undefined;
    this.taken += 1;
    const cost = costOf(waiting);
    this.held -= cost;
    this.bounds.budget.give(cost);
    // Moved in one go and not with every value, which would cost their square.
    if (this.taken * 2 >= this.values.length) {
      this.values = this.values.slice(this.taken);
      this.taken = 0;
    }
    return waiting;
  }

  private clear(): void {
    this.bounds.budget.give(this.held);
    this.values = [];
    this.taken = this.held = 0;
  }

  private giveUp(end: { readonly error?: unknown }): void {
    this.finish(end);
    this.stop();
  }

  private finish(end: { readonly error?: unknown }): void {
    this.end ??= end;
    this.wake?.();
  }
}

function costOf(waiting: Waiting): number {
  return typeof waiting === 'function' ? UNENCODED_COST : waiting.byteLength + VALUE_COST;
}
