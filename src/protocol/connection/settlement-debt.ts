/**
 * Octets of settlements that this side owes and the other side does not read. Beyond a limit no handler starts:
 * its answer would only wait behind the others.
 */
export class SettlementDebt {
  #octets = 0;
  #isTooLarge = false;

  /** Whether handlers may start. */
  get mayDispatch(): boolean {
    return !this.#isTooLarge;
  }

  /** So many octets more, or less, wait to be written. */
  add(octets: number): void {
    this.#octets += octets;
    if (this.#octets > LARGEST_DEBT) this.#isTooLarge = true;
  }

  /** Whether handlers may start again that could not start before. True once. */
  isRelieved(): boolean {
    if (!this.#isTooLarge || this.#octets > LARGEST_DEBT / 2) return false;
    this.#isTooLarge = false;
    return true;
  }
}

const LARGEST_DEBT = 16 * 1024 * 1024;
