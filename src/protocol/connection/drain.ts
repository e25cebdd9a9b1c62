/**
 * The drain of a connection: whether each side has announced by GOAWAY that it takes no new work.
 *
 * A side that drains writes GOAWAY on every socket, and then a PING. The PONG follows all frames that the peer wrote
 * before it read GOAWAY. So the drain cannot be done before the PONG.
 */
import { Code, encodeFrame, FrameType } from '../../wire/index.js';
import type { FrameWriter } from '../output/frame-writer.js';

export class Drain {
  #theirs = false;
  /** Whether the other side has written GOAWAY on the current socket. */
  #isHeardHere = false;
  #own = false;
  /** Progress of this side's GOAWAY and PING on the current socket. */
  #step: 'due' | 'written' | 'asked' | 'read' = 'due';
  /** The argument of the last call of `becameDone`. */
  #wasDone = false;

  /** Whether this side drains. */
  get own(): boolean {
    return this.#own;
  }

  /** Whether the peer has read GOAWAY, and all frames that it wrote before that have arrived. */
  get isRead(): boolean {
    return this.#step === 'read';
  }

  /** Whether the peer drains. */
  get theirs(): boolean {
    return this.#theirs;
  }

  /** This side starts to drain. */
  begin(): void {
    this.#own = true;
  }

  /** Another socket carries the connection: write GOAWAY again, because the former one may be lost. */
  onSocket(): void {
    this.#step = 'due';
    this.#isHeardHere = false;
  }

  /**
   * The peer's GOAWAY has arrived. Returns 'first' for the first one of the connection, 'again' for the first one on
   * another socket, and 'before' if the peer has already written one on this socket. [IC-12.7]
   */
  hear(): 'first' | 'again' | 'before' {
    const heard = this.#theirs ? 'again' : 'first';
    if (this.#isHeardHere) return 'before';
    this.#theirs = this.#isHeardHere = true;
    return heard;
  }

  /** Writes GOAWAY if it is due. */
  flush(writer: FrameWriter): void {
    if (!this.#own || this.#step !== 'due') return;
    writer.raw(GOAWAY);
    this.#step = 'written';
  }

  /** Whether a PING must follow the GOAWAY that was just written. Returns true once for each GOAWAY. */
  takePingDue(): boolean {
    if (this.#step !== 'written') return false;
    this.#step = 'asked';
    return true;
  }

  /** The PONG to that PING has arrived. */
  onRead(): void {
    this.#step = 'read';
  }

  /** `isDone`: no work is left. Returns true if `isDone` has become true since the last call. */
  becameDone(isDone: boolean): boolean {
    const becameDone = isDone && !this.#wasDone;
    this.#wasDone = isDone;
    return becameDone;
  }
}

const GOAWAY = encodeFrame({ type: FrameType.GOAWAY, meta: { code: Code.DRAINING } });
