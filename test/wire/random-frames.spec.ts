import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { FrameDecoder, describeFrame, encodeFrame } from '../../src/wire/index.js';
import { naiveDecode, naiveEncode } from '../support/codec/naive-codec.js';
import { anyFrame, anyFrames } from '../support/codec/arbitrary-frame.js';
import { Collector, LIMITS, decodeChunks, refusalOf } from '../support/codec/collect.js';
import { runs, seed } from '../support/codec/property.js';

describe(`Random frames, FC_SEED=${seed}`, () => {
  it('decode to what was encoded', () => {
    const property = fc.property(anyFrame(), (frame) => {
      expect(decodeChunks([encodeFrame(frame)])).toEqual([frame]);
    });

    fc.assert(property, runs(1000));
  });

  it('are encoded as the naive codec encodes them', () => {
    const property = fc.property(anyFrame(), (frame) => {
      expect(encodeFrame(frame).equals(naiveEncode(frame))).toBe(true);
    });

    fc.assert(property, runs(1000));
  });

  it('are the same wherever the stream is cut', () => {
    const property = fc.property(anyFrames(), cuts(), (frames, sizes) => {
      const stream = Buffer.concat(frames.map(encodeFrame));
      expect(decodeChunks(cut(stream, sizes))).toEqual(frames);
    });

    fc.assert(property, runs(300));
  });

  it('are the same if few of them may be taken at a time', () => {
    const few = fc.integer({ min: 1, max: 4 });
    const property = fc.property(anyFrames(), cuts(), few, (frames, sizes, most) => {
      const stream = Buffer.concat(frames.map(encodeFrame));
      const collector = new Collector();
      const decoder = new FrameDecoder(collector, LIMITS);
      for (const chunk of cut(stream, sizes)) {
        let rest = chunk;
        while (rest.length > 0) {
          const before = collector.frames.length;
          decoder.allow(most);
          rest = rest.subarray(decoder.push(rest));
          expect(collector.frames.length - before).toBeLessThanOrEqual(most);
        }
      }

      expect(collector.frames).toEqual(frames);
    });

    fc.assert(property, runs(300));
  });

  it('are described on one line of printable characters [IC-5.12]', () => {
    const property = fc.property(anyFrame(), (frame) => {
      expect(describeFrame(frame)).toMatch(/^[^\p{C}\p{Zl}\p{Zp}]+$/u);
    });

    fc.assert(property, runs(500));
  });
});

describe(`Broken streams, FC_SEED=${seed}`, () => {
  it('yield what the naive codec finds in them, and end as it does', () => {
    const property = fc.property(
      anyFrames(),
      fc.array(damage(), { maxLength: 3 }),
      (frames, damages) => {
        const stream = damages.reduce(inflict, Buffer.concat(frames.map(encodeFrame)));
        const collector = new Collector();
        const fault = faultOf(new FrameDecoder(collector, LIMITS), [stream]);

        expect({ frames: collector.frames, fault }).toEqual(
          naiveDecode(stream, LIMITS.maxFrame, LIMITS.maxMeta),
        );
      },
    );

    fc.assert(property, runs(1500));
  });

  it('yield the same wherever they are cut', () => {
    const property = fc.property(anyFrames(), damage(), cuts(), (frames, hit, sizes) => {
      const stream = inflict(Buffer.concat(frames.map(encodeFrame)), hit);
      const whole = new Collector();
      const wholeFault = faultOf(new FrameDecoder(whole, LIMITS), [stream]);
      const pieces = new Collector();
      const piecesFault = faultOf(new FrameDecoder(pieces, LIMITS), cut(stream, sizes));

      expect(pieces.frames).toEqual(whole.frames);
      expect(piecesFault).toBe(wholeFault);
    });

    fc.assert(property, runs(500));
  });

  it('cost memory only for what has arrived', () => {
    const property = fc.property(garbage(), cuts(), (stream, sizes) => {
      const decoder = new FrameDecoder(new Collector(), { maxFrame: 0xffffff, maxMeta: 0xffff });
      let arrived = 0;
      for (const chunk of cut(stream, sizes)) {
        faultOf(decoder, [chunk]);
        arrived += chunk.length;
        if (decoder.capacity > Math.max(4096, 4 * arrived)) return false;
      }
      return true;
    });

    fc.assert(property, runs(500));
  });
});

