/** OPEN as a unit of the output. The acceptor's time starts when OPEN is written. */
import { FrameType } from '../../wire/index.js';
import { remainingUntil, Unit } from '../output/unit.js';

/** The time that the acceptor has for its decision; the session keeps it. */
interface AcceptorClock {
  /** OPEN is written: the acceptor's time starts. */
  startClock(now: number): void;
  /** Milliseconds that are left to the acceptor; `Infinity` = no limit. */
  timeLeft(now: number): number;
}

export class OpenUnit extends Unit {
  readonly #clock: AcceptorClock;

  constructor(clock: AcceptorClock, id: number, meta: Buffer, data: Buffer) {
    super(FrameType.OPEN, 0, meta, data);
    this.sessionId = id;
    this.#clock = clock;
  }

  // [IC-10.6]
  override onStart(now: number): void {
    this.#clock.startClock(now);
  }

  override remaining(now: number): number {
    return remainingUntil(now + this.#clock.timeLeft(now), now);
  }

  onWritten(): void {
    // Nothing to do: the session waits for the response of the acceptor.
  }

  onAcknowledged(): void {
    // Nothing to release.
  }
}
