/** The body of a message: the items of a request, as its handler reads them. */
import type { IncomingMessage } from '../../protocol/index.js';
import type { InterconnectError } from '../common/errors.js';
import { type ItemOrigin, ItemReader, ReadOnce } from './items.js';

export class MessageBody {
  /** The iterable for the handler's loop. It can be read once. */
  readonly items: AsyncIterable<Buffer>;
  readonly #reader: ItemReader;

  /** `aborted`: returns the error to throw, if the message is no longer wanted. */
  constructor(
    incoming: IncomingMessage,
    data: Buffer,
    aborted: () => InterconnectError | undefined,
  ) {
    const origin =
      incoming.requestItems === undefined
        ? single(data)
        : streamed(incoming, aborted, () => this.#reader.wake());
    this.#reader = new ItemReader(origin);
    this.items = new ReadOnce('message.body', this.#reader);
  }

  /** Continues a waiting loop: an item may have arrived, or the message was settled or is no longer wanted. */
  wake(): void {
    this.#reader.wake();
  }
}

function single(data: Buffer): ItemOrigin {
  let rest: Buffer | undefined = data.length > 0 ? data : undefined;
  return {
    start: () => undefined,
    take() {
      const item = rest;
      rest = undefined;
      return item;
    },
    end: {},
    stop: () => undefined,
  };
}

function streamed(
  incoming: IncomingMessage,
  aborted: () => InterconnectError | undefined,
  onItem: () => void,
): ItemOrigin {
  const items = incoming.requestItems;
  const listen = (sink: { onItem(): void } | undefined): void => {
    if (items !== undefined) items.sink = sink;
  };
  return {
    start: () => listen({ onItem }),
    take: () => items?.take(),
    get end() {
      const error = aborted();
      if (error !== undefined) return { error };
      // A handler that has settled its message needs no further items: the loop ends without an error.
      return incoming.isSettled || items?.isAtEnd === true ? {} : undefined;
    },
    stop: () => listen(undefined),
  };
}
