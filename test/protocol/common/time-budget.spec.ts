import { describe, expect, it } from '@jest/globals';
import { TimeBudget } from '../../../src/protocol/common/time-budget.js';

const START = 1_000_000;

/** Looks at the instants that the budget names, each so many milliseconds late, and returns when it is used up. */
function usedUpAfter(budget: TimeBudget, lateness: number, most = 100): number {
  for (let look = 0; look < most; look++) {
    const now = budget.nextLook + lateness;
    if (budget.spend(now)) return now - START;
  }
  return Infinity;
}

describe('A time budget', () => {
  it('is used up after its limit, where every look comes in time', () => {
    expect(usedUpAfter(new TimeBudget(1000, START), 0)).toBe(1000);
  });

  it.each([1000 / 3, 4199, 0.3])('ends for a limit of %d ms, however that is rounded', (limit) => {
    const after = usedUpAfter(new TimeBudget(limit, START), 0);

    expect(after).toBeGreaterThan(limit - 0.01);
    expect(after).toBeLessThan(limit + 0.01);
  });

  it('counts a step for a look that comes a little late', () => {
    expect(usedUpAfter(new TimeBudget(1000, START), 10)).toBe(1040);
  });

  it('counts nothing for a look that comes a step late: this thread stood still', () => {
    const budget = new TimeBudget(1000, START);

    expect(budget.spend(START + 60_000)).toBe(false);

    expect(usedUpAfter(budget, 0)).toBe(61_000);
  });

  it('counts what passed before an early look', () => {
    const budget = new TimeBudget(1000, START);

    expect(budget.spend(START + 1)).toBe(false);

    expect(usedUpAfter(budget, 0)).toBe(1000);
  });

  it('has its whole limit again after a sign of the other side', () => {
    const budget = new TimeBudget(1000, START);
    budget.spend(START + 250);
    budget.spend(START + 500);

    budget.refill(START + 600);

    expect(usedUpAfter(budget, 0)).toBe(1600);
  });

  it('without a limit is never used up', () => {
    const budget = new TimeBudget(Infinity, START);

    expect(budget.spend(START + 1e12)).toBe(false);
    expect(budget.nextLook).toBe(Infinity);
  });
});
