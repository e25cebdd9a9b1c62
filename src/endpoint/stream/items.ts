/** The two ends of a stream in the public API: the items to send, and the items to read. */
import type { Bytes } from '../common/bytes.js';
import { optionError } from '../common/errors.js';

/**
 * A stream to be sent: a Node `Readable`, an async generator, an array … Each element is one item, whose size is at most
 * the other side's `maxMessageSize`. The connection owns an item from the moment in which the stream yields it: do not
 * change the item afterwards. The stream is asked for the items that the reader's credit allows, and for one more.
 *
 * A stream is read once. If the stream was read already, or other code reads it, the call fails with `IC_ERR_OPTION` and
 * `executed: 'no'`. An array, or another iterable that begins anew each time, may be sent again. A request also fails if
 * its generator ends at once without an item, because a generator that was read looks the same. If the reader needs no
 * more items, the iterator's `return` is called, or the `Readable` is destroyed.
 */
export type Items = AsyncIterable<Bytes> | Iterable<Bytes>;

/** Whether the data is a stream, and not bytes. */
export function isItems(data: unknown): data is Items {
  if (ArrayBuffer.isView(data)) return false;
  // A string is iterable too. It is refused later, because it is not bytes.
  if (typeof data !== 'object' || data === null) return false;
  return Symbol.asyncIterator in data || Symbol.iterator in data;
}

/** @internal A Node stream of any package and version: old ones lack the optional members. */
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

/** @internal Whether the value has the shape of a Node stream. */
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

/** The origin of received items: a request or a response. */
export interface ItemOrigin {
  /** Called before the first item is taken. */
  start(): void;
  /** Returns the next item, if it has arrived. */
  take(): Buffer | undefined;
  /** Set when no further items follow. If there is an `error`, the reader throws it. */
  readonly end: { readonly error?: unknown } | undefined;
  /** Called when the reader wants no further items. */
  stop(): void;
}

interface Waiter {
  readonly resolve: (result: IteratorResult<Buffer, undefined>) => void;
  readonly reject: (error: unknown) => void;
}

/** The iterator over received items: each `next` takes one item, or waits for it. */
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

  /** Continues a waiting `next`, if there is an item or the end. */
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

/** An iterable that can be read once, in one loop. */
export class ReadOnce implements AsyncIterable<Buffer> {
  readonly #what: string;
  #reader: ItemReader | undefined;

  /** `what`: the name of the iterable, for the error of a second loop. */
  constructor(what: string, reader: ItemReader) {
    this.#what = what;
    this.#reader = reader;
  }

  /** @throws IC_ERR_OPTION at the second call. */
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
