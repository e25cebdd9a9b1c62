/** What one side of a socket has written, as frames, to be read by a test. */
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

/** A frame to encode: what is left out is zero or empty. */
export type FrameInit = Parameters<typeof encodeFrame>[0];

export interface LoggedFrame extends Frame {
  /** Octets of its body: meta and payload. */
  readonly size: number;
}

export class FrameLog {
  readonly frames: LoggedFrame[] = [];
  /** Called at every frame, as soon as it is whole. */
  onFrame: ((frame: LoggedFrame) => void) | undefined;
  #preface = new PrefaceDecoder();
  #decoder = this.#newDecoder();
  #octets = 0;
  #read = 0;

  /** Octets seen, the preface included. */
  get octets(): number {
    return this.#octets;
  }

  /** The version in the preface, once it is there. */
  get version(): number | undefined {
    return this.#preface.version;
  }

  push(chunk: Buffer): void {
    this.#octets += chunk.length;
    const taken = this.#preface.version === undefined ? this.#preface.push(chunk) : 0;
    this.#decoder.push(chunk.subarray(taken));
  }

  /** Another socket: what it carries begins with a preface. */
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

  /** The frames since the last look, a line each: `SEND s=1 id=4 12 B`. */
  lines(): string[] {
    const lines = this.frames.slice(this.#read).map((frame) => describeFrame(frame));
    this.#read = this.frames.length;
    return lines;
  }

  /** The same without CREDIT, which comes when it is worth it. */
  linesButCredit(): string[] {
    return this.lines().filter((line) => !line.startsWith('CREDIT'));
  }

  /** The next frame must be a `name`. */
  expectFrame(name: string): LoggedFrame {
    const frame = this.frames[this.#read];
    if (frame === undefined) throw new Error(`Expected ${name}, and nothing was written.`);
    if (frameName(frame.type) !== name) {
      throw new Error(`Expected ${name}, and it is ${this.lines().join(' · ')}.`);
    }
    this.#read += 1;
    return frame;
  }

  /** The next `name`; what comes before it is passed over. */
  skipTo(name: string): LoggedFrame {
    const at = this.frames.findIndex(
      ({ type }, index) => index >= this.#read && frameName(type) === name,
    );
    if (at < 0) throw new Error(`Expected ${name} among: ${this.lines().join(' · ')}.`);
    this.#read = at + 1;
    return this.frames[at]!;
  }

  /** Everything, for a failure's message. */
  transcript(): string {
    return this.frames.map((frame) => describeFrame(frame)).join('\n');
  }
}
