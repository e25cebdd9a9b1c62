import { describe, expect, it } from '@jest/globals';
import { Code, ProtocolError, quote } from '../../src/wire/index.js';

describe('ProtocolError', () => {
  it('is an Error with a name and a code', () => {
    const error = new ProtocolError(Code.FLOW, 'Too much.');

    expect(error).toBeInstanceOf(Error);
    expect(`${error}`).toBe('ProtocolError: Too much.');
    expect(error.code).toBe(Code.FLOW);
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
