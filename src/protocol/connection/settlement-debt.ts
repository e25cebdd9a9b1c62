/**
 * The settlement debt: how many octets of settlements wait to be written, because the peer does not read. Beyond a
 * limit no handler starts, because its settlement would only wait behind the others.
 */
export class SettlementDebt {
  #octets = 0;
  #isTooLarge = false;

  /** Whether handlers may start. */
  get mayDispatch(): boolean {
    return !this.#isTooLarge;
  }

  /** Adds `octets` that wait to be written. A negative number takes away octets that were written. */
  add(octets: number): void {
    this.#octets += octets;
    if (this.#octets > LARGEST_DEBT) this.#isTooLarge = true;
  }

  /** Returns true if handlers had to wait and may start again: once for each time that they had to wait. */
  isRelieved(): boolean {
    if (!this.#isTooLarge || this.#octets > LARGEST_DEBT / 2) return false;
    this.#isTooLarge = false;
    return true;
  }
}

const LARGEST_DEBT = 16 * 1024 * 1024;
