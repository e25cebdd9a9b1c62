import { describe, expect, it } from '@jest/globals';
import { MAX_ID, addBytes, bytesBetween, idsAhead, nextId } from '../../src/wire/index.js';

describe('nextId', () => {
  it.each([
    [0, 1],
    [1, 2],
    [MAX_ID - 1, MAX_ID],
    [MAX_ID, 1],
  ])('of %d is %d', (id, next) => {
    expect(nextId(id)).toBe(next);
  });
});

describe('idsAhead', () => {
  it.each([
    [1, 1, 0],
    [1, 2, 1],
    [2, 1, MAX_ID - 1],
    [MAX_ID, 1, 1],
    [MAX_ID - 1, 3, 4],
    [1, MAX_ID, MAX_ID - 1],
    [MAX_ID, MAX_ID, 0],
    [0, 1, 1],
    [0, MAX_ID, 0],
    [MAX_ID, 0, 0],
    [5, 0, MAX_ID - 5],
  ])('from %d to %d is %d', (from, to, distance) => {
    expect(idsAhead(from, to)).toBe(distance);
  });

  it('counts the steps of nextId', () => {
    let id = MAX_ID - 5;
    for (let steps = 0; steps < 10; steps += 1) {
      expect(idsAhead(MAX_ID - 5, id)).toBe(steps);
      id = nextId(id);
    }
  });
});

describe('addBytes and bytesBetween', () => {
  it('count across the sign and across the wrap', () => {
    const limit = addBytes(0x7fffffff, 1000);

    expect(limit).toBeLessThan(0);
    expect(bytesBetween(0x7fffffff, limit)).toBe(1000);
    expect(bytesBetween(addBytes(-1, 1), 4096)).toBe(4096);
  });

  it('take unsigned numbers as they come from the wire', () => {
    expect(bytesBetween(0xffffffff, 9)).toBe(10);
    expect(addBytes(0xffffffff, 2)).toBe(1);
  });

  it('are negative where the limit was exceeded', () => {
    expect(bytesBetween(addBytes(-10, 21), addBytes(-10, 20))).toBe(-1);
  });
});