/** Pushes the chunks; the close code if one was refused. */
function faultOf(decoder: FrameDecoder, chunks: Iterable<Buffer>): number | undefined {
  return refusalOf(() => {
    for (const chunk of chunks) decoder.push(chunk);
  })?.code;
}

function cuts(): fc.Arbitrary<number[]> {
  return fc.array(fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 5000 })), {
    minLength: 1,
  });
}

/**
 * Cuts into chunks of these sizes, over and over; half of them in memory of their own, as a
 * socket's are.
 */
function* cut(stream: Buffer, sizes: readonly number[]): Generator<Buffer> {
  let turn = 0;
  for (let at = 0; at < stream.length; turn += 1) {
    const size = sizes[turn % sizes.length]!;
    const chunk = stream.subarray(at, at + size);
    yield turn % 2 === 0 ? chunk : Buffer.from(chunk);
    at += size;
  }
}

/** What happens to a stream at one place of it. */
interface Damage {
  readonly place: number;
  readonly kind: 'set' | 'flip' | 'insert' | 'delete' | 'cut';
  readonly octet: number;
}

function damage(): fc.Arbitrary<Damage> {
  return fc.record({
    // Near the start are headers and metas; further on is mostly payload.
    place: fc.oneof(fc.nat(60), fc.nat(10_000)),
    kind: fc.constantFrom('set', 'flip', 'insert', 'delete', 'cut'),
    octet: fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 0x80, 0xff)),
  });
}

function inflict(stream: Buffer, { place, kind, octet }: Damage): Buffer {
  const at = stream.length === 0 ? 0 : place % stream.length;
  const before = stream.subarray(0, at);
  const after = stream.subarray(at + 1);
  const hit = stream[at] ?? 0;
  if (kind === 'set') return Buffer.concat([before, Buffer.of(octet), after]);
  if (kind === 'flip') return Buffer.concat([before, Buffer.of(hit ^ (1 << (octet % 8))), after]);
  if (kind === 'insert') return Buffer.concat([before, Buffer.of(octet), stream.subarray(at)]);
  if (kind === 'delete') return Buffer.concat([before, after]);
  return before;
}

/** Headers that are often legal and announce much, with arbitrary octets behind them. */
function garbage(): fc.Arbitrary<Buffer> {
  const header = fc
    .record({
      type: fc.constantFrom(0x01, 0x10, 0x20, 0x21, 0x23, 0x8a),
      flags: fc.constantFrom(0, 1, 2),
      metaLength: fc.constantFrom(0, 7, 0xffff),
      bodyLength: fc.oneof(fc.nat(0xffffff), fc.nat(9000)),
      session: fc.nat(1),
      id: fc.nat(1),
    })
    .map(({ type, flags, metaLength, bodyLength, session, id }) => {
      const bytes = Buffer.alloc(16);
      bytes.writeUInt8(type, 0);
      bytes.writeUInt8(flags, 1);
      bytes.writeUInt16BE(metaLength, 2);
      bytes.writeUInt32BE(bodyLength, 4);
      bytes.writeUInt32BE(session, 8);
      bytes.writeUInt32BE(id, 12);
      return bytes;
    });
  const noise = fc
    .tuple(fc.nat(20_000), fc.uint8Array({ minLength: 1, maxLength: 40 }))
    .map(([length, pattern]) => Buffer.alloc(length, pattern));
  return fc.array(fc.oneof(header, noise), { maxLength: 6 }).map((parts) => Buffer.concat(parts));
}
