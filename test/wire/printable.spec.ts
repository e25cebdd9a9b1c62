import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { printable, quote } from '../../src/wire/index.js';
import { HOSTILE, INVISIBLE } from '../support/words.js';
import { runs, seed } from '../support/codec/property.js';

const ESCAPES = [
  ['\x1b[31m\r\n\t\x7f\x9b', '\\u001b[31m\\r\\n\\t\\u007f\\u009b'],
  ['\u0000\u0085\u009d', '\\u0000\\u0085\\u009d'],
  ['\u2028\u2029', '\\u2028\\u2029'],
  [
    '\u200e\u200f\u061c\u202a\u202e\u2066\u2069',
    '\\u200e\\u200f\\u061c\\u202a\\u202e\\u2066\\u2069',
  ],
  ['\u200b\u200c\u200d\u2060\ufeff\u00ad', '\\u200b\\u200c\\u200d\\u2060\\ufeff\\u00ad'],
  ['\u{e0041}\u3164', '\\u{e0041}\\u3164'],
  ['a\ud800b\udc00', 'a\\ud800b\\udc00'],
] as const;

describe(`printable, FC_SEED=${seed}`, () => {
  it.each(['', 'plain', 'größer', 'a "b" c', 'C:\\new', '日本語', '\u{1f600}'])(
    'leaves %j as it is',
    (text) => {
      expect(printable(text)).toBe(text);
    },
  );

  it.each(ESCAPES)('makes %j %s', (text, shown) => {
    expect(printable(text)).toBe(shown);
  });

  it('leaves nothing that breaks a line, hides or steers, and is at its end after one time', () => {
    const text = fc.string({ unit: 'binary', maxLength: 300 });
    const property = fc.property(text, fc.integer({ min: 1, max: 200 }), (words, limit) => {
      const shown = printable(HOSTILE + words, limit);

      expect(shown).not.toMatch(INVISIBLE);
      expect(shown.length).toBeLessThanOrEqual(limit + 1);
      expect(printable(shown, limit)).toBe(shown);
    });
    fc.assert(property, runs(500));
  });

  it('says where it left something out', () => {
    expect(printable('abcdef', 6)).toBe('abcdef');
    expect(printable('abcdef', 5)).toBe('abcde…');
    expect(printable('ab\u{1f600}', 3)).toBe('ab…');
    expect(printable('ab\u001b', 5)).toBe('ab…');
    expect(printable('x'.repeat(2000))).toBe(`${'x'.repeat(1024)}…`);
  });
});

describe('quote', () => {
  it.each([
    ['plain', '"plain"'],
    ['say "no" \\', '"say \\"no\\" \\\\"'],
    ...ESCAPES.map(([text, shown]) => [text, `"${shown}"`] as const),
  ])('makes %j %s', (text, quoted) => {
    expect(quote(text)).toBe(quoted);
  });

  it('keeps as many characters as it was told', () => {
    expect(quote('abcdef', 6)).toBe('"abcdef"');
    expect(quote('abcdef', 5)).toBe('"abcde…"');
    expect(quote('abcd"', 5)).toBe('"abcd…"');
  });
});
