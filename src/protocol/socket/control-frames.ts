/** Frames of the socket's own: they leave before all others, but for PONG and the last. */
import { encodeFrame, FrameType } from '../../wire/index.js';
import type { ConnectionMachine } from '../connection/connection.js';
import type { FrameWriter } from '../output/frame-writer.js';

export class ControlFrames {
  #frames: Buffer[] = [];
  /** The newest PING that is not answered; only that one is. [IC-6.10] */
  #pongToken: number | undefined;
  /** The frame after which nothing is written. [IC-12.1] */
  #last: Buffer | undefined;

  /** A whole frame, or the preface. */
  push(frame: Buffer): void {
    this.#frames.push(frame);
  }

  /** Answers a PING. False where it takes the place of an answer that waits. */
  pong(token: number): boolean {
    const isFirst = this.#pongToken === undefined;
    this.#pongToken = token;
    return isFirst;
  }

  end(frame: Buffer): void {
    this.#last = frame;
  }

  flush(writer: FrameWriter): void {
    for (const frame of this.#frames) writer.raw(frame);
    this.#frames = [];
  }

  /** The side that drains takes PONG for the end of what had begun: no such frame may follow it. [IC-12.15] */
  flushPong(writer: FrameWriter, { goaway, output }: ConnectionMachine): void {
    if (this.#pongToken === undefined || (goaway.theirs && output.isReplaying)) return;
    writer.raw(encodeFrame({ type: FrameType.PONG, id: this.#pongToken }));
    this.#pongToken = undefined;
  }

  /** Writes the last frame. False where there is none. */
  flushLast(writer: FrameWriter): boolean {
    if (this.#last === undefined) return false;
    writer.raw(this.#last);
    this.#last = undefined;
    return true;
  }
}
