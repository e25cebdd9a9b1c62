/**
 * Progress in both directions. A peer that reads nothing, or that sends one frame octet by octet, is
 * alive by the keepalive's measure and still holds memory here for as long as it likes.
 */
export class StallWatch {
  /** Since when the socket has taken nothing although output waits. */
  #blockedSince = Infinity;
  /** Since when the same frame has been incomplete. */
  #partialSince = Infinity;
  #frames = 0;
  #framesAtCheck = -1;

  /** The socket takes nothing now. */
  onBlocked(now: number): void {
    if (this.#blockedSince === Infinity) this.#blockedSince = now;
  }

  onUnblocked(): void {
    this.#blockedSince = Infinity;
  }

  /** A frame is complete. */
  onFrame(): void {
    this.#frames += 1;
  }

  /** What has stood still for too long; `pending`: octets of a frame that is not complete. */
  check(now: number, pending: number): 'output' | 'input' | undefined {
    if (pending === 0) this.#partialSince = Infinity;
    else if (this.#framesAtCheck !== this.#frames) this.#partialSince = now;
    this.#framesAtCheck = this.#frames;
    if (now >= this.#blockedSince + STALL_TIMEOUT) return 'output';
    return now >= this.#partialSince + STALL_TIMEOUT ? 'input' : undefined;
  }

  /** When to look again; input is looked at along with the keepalive. */
  get nextCheck(): number {
    return this.#blockedSince + STALL_TIMEOUT;
  }
}

/** Milliseconds. */
export const STALL_TIMEOUT = 30_000;
