/**
 * `NODE_DEBUG=interconnect-frames` prints every frame, one line each, without its payload. The trace decodes the
 * streams a second time, so it costs nothing while it is off.
 */
import { debuglog } from 'node:util';
import { describeFrame, FrameDecoder, PrefaceDecoder } from '../../wire/index.js';
import { messageOf } from '../common/words.js';

const frames = debuglog('interconnect-frames');

/** @internal Undefined if this trace is off. */
export function traceFrames(
  role: string,
): { in(chunk: Buffer): void; out(chunk: Buffer): void } | undefined {
  if (!frames.enabled) return undefined;
  const label = `${role} ${++count}`;
  return { in: tracer(`${label} <-`), out: tracer(`${label} ->`) };
}

function tracer(label: string): (chunk: Buffer) => void {
  const preface = new PrefaceDecoder();
  const decoder = new FrameDecoder(
    {
      onFrame(frame) {
        frames('%s %s', label, describeFrame(frame.decode()));
      },
    },
    { maxFrame: 0xffffff, maxMeta: 0xffff },
  );
  return (chunk) => {
    try {
      const taken = preface.version === undefined ? preface.push(chunk) : 0;
      decoder.push(chunk.subarray(taken));
    } catch (error) {
      frames('%s %s', label, messageOf(error));
      decoder.stop();
    }
  };
}

let count = 0;
