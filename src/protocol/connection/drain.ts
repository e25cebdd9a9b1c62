/**
 * Who takes nothing new any more: GOAWAY, said and heard.
 *
 * GOAWAY is said on every socket, and a PING goes behind it. What the other side wrote before it had read
 * GOAWAY comes before the PONG: until then the drain is not done.
 */
import { Code, encodeFrame, FrameType } from '../../wire/index.js';
import type { FrameWriter } from '../output/frame-writer.js';

export class Drain {
  #theirs = false;
  /** Whether the other side has said so on the socket of now. */
  #isHeardHere = false;
  #own = false;
  /** How far this side has come on the socket of now. */
  #step: 'due' | 'said' | 'asked' | 'read' = 'due';
  /** The owner of the connection has been told that nothing is left. */
  #isTold = false;

  /** This side drains. */
  get own(): boolean {
    return this.#own;
  }

  /** Whether the other side knows, and nothing more can cross GOAWAY. */
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

  /** Another socket: what was said on the former may not have arrived. */
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

  /** Writes GOAWAY where it is due. */
  flush(writer: FrameWriter): void {
    if (!this.#own || this.#step !== 'due') return;
    writer.raw(GOAWAY);
    this.#step = 'said';
  }

  /** Whether a PING is to follow what has just been written. */
  ask(): boolean {
    if (this.#step !== 'said') return false;
    this.#step = 'asked';
    return true;
  }

  /** Its PONG. */
  onRead(): void {
    this.#step = 'read';
  }

  /** Whether it is news that nothing is left; something may come again, and then it is news once more. */
  isNews(isDone: boolean): boolean {
    const isNews = isDone && !this.#isTold;
    this.#isTold = isDone;
    return isNews;
  }
}

const GOAWAY = encodeFrame({ type: FrameType.GOAWAY, meta: { code: Code.DRAINING } });
