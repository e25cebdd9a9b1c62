import { describe, expect, it } from '@jest/globals';
import { EMPTY_META, FrameType, describeFrame } from '../../src/wire/index.js';

describe('describeFrame', () => {
  const frame = {
    type: FrameType.HELLO,
    flags: 0,
    session: 0,
    id: 0,
    meta: EMPTY_META,
    payload: Buffer.alloc(0),
  };

  it('never prints payloads, keys, tokens or metadata [IC-17.2]', () => {
    const secret = Buffer.alloc(32, 'secret');
    const meta = {
      key: secret,
      metadata: [['secret', 'secret']] as const,
      resume: { token: secret, received: 1 },
      token: { token: secret, ttl: 1 },
    };

    const line = describeFrame({ ...frame, meta, payload: secret });

    expect(line).toBe('HELLO key=32B metadata=1 resume received=1 ttl=1ms 32 B');
  });

  it('names a type it does not know by its number', () => {
    expect(describeFrame({ ...frame, type: 0x8a, flags: 0xe1, payload: Buffer.alloc(3) })).toBe(
      '0x8a MORE 3 B',
    );
  });

  it('cuts long texts', () => {
    const line = describeFrame({ ...frame, meta: { text: 'x'.repeat(1000) } });

    expect(line).toBe(`HELLO text="${'x'.repeat(64)}…"`);
  });
});
