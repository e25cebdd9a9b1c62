import { describe, expect, it } from '@jest/globals';
import { FrameDecoder, HEADER_LENGTH, describeFrame, encodeFrame } from '../../src/wire/index.js';
import type { FrameSink } from '../../src/wire/index.js';
import { naiveDecode, naiveEncode } from '../support/codec/naive-codec.js';
import { invalidFrames, invalidHeaders, validFrames } from '../vectors/vectors.js';
import { LIMITS, decodeChunks, inChunks, refusalOf } from '../support/codec/collect.js';

describe.each(validFrames)('golden frame $id', ({ bytes, frame, line, canonical }) => {
  it('decodes to its fields', () => {
    expect(decodeChunks([bytes])).toEqual([frame]);
  });

  it('is encoded from its fields', () => {
    const encoded = encodeFrame(frame);

    expect(encoded.equals(bytes)).toBe(canonical);
    expect(decodeChunks([encoded])).toEqual([frame]);
  });

  it('is described in one line', () => {
    expect(describeFrame(frame)).toBe(line);
  });

  it('yields nothing while an octet is missing, and itself then, whatever the split', () => {
    const { payload } = frame;
    let found = 0;
    const sink: FrameSink = {
      onFrame({ bytes: held, payloadStart, end }) {
        // In place and in one call: the longest vector comes here 65 552 times.
        if (held.compare(payload, 0, payload.length, payloadStart, end) === 0) found += 1;
      },
    };
    const wrong: number[] = [];
    for (let split = 0; split < bytes.length; split += 1) {
      const decoder = new FrameDecoder(sink, LIMITS);
      found = 0;
      decoder.push(bytes.subarray(0, split));
      const early = found;
      decoder.push(bytes.subarray(split));
      if (early !== 0 || found !== 1 || decoder.pending !== 0) wrong.push(split);
    }

    expect(wrong).toEqual([]);
  });

  it('decodes octet by octet', () => {
    expect(decodeChunks(inChunks(bytes, 1))).toEqual([frame]);
  });

  it('looks the same to the naive codec', () => {
    expect(naiveDecode(bytes, LIMITS.maxFrame, LIMITS.maxMeta).frames).toEqual([frame]);
    expect(naiveEncode(frame).equals(bytes)).toBe(canonical);
  });
});

describe('golden frames one after the other', () => {
  const stream = Buffer.concat(validFrames.map((vector) => vector.bytes));
  const frames = validFrames.map((vector) => vector.frame);

  it.each([1, 2, 7, 15, 16, 17, 1000, 65_536, stream.length])(
    'decode from chunks of %d octets',
    (size) => {
      expect(decodeChunks(inChunks(stream, size))).toEqual(frames);
    },
  );
});

describe.each(invalidHeaders)('$title', ({ bytes, code }) => {
  it('is refused before anything of the body has come', () => {
    expect(bytes).toHaveLength(HEADER_LENGTH);
    expect(refusalOf(() => decodeChunks([bytes]))?.code).toBe(code);
  });

  it('is refused at the last octet of the header when it comes octet by octet', () => {
    expect(decodeChunks(inChunks(bytes.subarray(0, -1), 1))).toEqual([]);
    expect(refusalOf(() => decodeChunks(inChunks(bytes, 1)))?.code).toBe(code);
  });

  it('is refused by the naive codec with the same code', () => {
    expect(naiveDecode(bytes, LIMITS.maxFrame, LIMITS.maxMeta).fault).toBe(code);
  });
});

describe.each(invalidFrames)('$title', ({ bytes, code }) => {
  it('is refused', () => {
    expect(refusalOf(() => decodeChunks([bytes]))?.code).toBe(code);
  });

  it('is refused at its last octet when it comes octet by octet', () => {
    expect(decodeChunks(inChunks(bytes.subarray(0, -1), 1))).toEqual([]);
    expect(refusalOf(() => decodeChunks(inChunks(bytes, 1)))?.code).toBe(code);
  });

  it('is refused by the naive codec with the same code', () => {
    expect(naiveDecode(bytes, LIMITS.maxFrame, LIMITS.maxMeta).fault).toBe(code);
  });
});
