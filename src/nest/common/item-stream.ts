/** Turns the streams of applications into items, and items into streams of values. */
import { EMPTY, ItemSource, messageOf } from '../../endpoint/index.js';
import type { Bytes } from '../../endpoint/index.js';
import { UnfitValue } from './codec.js';
import { isInterconnectRecord } from './interconnect.record.js';

/** Whether the value is read item by item: an async iterable, a generator or a `Readable`. An array is a value. */
export function isStream(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}

/** One value of a stream has no form as bytes: the application's mistake, and not a failure of the source. */
export class UnfitItem extends TypeError {
  constructor(cause: unknown) {
    super(messageOf(cause), { cause });
  }
}

/** Makes the bytes of one value. Throws or rejects for a value that has no form as bytes. */
export type EncodeItem = (value: unknown) => Bytes | PromiseLike<Bytes>;

/** Encodes an item of a stream. A record cannot be one. */
export function encodeItem(value: unknown, encode: EncodeItem): Bytes | PromiseLike<Bytes> {
  if (!isInterconnectRecord(value)) return encode(value);
  throw new UnfitValue(
    value,
    'An item of a stream has no metadata of its own: give the data alone.',
  );
}

/**
 * The values of a stream as items. Each value is encoded when it is read, so that the stream keeps the pace of its reader. The
 * stream belongs to this object, and is read once. A reader that stops calls `return()`, which ends the stream.
 */
export class EncodedItems extends ItemSource<unknown> implements AsyncIterableIterator<Bytes> {
  private readonly encode: EncodeItem;

  /** @throws UnreadableSource for a stream that was read already, or that has another reader. */
  constructor(stream: AsyncIterable<unknown>, encode: EncodeItem) {
    super(stream);
    this.encode = encode;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** @throws UnfitItem for a value that has no form as bytes. The source is then ended. */
  override async next(): Promise<IteratorResult<Bytes, undefined>> {
    const result = await super.next();
    if (result.done === true) return { done: true, value: undefined };
    try {
      return { done: false, value: await encodeItem(result.value, this.encode) };
    } catch (cause) {
      // The failure of the item counts, and not that of the source's end.
      await this.return().catch(() => undefined);
      throw new UnfitItem(cause);
    }
  }

  async return(): Promise<IteratorResult<Bytes, undefined>> {
    await this.end();
    return { done: true, value: undefined };
  }
}

/** Reads a stream to its end and drops the values. When the signal aborts, ends the stream. */
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

/** The items of a request, decoded for its handler. */
export async function* decodeItems(
  items: AsyncIterable<Buffer>,
  decode: (item: Buffer) => unknown,
): AsyncGenerator {
  for await (const item of items) yield await decode(item);
}
