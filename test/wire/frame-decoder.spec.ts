import { describe, expect, it } from '@jest/globals';
import {
  Code,
  FrameDecoder,
  FrameType,
  HEADER_LENGTH,
  MAX_BODY_LENGTH,
  encodeFrame,
  writeHeader,
} from '../../src/wire/index.js';
import type { FrameSink, FrameView } from '../../src/wire/index.js';
import { Collector, LIMITS, inChunks, refusalOf } from '../support/codec/collect.js';

const ping = encodeFrame({ type: FrameType.PING, id: 7 });
const send = encodeFrame({
  type: FrameType.SEND,
  session: 1,
  id: 1,
  meta: { deadline: 5000 },
  payload: Buffer.from('payload'),
});

function header(type: number, metaLength: number, bodyLength: number): Buffer {
  const bytes = Buffer.alloc(HEADER_LENGTH);
  writeHeader(bytes, 0, { type, flags: 0, session: 1, id: 1 }, metaLength, bodyLength);
  return bytes;
}

/** A sink that does something at each frame. */
function sinkThat(action: () => void): FrameSink & { count: number } {
  return {
    count: 0,
    onFrame() {
      this.count += 1;
      action();
    },
  };
}

describe('FrameDecoder', () => {
  it('hands a frame that lies in one chunk as that chunk, without a copy', () => {
    const calls: FrameView[] = [];
    const decoder = new FrameDecoder({ onFrame: (view) => void calls.push(view.copy()) }, LIMITS);
    const chunk = Buffer.concat([ping, send]);

    decoder.push(chunk);

    expect(calls[1]).toMatchObject({ type: FrameType.SEND, flags: 0, session: 1, id: 1 });
    expect(calls[1]!.bytes).toBe(chunk);
    expect(calls[1]).toMatchObject({ start: 32, metaLength: 7, end: 46 });
  });

  it('takes as many frames as it may, over all chunks, and leaves the rest to its caller', () => {
    const collector = new Collector();
    const decoder = new FrameDecoder(collector, LIMITS);
    const chunk = Buffer.concat([ping, ping, ping]);

    decoder.allow(4);
    const taken = [decoder.push(chunk), decoder.push(chunk), decoder.push(chunk)];

    expect(taken).toEqual([3 * ping.length, ping.length, 0]);
    expect(collector.frames).toHaveLength(4);
    decoder.allow(5);
    expect(decoder.push(chunk.subarray(ping.length))).toBe(2 * ping.length);
    expect(collector.frames).toHaveLength(6);
  });

  it('continues no frame without an allowance, and keeps the octets of a header', () => {
    const collector = new Collector();
    const decoder = new FrameDecoder(collector, LIMITS);

    decoder.push(send.subarray(0, 20));
    decoder.allow(0);
    expect(decoder.push(send.subarray(20))).toBe(0);
    decoder.allow(2);
    const rest = Buffer.concat([send.subarray(20), ping, send.subarray(0, 7)]);
    expect(decoder.push(rest)).toBe(rest.length);

    expect([collector.frames.length, decoder.pending]).toEqual([2, 7]);
  });

  it('takes every octet after its end, allowed or not', () => {
    const decoder: FrameDecoder = new FrameDecoder(
      sinkThat(() => decoder.stop()),
      LIMITS,
    );

    decoder.allow(1);

    expect(decoder.push(Buffer.concat([ping, ping]))).toBe(2 * ping.length);
    expect(decoder.push(ping)).toBe(ping.length);
  });

  it('fills one view for all frames, and lets go of the chunk', () => {
    const views: FrameView[] = [];
    const decoder = new FrameDecoder({ onFrame: (view) => void views.push(view) }, LIMITS);

    decoder.push(Buffer.concat([ping, send]));

    expect(views[0]).toBe(views[1]);
    expect(views[0]!.bytes).toHaveLength(0);
  });

  it('hands a frame whose header alone was split as the chunk its body lies in', () => {
    const seen: Buffer[] = [];
    const decoder = new FrameDecoder({ onFrame: ({ bytes }) => void seen.push(bytes) }, LIMITS);
    const rest = send.subarray(5);

    decoder.push(send.subarray(0, 5));
    decoder.push(rest);

    expect(seen).toEqual([rest]);
    expect(seen[0]).toBe(rest);
  });

  it('keeps nothing of a chunk it was given', () => {
    const collector = new Collector();
    const decoder = new FrameDecoder(collector, LIMITS);
    const reused = Buffer.alloc(1);

    for (const octet of send) {
      reused[0] = octet;
      decoder.push(reused);
    }

    expect(collector.frames).toMatchObject([{ payload: Buffer.from('payload') }]);
  });

  it('hands on frames without a body as soon as their header is there', () => {
    const collector = new Collector();

    new FrameDecoder(collector, LIMITS).push(ping);

    expect(collector.frames).toMatchObject([{ type: FrameType.PING, id: 7 }]);
  });

  it('takes empty chunks', () => {
    const collector = new Collector();
    const decoder = new FrameDecoder(collector, LIMITS);

    for (const chunk of [
      Buffer.alloc(0),
      send.subarray(0, 20),
      Buffer.alloc(0),
      send.subarray(20),
    ]) {
      decoder.push(chunk);
    }

    expect(collector.frames).toHaveLength(1);
  });

  it.each([0x80, 0x8a, 0xff])(
    'hands on the ignorable type %d, judging nothing but its lengths (M30) [IC-16.2]',
    (type) => {
      const collector = new Collector();
      const bytes = Buffer.concat([header(type, 3, 5), Buffer.from('abcde')]);
      bytes[1] = 0xff;

      new FrameDecoder(collector, LIMITS).push(bytes);

      expect(collector.frames).toEqual([
        { type, flags: 0xff, session: 1, id: 1, meta: {}, payload: Buffer.from('de') },
      ]);
    },
  );

  it('counts the octets of an unfinished frame as pending', () => {
    const decoder = new FrameDecoder(new Collector(), LIMITS);

    const pending = [...inChunks(Buffer.concat([ping, send]), 10)].map((chunk) => {
      decoder.push(chunk);
      return decoder.pending;
    });

    expect(pending).toEqual([10, 4, 14, 24, 0]);
  });
});

