/** The values of an Observable, as the items of a response. */
import type { Bytes } from '../../endpoint/index.js';
import { encodeItem, UnfitItem } from '../common/item-stream.js';
import type { EncodeItem } from '../common/item-stream.js';
import { isPromiseLike } from '../common/promises.js';
import type { ValueBudget } from './value-budget.js';

/** Bytes that each value costs besides its octets: the object of a small `Buffer` has some 110 bytes in Node. */
const VALUE_COST = 128;
/** Bytes that a value counts while its size is not known, because its serializer gave a promise. */
const UNENCODED_COST = 16 * 1024;

/** More bytes would wait than `maxQueuedBytes` allows. */
export class QueueOverflow extends Error {
  /** `maxQueuedBytes`. */
  readonly limit: number;

  constructor(limit: number) {
    super(`More than ${limit} bytes wait.`);
    this.limit = limit;
  }
}

/** An item, or a function that makes it when it is read. */
type Waiting = Bytes | (() => Bytes | PromiseLike<Bytes>);

/** The limits for the values that wait. */
export interface QueueBounds {
  /** Shared by all queues of a connection. */
  readonly budget: ValueBudget;
  /** Bytes of the largest item that the reader takes. */
  readonly maxItemSize: number;
}

/**
 * The values of an Observable that its reader has not taken yet. An Observable cannot be slowed down, so the queue stops it
 * when too much waits. Values are encoded as they come, so that their size is known and the originals need not be kept. If the
 * serializer gives promises, each value is encoded when it is read, one at a time.
 */
export class ValueQueue implements AsyncIterableIterator<Bytes> {
  private readonly encode: EncodeItem;
  private readonly stop: () => void;
  private readonly bounds: QueueBounds;
  private values: (Waiting | undefined)[] = [];
  /** The number of `values` that were taken. */
  private taken = 0;
  /** Bytes that the waiting values count. */
  private held = 0;
  private givesPromises = false;
  private end: { readonly error?: unknown } | undefined;
  private wake: (() => void) | undefined;

  /** `stop` unsubscribes from the Observable. */
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
    // The reader gets the failure. There may be no reader.
    encoded.then(undefined, () => undefined);
    return () => encoded;
  }

  private add(waiting: Waiting): void {
    const { budget, maxItemSize } = this.bounds;
    const cost = costOf(waiting);
    const isTooLarge = typeof waiting !== 'function' && waiting.byteLength > maxItemSize;
    // One value may always wait, however large, because the reader asks for it.
    if (isTooLarge || this.held === 0) budget.force(cost);
    else if (!budget.take(cost)) return this.overflow(budget.limit);
    this.held += cost;
    this.values.push(waiting);
    this.wake?.();
    // The reader refuses the value because of its size and takes nothing after it. That is the failure of the stream.
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
    // Moved together, because moving the rest for each value would take quadratic time.
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
