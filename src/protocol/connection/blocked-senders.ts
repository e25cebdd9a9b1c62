/** The sessions that wait for byte credit of their connection. */
export class BlockedSenders {
  readonly #senders = new Set<{ pump(): void }>();
  #hasRoom = false;

  add(sender: { pump(): void }): void {
    this.#senders.add(sender);
  }

  delete(sender: { pump(): void }): void {
    this.#senders.delete(sender);
  }

  /** There is more credit: `pump` lets them go on, but not before the caller has done what it is at. */
  onRoom(): void {
    this.#hasRoom = true;
  }

  /** Lets them go on, if there is more credit. */
  pump(): void {
    if (!this.#hasRoom) return;
    this.#hasRoom = false;
    const senders = [...this.#senders];
    this.#senders.clear();
    for (const sender of senders) sender.pump();
  }

  clear(): void {
    this.#senders.clear();
  }
}