describe('FrameDecoder limits', () => {
  it.each([
    ['n - 1', 19_999],
    ['n', 20_000],
  ])('let a body of %s octets pass', (_, bodyLength) => {
    const decoder = new FrameDecoder(new Collector(), { maxFrame: 20_000, maxMeta: 100 });

    decoder.push(header(FrameType.SEND, 0, bodyLength));

    expect(decoder.pending).toBe(HEADER_LENGTH);
  });

  it('refuse a body of n + 1 octets at its header [IC-4.2]', () => {
    const decoder = new FrameDecoder(new Collector(), { maxFrame: 20_000, maxMeta: 100 });

    const refusal = refusalOf(() => decoder.push(header(FrameType.SEND, 0, 20_001)));

    expect(refusal).toEqual({
      code: Code.FRAME_SIZE,
      message: 'A frame announces a body of 20001 octets; at most 20000 are accepted.',
    });
  });

  it.each([
    ['n - 1', 99],
    ['n', 100],
  ])('let a meta of %s octets pass', (_, metaLength) => {
    const decoder = new FrameDecoder(new Collector(), { maxFrame: 20_000, maxMeta: 100 });

    decoder.push(header(FrameType.SEND, metaLength, 1000));

    expect(decoder.pending).toBe(HEADER_LENGTH);
  });

  it('refuse a meta of n + 1 octets at its header [IC-4.2]', () => {
    const decoder = new FrameDecoder(new Collector(), { maxFrame: 20_000, maxMeta: 100 });

    const refusal = refusalOf(() => decoder.push(header(FrameType.SEND, 101, 1000)));

    expect(refusal).toEqual({
      code: Code.META,
      message: 'A frame announces 101 octets of meta; at most 100 are accepted.',
    });
  });

  it('hold for ignorable types too (M31) [IC-16.2]', () => {
    const decoder = new FrameDecoder(new Collector(), { maxFrame: 20_000, maxMeta: 100 });

    expect(refusalOf(() => decoder.push(header(0xff, 0, 20_001)))?.code).toBe(Code.FRAME_SIZE);
  });

  it('never exceed what a header can legally announce, whatever was asked for', () => {
    const decoder = new FrameDecoder(new Collector(), { maxFrame: 2 ** 32, maxMeta: 100 });

    const refusal = refusalOf(() => decoder.push(header(FrameType.SEND, 0, MAX_BODY_LENGTH + 1)));

    expect(refusal?.code).toBe(Code.FRAME_SIZE);
  });

  it('change from the next header on, also from inside onFrame', () => {
    const sink = sinkThat(() => decoder.setLimits({ maxFrame: 13, maxMeta: 7 }));
    const decoder: FrameDecoder = new FrameDecoder(sink, LIMITS);

    const refusal = refusalOf(() => decoder.push(Buffer.concat([send, send])));

    expect(sink.count).toBe(1);
    expect(refusal?.code).toBe(Code.FRAME_SIZE);
  });

  it('cost no memory before the body comes (M11) [IC-4.3]', () => {
    const decoder = new FrameDecoder(new Collector(), { maxFrame: MAX_BODY_LENGTH, maxMeta: 100 });

    decoder.push(header(FrameType.SEND, 0, MAX_BODY_LENGTH));

    expect(decoder.capacity).toBe(0);
  });

  it.each([1, 4096, 5000, 1_000_000])(
    'cost at most four times what has come of the body: %d octets [IC-4.3]',
    (arrived) => {
      const decoder = new FrameDecoder(new Collector(), {
        maxFrame: MAX_BODY_LENGTH,
        maxMeta: 100,
      });
      const bytes = Buffer.alloc(arrived);

      decoder.push(header(FrameType.SEND, 0, MAX_BODY_LENGTH));
      for (const chunk of inChunks(bytes, 1000)) decoder.push(chunk);

      expect(decoder.capacity).toBeGreaterThanOrEqual(arrived);
      expect(decoder.capacity).toBeLessThanOrEqual(Math.max(4096, 4 * arrived));
    },
  );
});

