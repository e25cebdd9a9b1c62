/** Streams of values, between what applications hold and the items that travel. */
import { EMPTY, ItemSource, messageOf } from '../../endpoint/index.js';
import type { Bytes } from '../../endpoint/index.js';
import { UnfitValue } from './codec.js';
import { isInterconnectRecord } from './interconnect.record.js';

/** What is read item by item: an async iterable or generator, a `Readable`. An array is a value, and not a stream. */
export function isStream(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}

/** One value of a stream cannot travel: the application's mistake, and no failure of the source. */
export class UnfitItem extends TypeError {
  constructor(cause: unknown) {
    super(messageOf(cause), { cause });
  }
}

/** Makes the bytes of one value. Throws for a value that has none, or rejects. */
export type EncodeItem = (value: unknown) => Bytes | PromiseLike<Bytes>;

/** As `encode`, for what may be an item of a stream. */
export function encodeItem(value: unknown, encode: EncodeItem): Bytes | PromiseLike<Bytes> {
  if (!isInterconnectRecord(value)) return encode(value);
  throw new UnfitValue(
    value,
    'An item of a stream has no metadata of its own: give the data alone.',
  );
}

/**
 * The values of a stream as items: each is encoded when it is asked for, so that the stream goes at the pace of the
 * reader. The stream belongs to this object, and is read once. Whoever reads no more calls `return()`, which ends the stream.
 */
export class EncodedItems extends ItemSource<unknown> implements AsyncIterableIterator<Bytes> {
  private readonly encode: EncodeItem;

  /** @throws UnreadableSource for a stream that was read already, or that somebody else reads. */
  constructor(stream: AsyncIterable<unknown>, encode: EncodeItem) {
    super(stream);
    this.encode = encode;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** @throws UnfitItem for a value that no bytes can be made of; the source is then ended. */
  override async next(): Promise<IteratorResult<Bytes, undefined>> {
    const result = await super.next();
    if (result.done === true) return { done: true, value: undefined };
    try {
      return { done: false, value: await encodeItem(result.value, this.encode) };
    } catch (cause) {
      // The item's failure counts, and not that of a source that is asked to end for it.
      await this.return().catch(() => undefined);
      throw new UnfitItem(cause);
    }
  }

  async return(): Promise<IteratorResult<Bytes, undefined>> {
    await this.end();
    return { done: true, value: undefined };
  }
}

/** Reads it to its end for the sake of what it does, or until the signal aborts: then it is ended. */
export async function exhaust(
  source: AsyncIterable<unknown>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const items = new EncodedItems(source, () => EMPTY);
  const isWanted = () => signal?.aborted !== true;
  const end = () => void items.return().catch(() => undefined);
  signal?.addEventListener('abort', end, { once: true });
  try {
    while (isWanted() && (await items.next()).done !== true);
    if (!isWanted()) await items.return();
  } finally {
    signal?.removeEventListener('abort', end);
  }
}

/** The items of a request as the values that its handler reads. */
export async function* decodeItems(
  items: AsyncIterable<Buffer>,
  decode: (item: Buffer) => unknown,
): AsyncGenerator {
  for await (const item of items) yield await decode(item);
}
