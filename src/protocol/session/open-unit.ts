/** OPEN on its way out. The acceptor's time starts when it is written. */
import { FrameType } from '../../wire/index.js';
import { remainingUntil, Unit } from '../output/unit.js';

/** The session that OPEN asks for. */
export interface OpeningSession {
  /** OPEN is written: the acceptor's time starts. */
  startClock(now: number): void;
  /** Milliseconds that are left to the acceptor; `Infinity` = no limit. */
  timeLeft(now: number): number;
}

export class OpenUnit extends Unit {
  readonly #session: OpeningSession;

  constructor(session: OpeningSession, id: number, meta: Buffer, data: Buffer) {
    super(FrameType.OPEN, 0, meta, data);
    this.sessionId = id;
    this.#session = session;
  }

  // [IC-10.12]
  override onStart(now: number): void {
    this.#session.startClock(now);
  }

  override remaining(now: number): number {
    return remainingUntil(now + this.#session.timeLeft(now), now);
  }

  onWritten(): void {
    // The answer is what the session waits for.
  }

  onAcknowledged(): void {
    // Nothing to release: the frame is its own.
  }
}
