import { describe, expect, it } from '@jest/globals';
import {
  Code,
  codeName,
  endsConnection,
  executedBy,
  isApplicationCode,
} from '../../src/wire/index.js';

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

describe('the class of a code', () => {
  it.each([
    [0x7fff, false],
    [0x8000, true],
    [0xffff, true],
    [0x10000, false],
    [0x8000 + 0.5, false],
    [Number.NaN, false],
  ])("tells the application's own: %p, %p", (code, isOwn) => {
    expect(isApplicationCode(code)).toBe(isOwn);
  });

  it.each([
    [Code.OK, 'maybe'],
    [Code.PROTOCOL, 'maybe'],
    [Code.DRAINING, 'maybe'],
    [Code.SESSION_REFUSED, 'maybe'],
    [Code.BUSY, 'no'],
    [Code.REFUSED, 'no'],
    [Code.INVALID, 'no'],
    [Code.FAILED, 'yes'],
    [Code.DEADLINE, 'maybe'],
    [Code.CANCELLED_RUNNING, 'maybe'],
    [0x0601, 'maybe'],
    [0x7fff, 'maybe'],
    [0x8000, 'yes'],
    [0xbfff, 'yes'],
    [0xc000, 'no'],
    [0xffff, 'no'],
  ] as const)('tells whether the message was processed: %p, %p', (code, executed) => {
    expect(executedBy(code)).toBe(executed);
  });

  it.each([
    [Code.OK, true],
    [0x01ff, true],
    [Code.UNAUTHENTICATED, true],
    [Code.FORBIDDEN, true],
    [Code.OVERLOADED, false],
    [Code.SUPERSEDED, false],
    [Code.NO_SUCH_SESSION, false],
    [0x7fff, false],
    [0x8000, true],
    [0xffff, true],
  ])('tells whether a CLOSE ends the connection: %p, %p', (code, isEnd) => {
    expect(endsConnection(code)).toBe(isEnd);
  });
});
