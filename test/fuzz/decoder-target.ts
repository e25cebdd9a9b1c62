/** Compares the decoder with the naive one, for any octets and any chunks. */
import {
  describeFrame,
  encodeFrame,
  type Frame,
  FrameDecoder,
  PrefaceDecoder,
  ProtocolError,
} from '../../src/wire/index.js';
import { naiveDecode } from '../support/codec/naive-codec.js';
import { events, type Input } from './input.js';
import { expectSame } from './output-check.js';

const MAGIC = Buffer.from('f1494e54430d0a', 'hex');
const PREFACE_LENGTH = 8;
/** The decoders do not look into frames of this type and above. */
const FIRST_IGNORABLE = 0x80;

/** Returns false if a frame was refused. @throws Error if the decoder fails or differs from the naive codec */
export function runDecoder(input: Input): boolean {
  const limits = limitsOf(input.scene);
  const chunks = [...events(input)].map(({ bytes }) => bytes);
  const frames: Frame[] = [];
  const decoder = new FrameDecoder(
    {
      onFrame: (view) => {
        const frame = view.decode();
        frames.push({ ...frame, payload: Buffer.from(frame.payload) });
      },
    },
    limits,
  );
  const preface = new PrefaceDecoder();
  let arrived = 0;
  let fault: number | undefined;
  try {
    for (const chunk of chunks) {
      arrived += chunk.length;
      const taken = preface.version === undefined ? preface.push(chunk) : 0;
      if (preface.version !== undefined) decoder.push(chunk.subarray(taken));
      if (decoder.capacity > Math.max(4096, 4 * arrived)) {
        throw new Error(`${decoder.capacity} octets are set aside for ${arrived} that came.`);
      }
    }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    fault = error.code;
  }
  if (fault !== undefined && decoder.pending > 0) {
    throw new Error('A decoder that has ended holds octets.');
  }
  const expected = naively(Buffer.concat(chunks), limits);
  expectSame('Fault', fault, expected.fault);
  expectSame('Frames', frames, expected.frames);
  for (const frame of frames) checkFrame(frame);
  return fault === undefined;
}

/** A frame's description must be one printable line. A frame must not change if it is encoded and decoded again. */
function checkFrame(frame: Frame): void {
  if (/[\p{C}\p{Zl}\p{Zp}]/u.test(describeFrame(frame))) {
    throw new Error('A frame is described by more than printable characters.');
  }
  if (frame.type >= FIRST_IGNORABLE) return;
  const again = naiveDecode(encodeFrame(frame), 0xffffff, 0xffff);
  expectSame('Written again', again, { frames: [frame], fault: undefined });
}

function naively(
  bytes: Buffer,
  { maxFrame, maxMeta }: { readonly maxFrame: number; readonly maxMeta: number },
): { readonly frames: Frame[]; readonly fault: number | undefined } {
  const magic = bytes.subarray(0, MAGIC.length);
  if (!magic.equals(MAGIC.subarray(0, magic.length))) return { frames: [], fault: 0x0101 };
  return naiveDecode(bytes.subarray(PREFACE_LENGTH), maxFrame, maxMeta);
}

function limitsOf(scene: Buffer): { readonly maxFrame: number; readonly maxMeta: number } {
  const octet = scene[0] ?? 0;
  return {
    maxFrame: [65_536, 16_384, 0xffffff, 100][octet & 3]!,
    maxMeta: [8192, 2048, 65_535, 20][(octet >> 2) & 3]!,
  };
}
