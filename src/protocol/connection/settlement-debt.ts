/**
 * Octets of settlements that wait to be written, because the peer does not read. Beyond a limit no handler starts:
 * its settlement would only wait behind the others.
 */
export class SettlementDebt {
  #octets = 0;
  #isTooLarge = false;

  /** Whether handlers may start. */
  get mayDispatch(): boolean {
    return !this.#isTooLarge;
  }

  /** `octets` more wait to be written, or fewer if the number is negative. */
  add(octets: number): void {
    this.#octets += octets;
    if (this.#octets > LARGEST_DEBT) this.#isTooLarge = true;
  }

  /** Whether handlers may start again that had to wait. Returns true once for each time that they had to wait. */
  isRelieved(): boolean {
    if (!this.#isTooLarge || this.#octets > LARGEST_DEBT / 2) return false;
    this.#isTooLarge = false;
    return true;
  }
}

const LARGEST_DEBT = 16 * 1024 * 1024;
