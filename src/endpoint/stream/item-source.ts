/**
 * The source of a stream: an iterable of the application, and this library as its one reader.
 *
 * Many streams can be read only once: a `Readable`, a web `ReadableStream`, a generator. To a second reader, such a stream
 * looks empty, and the data would be lost without an error. So a source is claimed before any frame is sent. The claim
 * fails if this library, or other code, has read the stream before.
 */
import { Readable } from 'node:stream';
import { types } from 'node:util';
import { type Executed, InterconnectError } from '../common/errors.js';
import { type AnyReadable, isReadable } from './items.js';
import { microtask } from '../common/runtime.js';
import { messageOf } from '../common/words.js';

/** An iterable or an async iterable of anything. */
type Source<T> = AsyncIterable<T> | Iterable<T>;

/** A stream that cannot be read: it was read already, has ended, or has failed. */
export class UnreadableSource extends InterconnectError {
  constructor(what: string, cause?: unknown, executed: Executed = 'no') {
    super('IC_ERR_OPTION', `${what} ${REMEDY}`, { executed, cause });
    this.#what = what;
  }

  readonly #what: string;

  /** The same error, for a message of which something may have been sent. */
  executedAs(executed: Executed): UnreadableSource {
    return new UnreadableSource(this.#what, this.cause, executed);
  }
}

/** A claimed stream. Its owner must call `end`, unless `next` has reported the end or a failure. */
export class ItemSource<T> {
  readonly #items: Source<T>;
  readonly #iterator: AsyncIterator<T> | Iterator<T>;
  /** The first item, if `begin` has asked for it and `next` has not returned it. */
  #first: Asked<T> | undefined;

  /**
   * Claims the stream, and asks for no item yet.
   * @throws UnreadableSource if the stream was read before, is being read, has ended, or has failed.
   */
  constructor(items: Source<T>) {
    const fault = faultOf(items);
    if (fault !== undefined) throw fault;
    this.#items = items;
    this.#iterator =
      Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
    if (begun.has(this.#iterator)) throw new UnreadableSource(`${nameOf(items)} was read already.`);
    begun.add(items).add(this.#iterator);
    // An 'error' event without a listener ends the process, even after the reader has left.
    if (isReadable(items)) items.on('error', () => undefined);
  }

  /**
   * Call this before a request is written. A generator does not tell whether it was read, so this method asks it for its
   * first item. If the generator ends at once, `onFault` is called before a frame of this tick is written. A generator
   * that was read ends at once. A new generator without items may also end at once. The two look alike, and an empty
   * request would lose the data of the former, so both are refused. For a response, do not call `begin`: a handler makes
   * a new generator, which may be empty.
   */
  begin(onFault: (error: UnreadableSource) => void): void {
    const iterator: object = this.#iterator;
    if (iterator !== this.#items) return;
    let hasWaited = false;
    const check = ({ done }: IteratorResult<T>): void => {
      if (done !== true || hasWaited) return;
      onFault(new UnreadableSource(`${nameOf(this.#items)} was read already, or is empty.`));
    };
    this.#first = this.#ask();
    if (!('then' in this.#first)) return check(this.#first);
    // The caller of `next` gets the failure.
    this.#first.then(check, () => undefined);
    // If the first item is there at once, `check` runs before this microtask. In all other cases it runs later.
    microtask(() => (hasWaited = true));
  }

  /** Returns the next item, or the end. Throws the error of the stream. */
  next(): Asked<T> {
    const first = this.#first;
    this.#first = undefined;
    return first ?? this.#iterator.next();
  }

  /** Ends the stream, because its items are no longer wanted. Resolves when the stream has ended its work. */
  async end(): Promise<void> {
    // A waiting `next` of a Readable would delay its `return`.
    if (isReadable(this.#items)) this.#items.destroy();
    await this.#iterator.return?.();
  }

  #ask(): Asked<T> {
    try {
      return this.#iterator.next();
    } catch (error) {
      return new Promise((_, reject) => reject(error));
    }
  }
}

type Asked<T> = PromiseLike<IteratorResult<T>> | IteratorResult<T>;

/** Streams and iterators that this library has begun to read. */
const begun = new WeakSet<object>();

const REMEDY =
  'A stream can be read once: give a new one for each send. What may be empty, or is to be sent again, can be an array or ' +
  'another iterable that begins anew each time.';

/** Returns why the stream cannot be read, if the stream itself tells. */
function faultOf(items: object): UnreadableSource | undefined {
  if (isReadable(items)) return faultOfReadable(items);
  if (!isWebStream(items)) return undefined;
  const was = 'The ReadableStream was read already';
  if (items.locked) return new UnreadableSource(`${was}, or is being read: it is locked.`);
  const isUsed = begun.has(items) || Readable.isDisturbed(items);
  return isUsed ? new UnreadableSource(`${was}.`) : undefined;
}

function faultOfReadable(items: AnyReadable): UnreadableSource | undefined {
  const was = 'The Readable was read already';
  const { errored } = items;
  if (errored !== undefined && errored !== null) {
    const what = `${was}, or failed before it was read: ${messageOf(errored)}`;
    return new UnreadableSource(`${what}${what.endsWith('.') ? '' : '.'}`, errored);
  }
  if (begun.has(items) || items.readableDidRead === true) return new UnreadableSource(`${was}.`);
  if (items.destroyed === true) {
    return new UnreadableSource(`${was}, or destroyed before it was read.`);
  }
  if (items.readable === false) return new UnreadableSource(`${was}: it has ended.`);
  const readers = items.listenerCount('data') + items.listenerCount('readable');
  if (items.readableFlowing !== true && readers === 0) return undefined;
  const reason = "it flows, or has listeners for 'data' or 'readable'";
  return new UnreadableSource(`${was}, or is being read: ${reason}.`);
}

/** A web stream. `Readable.isDisturbed` takes one too, and the type is made so that the compiler allows the call. */
type WebStream = NodeJS.ReadableStream & { readonly locked: boolean };

/** Whether the object has the shape of a web stream. There are other implementations than Node's. */
function isWebStream(items: object): items is WebStream {
  return 'getReader' in items && 'locked' in items;
}

function nameOf(items: object): string {
  return types.isGeneratorObject(items) ? 'The generator' : 'The iterable';
}
