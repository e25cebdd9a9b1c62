import { describe, expect, it } from '@jest/globals';
import { Backoff, delaysOf } from '../../../src/endpoint/common/backoff.js';

/** The next pauses if chance always gives the same part of the longest pause. */
function pauses(backoff: Backoff, count: number): number[] {
  return Array.from({ length: count }, () => backoff.next());
}

function fixed(random: number): { now(): number; random(): number } {
  return { now: () => 0, random: () => random };
}

describe('A backoff', () => {
  it('doubles the limit of its pauses up to the longest', () => {
    const backoff = new Backoff({ minDelay: 100, maxDelay: 1000 }, fixed(0.5));

    expect(pauses(backoff, 6)).toEqual([50, 100, 200, 400, 500, 500]);
  });

  it('begins anew when a connection was of use', () => {
    const backoff = new Backoff({ minDelay: 100, maxDelay: 1000 }, fixed(0.5));
    pauses(backoff, 3);

    backoff.reset();

    expect(backoff.hasTried).toBe(false);
    expect(pauses(backoff, 2)).toEqual([50, 100]);
  });

  it('counts an attempt that had no pause of its own', () => {
    const backoff = new Backoff({ minDelay: 100, maxDelay: 1000 }, fixed(1));

    backoff.count();

    expect(backoff.hasTried).toBe(true);
    expect(pauses(backoff, 2)).toEqual([200, 400]);
  });

  it('stays at the longest pause after any number of attempts', () => {
    const backoff = new Backoff({ minDelay: 100, maxDelay: 1000 }, fixed(1));

    expect(pauses(backoff, 5000).at(-1)).toBe(1000);
  });

  it.each([
    [undefined, { minDelay: 100, maxDelay: 10_000 }],
    [false as const, { minDelay: 100, maxDelay: 10_000 }],
    [
      { minDelay: 7, maxDelay: undefined },
      { minDelay: 7, maxDelay: 10_000 },
    ],
    [{ maxDelay: 700 }, { minDelay: 100, maxDelay: 700 }],
  ])('takes its limits from the option %j', (option, delays) => {
    expect(delaysOf(option)).toEqual(delays);
  });
});
