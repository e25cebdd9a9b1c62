/** Gives the items of a list when the sender is ready for them, and counts them. */
import type { ItemSender, ItemSource } from '../../../src/protocol/index.js';

export class SimSource implements ItemSource {
  /** The number of items given so far. */
  given = 0;
  readonly #items: Buffer[];
  readonly #give: (item: Buffer) => void;
  readonly #finish: () => void;
  #sender: ItemSender | undefined;
  #isFinished = false;

  /** `finish` is called once: when all items are given and the sender is ready for another. */
  constructor(items: Iterable<Buffer | string>, give: (item: Buffer) => void, finish: () => void) {
    this.#items = [...items].map((item) => Buffer.from(item));
    this.#give = give;
    this.#finish = finish;
  }

  /** From now on, gives the items to this sender. */
  attach(sender: ItemSender | undefined): void {
    this.#sender = sender;
    this.onReady();
  }

  onReady(): void {
    while (this.#sender?.isReady === true && !this.#isFinished) {
      const item = this.#items[this.given];
      if (item === undefined) {
        this.#isFinished = true;
        return this.#finish();
      }
      this.given += 1;
      this.#give(item);
    }
  }
}
