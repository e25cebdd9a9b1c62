import { AsyncLocalStorage } from 'node:async_hooks';
import { describe, expect, it } from '@jest/globals';
import { EndpointClock } from '../../../src/endpoint/common/endpoint-clock.js';
import { OUTSIDE } from '../../../src/endpoint/common/scope.js';
import { ManualClock } from '../../support/sim/manual-clock.js';

function clocks() {
  const system = new ManualClock();
  const start = system.now();
  const clock = new EndpointClock(system, OUTSIDE);
  const seen = () => [clock.instant() - start, clock.now() - start];
  return { system, clock, seen };
}

describe('The clock of an endpoint', () => {
  it('has one instant within a tick, while time goes on', () => {
    const { system, clock, seen } = clocks();

    system.advance(3);
    clock.beginTick();
    system.advance(4);

    expect(seen()).toEqual([3, 7]);
  });

  it('keeps the instant if several sockets begin the same tick', () => {
    const { system, clock, seen } = clocks();

    clock.beginTick();
    system.advance(4);
    clock.beginTick();

    expect(seen()).toEqual([0, 4]);
  });

  it('goes on when the tick has ended, and between ticks', () => {
    const { system, clock, seen } = clocks();
    const all = [seen()];

    clock.beginTick();
    system.advance(4);
    clock.endTick();
    all.push(seen());
    system.advance(5);
    all.push(seen());
    clock.beginTick();
    all.push(seen());

    expect(all).toEqual([
      [0, 0],
      [4, 4],
      [9, 9],
      [9, 9],
    ]);
  });

  it.each(['setTimer', 'setAlarm'] as const)('calls back outside of the scope of %s', (set) => {
    const { system, clock } = clocks();
    const storage = new AsyncLocalStorage<string>();
    const stores: (string | undefined)[] = [];

    storage.run('a request', () => {
      clock[set](10, () => stores.push(storage.getStore()));
      system.advance(10);
    });

    expect(stores).toEqual([undefined]);
  });
});
