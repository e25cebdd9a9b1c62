import { describe, expect, it } from '@jest/globals';
import { Code, FrameType, encodeFrame } from '../../src/wire/index.js';
import { fromHex } from '../support/codec/hex.js';
import { refusalOf } from '../support/codec/collect.js';

describe('encodeFrame', () => {
  it('refuses a header that the other side would refuse', () => {
    expect(refusalOf(() => encodeFrame({ type: FrameType.SEND }))?.code).toBe(Code.PROTOCOL);
  });

  it('refuses a body that no header can announce', () => {
    const payload = Buffer.alloc(0x1000000);

    const refusal = refusalOf(() => encodeFrame({ type: FrameType.HELLO, payload }));

    expect(refusal?.code).toBe(Code.FRAME_SIZE);
  });

  it('encodes ignorable types as they are', () => {
    const bytes = encodeFrame({ type: 0x8a, flags: 0xff, payload: Buffer.from('x') });

    expect(bytes).toEqual(fromHex('8a ff 00 00  00 00 00 01  00 00 00 00  00 00 00 00  78'));
  });
});
