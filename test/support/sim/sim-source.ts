/** Gives the items of a list as they are asked for, and counts how far it came. */
import type { ItemSender, ItemSource } from '../../../src/protocol/index.js';

export class SimSource implements ItemSource {
  /** Items that were given. */
  given = 0;
  readonly #items: Buffer[];
  readonly #give: (item: Buffer) => void;
  readonly #finish: () => void;
  #sender: ItemSender | undefined;
  #isFinished = false;

  /** `finish` is called once when all were given and the next could be. */
  constructor(items: Iterable<Buffer | string>, give: (item: Buffer) => void, finish: () => void) {
    this.#items = [...items].map((item) => Buffer.from(item));
    this.#give = give;
    this.#finish = finish;
  }

  /** From here on, the sender's items are these. */
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
