/** The two ends of a stream in the public API: what is sent item by item, and how items are read. */
import type { Bytes } from '../common/bytes.js';
import { optionError } from '../common/errors.js';

/**
 * A stream to be sent: a Node `Readable`, an async generator, an array … Each element is one item, of at most
 * the other side's `maxMessageSize`, and belongs to the connection from when it is yielded: do not change it
 * any more. The next is asked for only when the reader's credit allows it, or one ahead of that.
 *
 * It is read once. A stream that was read already, or that somebody else reads, is refused with `IC_ERR_OPTION` and
 * `executed: 'no'`; an array, or another iterable that begins anew each time, may be sent again. A generator that ends at once
 * without an item is refused as a request too, since a generator that was read looks the same. If the reader needs no more, the
 * iterator's `return` is called, or the `Readable` destroyed.
 */
export type Items = AsyncIterable<Bytes> | Iterable<Bytes>;

/** Whether it is a stream rather than bytes. */
export function isItems(data: unknown): data is Items {
  if (Buffer.isBuffer(data) || ArrayBuffer.isView(data)) return false;
  // A string is iterable too; it is refused as what is no bytes.
  if (typeof data !== 'object' || data === null) return false;
  return Symbol.asyncIterator in data || Symbol.iterator in data;
}

/** @internal A Node stream of whatever package and version: what is optional here is missing in old ones. */
export interface AnyReadable {
  destroy(): unknown;
  on(event: 'error', listener: () => void): unknown;
  listenerCount(event: 'data' | 'readable'): number;
  readonly errored?: Error | null | undefined;
  readonly destroyed?: boolean | undefined;
  readonly readable?: boolean | undefined;
  readonly readableDidRead?: boolean | undefined;
  readonly readableFlowing?: boolean | null | undefined;
}

/** @internal By its shape. */
export function isReadable(items: object): items is AnyReadable {
  return (
    'destroy' in items &&
    typeof items.destroy === 'function' &&
    'on' in items &&
    typeof items.on === 'function' &&
    'listenerCount' in items &&
    typeof items.listenerCount === 'function'
  );
}

/** Where received items are taken from. */
export interface ItemOrigin {
  /** Called before the first is taken. */
  start(): void;
  /** The next item, if it is there. */
  take(): Buffer | undefined;
  /** Set once nothing more comes: `error` is thrown to the reader. */
  readonly end: { readonly error?: unknown } | undefined;
  /** The reader wants no more. */
  stop(): void;
}

interface Waiter {
  readonly resolve: (result: IteratorResult<Buffer, undefined>) => void;
  readonly reject: (error: unknown) => void;
}

/** Received items, for one reader: each `next` takes one, or waits for it. */
export class ItemReader implements AsyncIterator<Buffer, undefined> {
  readonly #origin: ItemOrigin;
  #waiters: Waiter[] = [];
  #state: 'new' | 'reading' | 'over' = 'new';

  constructor(origin: ItemOrigin) {
    this.#origin = origin;
  }

  next(): Promise<IteratorResult<Buffer, undefined>> {
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
      if (this.#state === 'new') {
        this.#state = 'reading';
        this.#origin.start();
      }
      this.wake();
    });
  }

  return(): Promise<IteratorResult<Buffer, undefined>> {
    if (this.#state !== 'over') {
      this.#finish();
      this.#origin.stop();
    }
    return Promise.resolve(DONE);
  }

  /** There may be an item, or the end. */
  wake(): void {
    while (this.#waiters.length > 0 && this.#state !== 'over') {
      const value = this.#origin.take();
      if (value !== undefined) {
        this.#waiters.shift()?.resolve({ done: false, value });
        continue;
      }
      const { end } = this.#origin;
      if (end === undefined) return;
      if ('error' in end) this.#waiters.shift()?.reject(end.error);
      this.#finish();
    }
    if (this.#state === 'over') this.#finish();
  }

  #finish(): void {
    this.#state = 'over';
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const { resolve } of waiters) resolve(DONE);
  }
}

/** Something that can be read in one loop, once. */
export class ReadOnce implements AsyncIterable<Buffer> {
  readonly #what: string;
  #reader: ItemReader | undefined;

  /** `what` it is, for the error of a second loop. */
  constructor(what: string, reader: ItemReader) {
    this.#what = what;
    this.#reader = reader;
  }

  /** @throws IC_ERR_OPTION the second time. */
  [Symbol.asyncIterator](): AsyncIterator<Buffer, undefined> {
    const reader = this.#reader;
    if (reader === undefined) {
      throw optionError(
        `${this.#what} was read already. It can be read once: keep the items that are needed again.`,
      );
    }
    this.#reader = undefined;
    return reader;
  }
}

const DONE: IteratorResult<Buffer, undefined> = Object.freeze({ done: true, value: undefined });
