import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { Capability, Code, Flag, FrameType, Tag, isSequenced } from '../../src/wire/index.js';

describe('The numbers on the wire', () => {
  const file = new URL('../vectors/numbers.json', import.meta.url);
  const golden = JSON.parse(readFileSync(file, 'utf8'));

  it.each(Object.entries({ FrameType, Flag, Tag, Capability, Code }))(
    'are what they have always been: %s',
    (name, numbers) => {
      expect(numbers).toEqual(golden[name]);
    },
  );
});

describe('isSequenced', () => {
  it.each([
    [0x0f, false],
    [0x10, true],
    [0x7f, true],
    [0x80, false],
  ])('says of type %d: %s', (type, answer) => {
    expect(isSequenced(type)).toBe(answer);
  });
});
