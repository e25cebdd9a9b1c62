import { describe, expect, it } from '@jest/globals';
import {
  Code,
  EMPTY_META,
  FrameType,
  ProtocolError,
  codeName,
  creditPayload,
  describeFrame,
  quote,
  readCredit,
} from '../../src/wire/index.js';

describe('describeFrame', () => {
  const frame = {
    type: FrameType.HELLO,
    flags: 0,
    session: 0,
    id: 0,
    meta: EMPTY_META,
    payload: Buffer.alloc(0),
  };

  it('never prints payloads, keys, tokens or metadata', () => {
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

describe('quote', () => {
  it.each([
    ['plain', '"plain"'],
    ['größer', '"größer"'],
    ['say "no" \\', '"say \\"no\\" \\\\"'],
    ['\x1b[31m\r\n\t\x7f\x9b', '"\\u{1b}[31m\\u{d}\\u{a}\\u{9}\\u{7f}\\u{9b}"'],
    ['\u202e\u2028\u2029\ufeff', '"\\u{202e}\\u{2028}\\u{2029}\\u{feff}"'],
    ['\ud800', '"\\u{d800}"'],
  ])('makes %j %s', (text, quoted) => {
    expect(quote(text)).toBe(quoted);
  });

  it('keeps as many characters as it was told', () => {
    expect(quote('abcdef', 6)).toBe('"abcdef"');
    expect(quote('abcdef', 5)).toBe('"abcde…"');
  });

  it('shows what is left of a character cut in half', () => {
    expect(quote('ab\u{1f600}', 3)).toBe('"ab\\u{d83d}…"');
  });
});

describe('codeName', () => {
  it('knows every code by its name', () => {
    for (const [name, code] of Object.entries(Code)) expect(codeName(code)).toBe(name);
  });

  it.each([
    [0x9001, '0x9001'],
    [0x0108, '0x0108'],
    [1, '0x0001'],
  ])('calls code %d %s', (code, name) => {
    expect(codeName(code)).toBe(name);
  });
});

describe('Code', () => {
  it('gives no two things the same number', () => {
    const codes = Object.values(Code);

    expect(new Set(codes).size).toBe(codes.length);
  });
});

describe('ProtocolError', () => {
  it('is an Error with a name and a code', () => {
    const error = new ProtocolError(Code.FLOW, 'Too much.');

    expect(error).toBeInstanceOf(Error);
    expect(`${error}`).toBe('ProtocolError: Too much.');
    expect(error.code).toBe(Code.FLOW);
  });
});

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
