/** The senders of sessions that wait for byte credit of their connection. */
export class BlockedSenders {
  readonly #senders = new Set<{ pump(): void }>();
  #hasRoom = false;

  add(sender: { pump(): void }): void {
    this.#senders.add(sender);
  }

  delete(sender: { pump(): void }): void {
    this.#senders.delete(sender);
  }

  /** There is more credit: the next `pump` lets the senders go on. */
  onRoom(): void {
    this.#hasRoom = true;
  }

  /** Lets the senders go on, if there is more credit. */
  pump(): void {
    if (!this.#hasRoom) return;
    this.#hasRoom = false;
    // The usual case. `clear` would make a new table for an empty set too.
    if (this.#senders.size === 0) return;
    const senders = [...this.#senders];
    this.#senders.clear();
    for (const sender of senders) sender.pump();
  }

  clear(): void {
    this.#senders.clear();
  }
}
