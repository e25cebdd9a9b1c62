import { describe, expect, it } from '@jest/globals';
import { Code, codeName } from '../../src/wire/index.js';

describe('Code', () => {
  it('gives no two things the same number', () => {
    const codes = Object.values(Code);

    expect(new Set(codes).size).toBe(codes.length);
  });

  it('leaves class 06 and the codes from 0x8000 on to others [IC-13.2] [IC-13.3]', () => {
    const others = Object.values(Code).filter((code) => code >> 8 === 0x06 || code >= 0x8000);

    expect(others).toEqual([]);
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
