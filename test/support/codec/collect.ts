import { FrameDecoder, type FrameView, ProtocolError } from '../../../src/wire/index.js';
import type { Frame, FrameLimits, FrameSink } from '../../../src/wire/index.js';

/** The limits that the test vectors assume. */
export const LIMITS: FrameLimits = { maxFrame: 65_536, maxMeta: 8192 };

/** Keeps the decoded frames, each with its own copy of the payload. */
export class Collector implements FrameSink {
  readonly frames: Frame[] = [];

  onFrame(view: FrameView): void {
    const frame = view.decode();
    this.frames.push({ ...frame, payload: Buffer.from(frame.payload) });
  }
}

/** Decodes a stream that arrives in these chunks. */
export function decodeChunks(chunks: Iterable<Buffer>, limits = LIMITS): Frame[] {
  const collector = new Collector();
  const decoder = new FrameDecoder(collector, limits);
  for (const chunk of chunks) decoder.push(chunk);
  return collector.frames;
}

/** Cuts bytes into chunks of this size. */
export function* inChunks(bytes: Buffer, size: number): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** The text of a `ProtocolError`. */
export interface Refusal {
  readonly code: number;
  readonly message: string;
}

/** The `ProtocolError` that `action` throws, or `undefined` if it throws nothing. Any other error fails the test. */
export function refusalOf(action: () => unknown): Refusal | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    if (error instanceof ProtocolError) return { code: error.code, message: error.message };
    throw error;
  }
}
