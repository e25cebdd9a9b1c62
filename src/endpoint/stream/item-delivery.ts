/** The delivery of a response: hands its items to `onItem`, one after the other. */
import { AsyncResource } from 'node:async_hooks';

/** Takes one item of a response. The next call comes after the returned promise has resolved. */
export type OnItem = (item: Buffer) => void | Promise<void>;

/** The message whose response is a stream. */
export interface DeliveredMessage {
  /** Returns the next item, if it has arrived. */
  take(): Buffer | undefined;
  /** `onItem` has thrown this error, or its promise rejected: the other items are not wanted. */
  abandon(error: unknown): void;
}

export class ItemDelivery {
  readonly #message: DeliveredMessage;
  readonly #onItem: OnItem | undefined;
  readonly #scope: AsyncResource;
  #isBusy = false;
  /** Whether an item arrived while `onItem` ran. */
  #wasTold = false;
  #onRead: (() => void) | undefined;

  /**
   * `onItem` runs in the scope of the sender, and not in the scope of the socket, which may belong to another caller.
   */
  constructor(
    message: DeliveredMessage,
    onItem: OnItem | undefined,
    scope = new AsyncResource('InterconnectItems'),
  ) {
    this.#message = message;
    this.#onItem = onItem;
    this.#scope = scope;
  }

  /** Delivers the next item, if one has arrived. */
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

  /** No further items arrive: calls `onRead` when the last one is delivered. */
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
