import { describe, expect, it } from '@jest/globals';
import { Alarm } from '../../../src/endpoint/common/alarm.js';
import { ManualClock } from '../../support/sim/manual-clock.js';

/** An alarm, and the instants at which it called back. */
function observed(kind?: 'asleep' | 'awake') {
  const clock = new ManualClock();
  const start = clock.now();
  const rings: number[] = [];
  const alarm = new Alarm(clock, () => rings.push(clock.now() - start), kind);
  return { clock, rings, alarm, set: (after: number) => alarm.set(clock.now() + after) };
}

describe('An alarm', () => {
  it('calls back once, at the earliest of its instants', () => {
    const { clock, rings, set } = observed();

    for (const after of [50, 20, 30]) set(after);
    clock.advance(100);

    expect(rings).toEqual([20]);
  });

  it('can be set anew after it has called back, and while it calls back', () => {
    const clock = new ManualClock();
    const start = clock.now();
    const rings: number[] = [];
    const alarm = new Alarm(clock, () => {
      rings.push(clock.now() - start);
      if (rings.length === 1) alarm.set(clock.now() + 5);
    });

    alarm.set(start + 10);
    clock.advance(20);
    alarm.set(clock.now() + 10);
    clock.advance(20);

    expect(rings).toEqual([10, 15, 30]);
  });

  it('that is unset does not call back until it is set anew', () => {
    const { clock, rings, alarm, set } = observed();

    set(10);
    alarm.unset();
    clock.advance(20);
    set(30);
    clock.advance(40);

    expect(rings).toEqual([50]);
  });

  it('that has ended never calls back again, whatever it is given', () => {
    const { clock, rings, alarm, set } = observed();

    set(10);
    alarm.end();
    set(20);
    alarm.unset();
    set(30);
    clock.advance(100);

    expect(rings).toEqual([]);
  });
});
