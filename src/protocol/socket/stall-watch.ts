/**
 * Watches that both directions of a socket make progress. A peer can read nothing, or send a frame octet by octet. The
 * keepalive finds such a peer alive, but the peer would hold memory of this side for as long as it likes.
 */
import { TimeBudget } from '../common/time-budget.js';

export class StallWatch {
  /** How long the socket may take no octets while output waits. */
  readonly #output = new TimeBudget(STALL_TIMEOUT, 0);
  #isBlocked = false;
  /** How long one frame may be incomplete. */
  readonly #input = new TimeBudget(STALL_TIMEOUT, 0);
  #isPartial = false;
  #frames = 0;
  #framesAtCheck = -1;

  /** The socket takes no octets now. */
  onBlocked(now: number): void {
    if (this.#isBlocked) return;
    this.#isBlocked = true;
    this.#output.refill(now);
  }

  onUnblocked(): void {
    this.#isBlocked = false;
  }

  /** A frame is complete. */
  onFrame(): void {
    this.#frames += 1;
  }

  /** Returns the direction that has stood still for too long. `pending`: octets of an incomplete frame. */
  check(now: number, pending: number): 'output' | 'input' | undefined {
    if (this.#isBlocked && this.#output.spend(now)) return 'output';
    const isSameFrame = this.#isPartial && this.#framesAtCheck === this.#frames;
    this.#isPartial = pending > 0;
    this.#framesAtCheck = this.#frames;
    if (!this.#isPartial) return undefined;
    if (isSameFrame) return this.#input.spend(now) ? 'input' : undefined;
    this.#input.refill(now);
    return undefined;
  }

  /** The instant of the next call of `check`; `Infinity` = no direction waits. */
  get nextCheck(): number {
    const output = this.#isBlocked ? this.#output.nextLook : Infinity;
    return this.#isPartial ? Math.min(output, this.#input.nextLook) : output;
  }
}

/** Milliseconds. */
export const STALL_TIMEOUT = 30_000;
