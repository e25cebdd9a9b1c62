import { describe, expect, it } from '@jest/globals';
import { creditPayload, readCredit } from '../../src/wire/index.js';

describe('creditPayload and readCredit', () => {
  it.each([
    [128, 4_317_760, '000000800041e240', 4_317_760],
    [0xffffffff, 0xfffffffe, 'fffffffffffffffe', -2],
    [1, -2, '00000001fffffffe', -2],
  ])('carry count %d and bytes %d', (count, bytes, hex, read) => {
    const payload = creditPayload(count, bytes);

    expect(payload.toString('hex')).toBe(hex);
    expect(readCredit(payload, 0, 8)).toEqual({ count, bytes: read });
  });

  it('carry a count alone', () => {
    const payload = creditPayload(64);

    expect(payload.toString('hex')).toBe('00000040');
    expect(readCredit(payload, 0, 4)).toEqual({ count: 64, bytes: 0 });
  });
});
