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
    if (now >= this.nextCheck + LATE) {
      // This process stood still, not the other: what happened meanwhile is not known yet.
      this.#blockedSince = forgive(this.#blockedSince, now);
      this.#partialSince = forgive(this.#partialSince, now);
    }
    if (now >= this.#blockedSince + STALL_TIMEOUT) return 'output';
    return now >= this.#partialSince + STALL_TIMEOUT ? 'input' : undefined;
  }

  /** When to look again. */
  get nextCheck(): number {
    return Math.min(this.#blockedSince, this.#partialSince) + STALL_TIMEOUT;
  }
}

function forgive(since: number, now: number): number {
  return since === Infinity ? since : Math.max(since, now - STALL_TIMEOUT + LATE);
}

/** Milliseconds. */
export const STALL_TIMEOUT = 30_000;
/** A look that comes so much later than it was due is late; as much time is given after it. */
const LATE = 4000;
