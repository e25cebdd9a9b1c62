/** Reads the octets that one side has written to a socket, and keeps the frames for a test. */
import {
  describeFrame,
  type encodeFrame,
  type Frame,
  FrameDecoder,
  type FrameView,
  frameName,
  MAX_BODY_LENGTH,
  MAX_META_LENGTH,
  PrefaceDecoder,
} from '../../../src/wire/index.js';

/** A frame to encode. An absent field is zero or empty. */
export type FrameInit = Parameters<typeof encodeFrame>[0];

export interface LoggedFrame extends Frame {
  /** Octets of the frame's body: meta and payload. */
  readonly size: number;
}

export class FrameLog {
  readonly frames: LoggedFrame[] = [];
  /** Called for each frame as soon as the frame is complete. */
  onFrame: ((frame: LoggedFrame) => void) | undefined;
  #preface = new PrefaceDecoder();
  #decoder = this.#newDecoder();
  #octets = 0;
  #read = 0;

  /** Octets seen, the preface included. */
  get octets(): number {
    return this.#octets;
  }

  /** The version in the preface, once the preface is complete. */
  get version(): number | undefined {
    return this.#preface.version;
  }

  push(chunk: Buffer): void {
    this.#octets += chunk.length;
    const taken = this.#preface.version === undefined ? this.#preface.push(chunk) : 0;
    this.#decoder.push(chunk.subarray(taken));
  }

  /** Begins a new socket, whose octets begin with a preface. */
  reset(): void {
    this.#preface = new PrefaceDecoder();
    this.#decoder = this.#newDecoder();
  }

  #newDecoder(): FrameDecoder {
    const onFrame = (view: FrameView): void => {
      const frame = view.decode();
      const kept = { ...frame, payload: Buffer.from(frame.payload), size: view.size };
      this.frames.push(kept);
      this.onFrame?.(kept);
    };
    return new FrameDecoder({ onFrame }, { maxFrame: MAX_BODY_LENGTH, maxMeta: MAX_META_LENGTH });
  }

  /** The frames since the last call, one line each: `SEND s=1 id=4 12 B`. */
  lines(): string[] {
    const lines = this.frames.slice(this.#read).map((frame) => describeFrame(frame));
    this.#read = this.frames.length;
    return lines;
  }

  /** As `lines`, without CREDIT: the time of CREDIT is no part of the protocol. */
  linesButCredit(): string[] {
    return this.lines().filter((line) => !line.startsWith('CREDIT'));
  }

  /** Takes the next frame. The test fails unless its type is `name`. */
  expectFrame(name: string): LoggedFrame {
    const frame = this.frames[this.#read];
    if (frame === undefined) throw new Error(`Expected ${name}, but nothing was written.`);
    if (frameName(frame.type) !== name) {
      throw new Error(`Expected ${name}, but got ${this.lines().join(' · ')}.`);
    }
    this.#read += 1;
    return frame;
  }

  /** Takes the next frame of the type `name`, and skips the frames before it. */
  skipTo(name: string): LoggedFrame {
    const at = this.frames.findIndex(
      ({ type }, index) => index >= this.#read && frameName(type) === name,
    );
    if (at < 0) throw new Error(`Expected ${name} among: ${this.lines().join(' · ')}.`);
    this.#read = at + 1;
    return this.frames[at]!;
  }

  /** All frames so far, for the message of a failing test. */
  transcript(): string {
    return this.frames.map((frame) => describeFrame(frame)).join('\n');
  }
}
