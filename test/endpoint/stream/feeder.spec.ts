import { describe, expect, it } from '@jest/globals';
import type { Bytes } from '../../../src/endpoint/common/bytes.js';
import { FeedTurns } from '../../../src/endpoint/common/feed-turns.js';
import { Feeder } from '../../../src/endpoint/stream/feeder.js';
import { ItemSource } from '../../../src/endpoint/stream/item-source.js';

/** An event loop whose turns a test takes. */
class Loop {
  readonly turns = new FeedTurns(this);
  #callbacks: (() => void)[] = [];

  turn(callback: () => void): void {
    this.#callbacks.push(callback);
  }

  /** Lets all microtasks run, and then takes the next turn. Returns false if nobody waits for one. */
  async next(): Promise<boolean> {
    await microtasks();
    const callbacks = this.#callbacks.splice(0);
    for (const callback of callbacks) callback();
    await microtasks();
    return callbacks.length > 0;
  }
}

function microtasks(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A stream that always has room, and its source of `count` items. */
function stream(loop: Loop, count: number) {
  const state = { given: 0, ended: false, isReady: true, returned: false };
  function* items(): Generator<Bytes> {
    try {
      for (let at = 0; at < count; at++) yield Buffer.from('x');
    } finally {
      state.returned = true;
    }
  }
  const feeder = new Feeder(
    new ItemSource(items()),
    {
      get isReady() {
        return state.isReady;
      },
      give: () => void state.given++,
      end: () => (state.ended = true),
      fail: (error) => {
        throw error;
      },
      report: () => undefined,
    },
    loop.turns,
  );
  feeder.wake();
  return { state, feeder };
}

describe('The sources of streams', () => {
  it('give way to the event loop after 256 items, although the stream has room', async () => {
    const loop = new Loop();
    const { state } = stream(loop, 1000);
    const given: number[] = [];

    do given.push(state.given);
    while (await loop.next());

    expect(given).toEqual([0, 512, 768, 1000]);
    expect(state.ended).toBe(true);
  });

  it('share a turn, and none of many waits for more than its turn', async () => {
    const loop = new Loop();
    const streams = Array.from({ length: 600 }, () => stream(loop, 10));
    const total = () => streams.reduce((sum, { state }) => sum + state.given, 0);
    await microtasks();
    const totals = [total()];

    for (let turn = 0; turn < 3; turn++) {
      await loop.next();
      totals.push(total());
    }

    expect(totals).toEqual([256, 512, 768, 1024]);
    expect(Math.max(...streams.map(({ state }) => state.given))).toBe(2);
    while (await loop.next());
    expect(streams.every(({ state }) => state.ended)).toBe(true);
  });

  it('are not asked in their turn if the stream has lost its room, or was stopped', async () => {
    const loop = new Loop();
    const one = stream(loop, 1000);
    const other = stream(loop, 1000);
    await microtasks();
    const before = [one.state.given, other.state.given];

    one.state.isReady = false;
    await other.feeder.stop();
    while (await loop.next());

    expect([one.state.given, other.state.given]).toEqual(before);
    expect(other.state.returned).toBe(true);
    one.state.isReady = true;
    one.feeder.wake();
    while (await loop.next());
    expect(one.state).toMatchObject({ given: 1000, ended: true });
  });
});
