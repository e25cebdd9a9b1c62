/** Hands the items of an answer to whoever takes them, one after the other. */
import { AsyncResource } from 'node:async_hooks';

/** Takes one item of an answer; the next comes when its promise has resolved. */
export type OnItem = (item: Buffer) => void | Promise<void>;

/** The message whose answer is a stream. */
export interface DeliveredMessage {
  /** The next item, if it is there. */
  take(): Buffer | undefined;
  /** The taker has thrown: the rest is not wanted. */
  abandon(error: unknown): void;
}

export class ItemDelivery {
  readonly #message: DeliveredMessage;
  readonly #onItem: OnItem | undefined;
  readonly #scope: AsyncResource;
  #isBusy = false;
  /** Something came while it was busy. */
  #wasTold = false;
  #onRead: (() => void) | undefined;

  /** Items are taken in the scope of who sends, and not in that of the socket: it may be another's who connected. */
  constructor(
    message: DeliveredMessage,
    onItem: OnItem | undefined,
    scope = new AsyncResource('InterconnectItems'),
  ) {
    this.#message = message;
    this.#onItem = onItem;
    this.#scope = scope;
  }

  /** There may be an item. */
  advance(): void {
    this.#wasTold = true;
    if (this.#isBusy) return;
    this.#isBusy = true;
    this.#wasTold = false;
    const delivered = this.#scope.runInAsyncScope(() => this.#deliver());
    delivered.then(
      () => this.#onIdle(),
      (error: unknown) => this.#message.abandon(error),
    );
  }

  /** Nothing more comes: calls back when everything that has come is delivered. */
  whenRead(onRead: () => void): void {
    this.#onRead = onRead;
    this.advance();
  }

  async #deliver(): Promise<void> {
    const message = this.#message;
    for (let item = message.take(); item !== undefined; item = message.take()) {
      await this.#onItem?.(item);
    }
  }

  #onIdle(): void {
    this.#isBusy = false;
    if (this.#wasTold) return this.advance();
    const onRead = this.#onRead;
    this.#onRead = undefined;
    onRead?.();
  }
}
