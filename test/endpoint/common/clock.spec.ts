import { describe, expect, it } from '@jest/globals';
import { systemClock, whenUsedUp } from '../../../src/endpoint/common/clock.js';
import { traffic } from '../../../src/endpoint/common/traffic.js';
import { TimeBudget } from '../../../src/protocol/index.js';
import { turn, until } from '../../support/events.js';
import { ManualClock } from '../../support/sim/manual-clock.js';
import { standUntil } from '../../support/peers/standstill.js';

/** Has a timer of 1 ms fall due before anything else can happen. */
function due(callback: () => void): () => void {
  const stop = systemClock.setTimer(1, callback);
  standUntil(performance.now() + 3);
  return stop;
}

/** Something moves in each of so many turns of the event loop. */
async function move(turns: number): Promise<void> {
  for (let left = turns; left > 0; left--) {
    traffic.count += 1;
    await turn();
  }
}

describe('A timer of the system clock', () => {
  it('that is due lets the event loop look at its sockets first', async () => {
    const order: string[] = [];
    due(() => order.push('timer'));

    // After the next look.
    setImmediate(() => order.push('look'));
    await until(() => order.length === 2);

    expect(order).toEqual(['look', 'timer']);
  });

  it('lets it look again as long as looks bring something', async () => {
    let hasFired = false;
    due(() => (hasFired = true));
    const seen: boolean[] = [];

    for (let turns = 0; turns < 20; turns++) {
      traffic.count += 1;
      await turn();
      seen.push(hasFired);
    }
    await until(() => hasFired);

    expect(seen).not.toContain(true);
  });

  it('is not held up for ever by who never stops', async () => {
    const timer = { hasFired: false };
    due(() => (timer.hasFired = true));

    for (let turns = 0; turns < 10_000 && !timer.hasFired; turns++) await move(1);

    expect(timer.hasFired).toBe(true);
  });

  it('gives senders that a standstill has held up a moment to go on', async () => {
    let hasFired = false;
    systemClock.setTimer(1, () => (hasFired = true));
    standUntil(performance.now() + 800);

    await move(2);
    // Nothing comes in these: the sender goes on when it can.
    for (let turns = 0; turns < 10; turns++) await turn();

    expect(hasFired).toBe(false);
    await until(() => hasFired);
  });

  it.each([0, 1, 2])('is stopped %i turns after it fell due', async (turns) => {
    let hasFired = false;
    const stop = due(() => (hasFired = true));
    for (let passed = 0; passed < turns; passed++) {
      traffic.count += 1;
      await turn();
    }

    stop();
    for (let passed = 0; passed < 5; passed++) await turn();

    expect(hasFired).toBe(false);
  });
});

describe('What waits for a budget', () => {
  it('is called once, when that is used up', () => {
    const clock = new ManualClock();
    let calls = 0;
    whenUsedUp(new TimeBudget(1000, clock.now()), clock, () => (calls += 1));

    clock.advance(999);
    expect(calls).toBe(0);
    clock.advance(1);

    expect([calls, clock.pending]).toEqual([1, 0]);
  });

  it('is not called while this thread stood still', () => {
    const clock = new ManualClock();
    let calls = 0;
    whenUsedUp(new TimeBudget(1000, clock.now()), clock, () => (calls += 1));

    clock.skip(60_000);
    expect(calls).toBe(0);
    clock.advance(1000);

    expect(calls).toBe(1);
  });

  it('is not called after it was stopped', () => {
    const clock = new ManualClock();
    let calls = 0;
    const stop = whenUsedUp(new TimeBudget(1000, clock.now()), clock, () => (calls += 1));
    clock.advance(500);

    stop();
    clock.advance(10_000);

    expect([calls, clock.pending]).toEqual([0, 0]);
  });
});
