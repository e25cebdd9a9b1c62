import type { Bytes } from '../../endpoint/index.js';
import { encodeItem, UnfitItem } from '../common/item-stream.js';
import type { EncodeItem } from '../common/item-stream.js';
import { isPromiseLike } from '../common/promises.js';

/**
 * So many octets of an Observable's values may wait for their reader: as many as one message may have by default, so that
 * what fits into one answer may also come as a burst of values.
 */
export const MAX_WAITING_BYTES = 16 * 1024 * 1024;
/** What a value takes beside its octets: Node makes an object of some 110 bytes for a small `Buffer`. */
const VALUE_COST = 128;
/** What a value counts for whose serializer takes its time, so that its size is not known: 1024 of these may wait. */
const UNENCODED_COST = 16 * 1024;

/** More waits than may. */
export class QueueOverflow extends Error {}

/** An item, or what makes it when its turn has come. */
type Waiting = Bytes | (() => Bytes | PromiseLike<Bytes>);

/**
 * What an Observable emits, as items. An Observable cannot be held back: what its reader has not taken waits here, and
 * when that is too much the rest is given up. Values are encoded as they come: then their size is known, and
 * what they were made of need not be kept. A serializer that gives promises has one value at a time, when it is read.
 */
export class ValueQueue implements AsyncIterableIterator<Bytes> {
  private readonly encode: EncodeItem;
  private readonly stop: () => void;
  private values: (Waiting | undefined)[] = [];
  /** Of `values`, those that were taken. */
  private taken = 0;
  /** What those count for that wait. */
  private held = 0;
  private givesPromises = false;
  private end: { readonly error?: unknown } | undefined;
  private wake: (() => void) | undefined;

  /** `stop` unsubscribes: nothing more is wanted. */
  constructor(encode: EncodeItem, stop: () => void) {
    this.encode = encode;
    this.stop = stop;
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

  /** One value always may wait, however large: it is what the reader asks for. */
  private add(waiting: Waiting): void {
    const cost = costOf(waiting);
    if (this.held > 0 && this.held + cost > MAX_WAITING_BYTES) {
      this.clear();
      this.fail(new QueueOverflow());
      this.stop();
      return;
    }
    this.held += cost;
    this.values.push(waiting);
    this.wake?.();
  }

  private take(): Waiting {
    const waiting = this.values[this.taken] as Waiting;
    this.values[this.taken] = undefined;
    this.taken += 1;
    this.held -= costOf(waiting);
    // Moved in one go and not with every value, which would cost their square.
    if (this.taken * 2 >= this.values.length) {
      this.values = this.values.slice(this.taken);
      this.taken = 0;
    }
    return waiting;
  }

  private clear(): void {
    this.values = [];
    this.taken = this.held = 0;
  }

  private finish(end: { readonly error?: unknown }): void {
    this.end ??= end;
    this.wake?.();
  }
}

function costOf(waiting: Waiting): number {
  return typeof waiting === 'function' ? UNENCODED_COST : waiting.byteLength + VALUE_COST;
}