describe('FrameDecoder.stop()', () => {
  it('drops the rest of the chunk and all that follows', () => {
    const sink = sinkThat(() => decoder.stop());
    const decoder: FrameDecoder = new FrameDecoder(sink, LIMITS);

    decoder.push(Buffer.concat([ping, ping, ping.subarray(3)]));
    decoder.push(ping);

    expect(sink.count).toBe(1);
    expect(decoder.pending).toBe(0);
  });

  it('drops an unfinished frame', () => {
    const decoder = new FrameDecoder(new Collector(), LIMITS);
    decoder.push(send.subarray(0, 20));

    decoder.stop();

    expect(decoder.pending).toBe(0);
    expect(decoder.capacity).toBe(0);
  });

  it('drops the rest of the chunk that ended a held frame', () => {
    const sink = sinkThat(() => decoder.stop());
    const decoder: FrameDecoder = new FrameDecoder(sink, LIMITS);

    decoder.push(send.subarray(0, 20));
    decoder.push(Buffer.concat([send.subarray(20), send, ping.subarray(3)]));

    expect(sink.count).toBe(1);
    expect(decoder.pending).toBe(0);
  });
});

describe('FrameDecoder after a throw', () => {
  it.each([
    ['whole', 0],
    ['split in its header', 5],
    ['split in its body', 20],
  ])('from the sink at a frame that came %s is dead', (_, split) => {
    const fault = new Error('from the sink');
    const sink = sinkThat(() => {
      throw fault;
    });
    const decoder = new FrameDecoder(sink, LIMITS);
    decoder.push(send.subarray(0, split));

    const rest = Buffer.concat([send.subarray(split), send]);
    expect(() => decoder.push(rest)).toThrow(fault);
    decoder.push(send);

    expect(sink.count).toBe(1);
    expect(decoder.pending).toBe(0);
  });

  it('of its own is dead', () => {
    const collector = new Collector();
    const decoder = new FrameDecoder(collector, LIMITS);

    const refusal = refusalOf(() => decoder.push(Buffer.alloc(HEADER_LENGTH)));
    decoder.push(ping);

    expect(refusal?.code).toBe(Code.UNSUPPORTED);
    expect(collector.frames).toEqual([]);
  });
});
