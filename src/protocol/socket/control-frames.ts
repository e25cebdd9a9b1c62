/** The frames that concern only the socket. They leave before all other frames, apart from PONG and the last frame. */
import { encodeFrame, FrameType } from '../../wire/index.js';
import type { ConnectionMachine } from '../connection/connection.js';
import type { FrameWriter } from '../output/frame-writer.js';

export class ControlFrames {
  #frames: Buffer[] = [];
  /** The token of the newest PING that has no answer yet. Only the newest PING is answered. [IC-6.10] */
  #pongToken: number | undefined;
  /** CLOSE, after which nothing is written. [IC-12.8] */
  #last: Buffer | undefined;

  /** Takes a whole frame, or the preface. */
  push(frame: Buffer): void {
    this.#frames.push(frame);
  }

  /** Answers a PING. This answer replaces an earlier answer that is not written yet. */
  pong(token: number): void {
    this.#pongToken = token;
  }

  /** Takes the last frame of the socket. */
  end(frame: Buffer): void {
    this.#last = frame;
  }

  flush(writer: FrameWriter): void {
    for (const frame of this.#frames) writer.raw(frame);
    this.#frames = [];
  }

  /**
   * Writes the PONG that is due. A peer that drains understands PONG as the end of this side's earlier frames. So while
   * frames are written again, PONG waits for them. [IC-12.5]
   */
  flushPong(writer: FrameWriter, { goaway, output }: ConnectionMachine): void {
    if (this.#pongToken === undefined || (goaway.theirs && output.isReplaying)) return;
    writer.raw(encodeFrame({ type: FrameType.PONG, id: this.#pongToken }));
    this.#pongToken = undefined;
  }

  /** Writes the last frame. Returns false if there is none. */
  flushLast(writer: FrameWriter): boolean {
    if (this.#last === undefined) return false;
    writer.raw(this.#last);
    this.#last = undefined;
    return true;
  }
}
