import { describe, expect, it } from '@jest/globals';
import { Code, codeName } from '../../src/wire/index.js';

describe('Code', () => {
  it('gives no two things the same number', () => {
    const codes = Object.values(Code);

    expect(new Set(codes).size).toBe(codes.length);
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
