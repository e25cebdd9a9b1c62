/**
 * Which of the two sides takes nothing new any more: GOAWAY, written and read.
 *
 * A side that drains writes GOAWAY on every socket, and a PING behind it. All that the other side wrote before it had
 * read GOAWAY arrives before the PONG: the drain cannot be done earlier.
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
  /** What `becameDone` was given last. */
  #wasDone = false;

  /** This side drains. */
  get own(): boolean {
    return this.#own;
  }

  /** Whether the other side has read GOAWAY, and all that it wrote before that is here. */
  get isRead(): boolean {
    return this.#step === 'read';
  }

  /** The other side drains. */
  get theirs(): boolean {
    return this.#theirs;
  }

  begin(): void {
    this.#own = true;
  }

  /** Another socket carries the connection: GOAWAY on the former one may not have arrived. */
  onSocket(): void {
    this.#step = 'due';
    this.#isHeardHere = false;
  }

  /** GOAWAY of the other side: the first, the first on this socket, or one after that. [IC-12.12] */
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

  /** Whether a PING must follow the GOAWAY that was just written. Says so once for each GOAWAY. */
  takePingDue(): boolean {
    if (this.#step !== 'written') return false;
    this.#step = 'asked';
    return true;
  }

  /** The PONG of that PING is here. */
  onRead(): void {
    this.#step = 'read';
  }

  /** Takes whether nothing is left to wait for. Returns whether that has become true since the last call. */
  becameDone(isDone: boolean): boolean {
    const becameDone = isDone && !this.#wasDone;
    this.#wasDone = isDone;
    return becameDone;
  }
}

const GOAWAY = encodeFrame({ type: FrameType.GOAWAY, meta: { code: Code.DRAINING } });
