import { describe, expect, it } from '@jest/globals';
import { GrowingBuffer } from '../../src/wire/index.js';
import { inChunks } from '../support/codec/collect.js';

const bytes = Buffer.from(Array.from({ length: 50_000 }, (_, index) => (index * 7) % 251));

function gather(limit: number, length: number, step: number): GrowingBuffer {
  const buffer = new GrowingBuffer(limit);
  for (const chunk of inChunks(bytes.subarray(0, length), step)) {
    buffer.append(chunk, 0, chunk.length);
  }
  return buffer;
}

describe('GrowingBuffer', () => {
  it('sets nothing aside before the first octet', () => {
    const buffer = new GrowingBuffer(1_000_000);

    buffer.append(bytes, 5, 5);

    expect(buffer.capacity).toBe(0);
    expect(buffer.length).toBe(0);
    expect(buffer.take()).toHaveLength(0);
  });

  it.each([1, 13, 4096, 50_000])('gathers what is appended in steps of %d', (step) => {
    expect(gather(60_000, 50_000, step).take().equals(bytes)).toBe(true);
  });

  it('appends only what lies between start and end', () => {
    const buffer = new GrowingBuffer(100);

    buffer.append(Buffer.from('abcdef'), 2, 4);
    buffer.append(Buffer.from('abcdef'), 0, 1);

    expect(buffer.take().toString()).toBe('cda');
  });

  it.each([
    ['4 KiB at first', 1_000_000, 1, 4096],
    ['four times what is needed later', 1_000_000, 4097, 16_388],
    ['never more than the limit', 10_000, 5000, 10_000],
    ['less than 4 KiB if the limit is less', 100, 1, 100],
  ])('sets aside %s', (_, limit, length, capacity) => {
    expect(gather(limit, length, length).capacity).toBe(capacity);
  });

  it('is full at its limit without room to spare', () => {
    const buffer = gather(50_000, 50_000, 999);

    expect(buffer.length).toBe(50_000);
    expect(buffer.capacity).toBe(50_000);
  });

  it('refuses an octet beyond its limit', () => {
    const buffer = gather(100, 100, 100);

    expect(() => buffer.append(bytes, 0, 1)).toThrow(
      new RangeError('101 octets do not fit into a buffer of at most 100.'),
    );
    expect(buffer.length).toBe(100);
  });

  it('is empty once its content was taken', () => {
    const buffer = gather(100, 50, 50);
    const taken = buffer.take();

    buffer.append(bytes, 0, 1);

    expect(buffer.length).toBe(1);
    expect(taken.equals(bytes.subarray(0, 50))).toBe(true);
  });
});
