import { beforeEach, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { SparingLog } from '../../../src/nest/common/sparing-log.js';
import { ManualClock } from '../../support/sim/manual-clock.js';
import { HOSTILE, INVISIBLE } from '../../support/words.js';
import { LogRecorder } from '../../support/nest/log-recorder.js';

let clock = new ManualClock();
let log = LogRecorder.install();
let sparing = new SparingLog(new Logger('test'), clock);

beforeEach(() => {
  clock = new ManualClock();
  log = LogRecorder.install();
  sparing = new SparingLog(new Logger('test'), clock);
});

/** As many of a kind as there are, `every` so many milliseconds. */
function warn(kind: string, count: number, every = 0): void {
  for (let index = 0; index < count; index++) {
    sparing.warn(kind, `${kind} ${index}`);
    clock.advance(every);
  }
}

describe('A sparing log', () => {
  it('says what happens for the first time at once, of each kind', () => {
    warn('a', 1);
    warn('b', 1);

    expect(log.find('warn', '')).toEqual(['a 0', 'b 0']);
  });

  it('tells at the end of a pause how many it left out, and the last of them', () => {
    warn('a', 100);

    expect(log.find('warn', '')).toEqual(['a 0']);
    clock.advance(1000);

    expect(log.find('warn', '').slice(1)).toEqual([
      'a 99 (99 more times since the last such line)',
    ]);
  });

  it('says nothing at the end of a pause in which nothing happened', () => {
    warn('a', 1);
    clock.advance(60_000);

    expect(log.find('warn', '')).toHaveLength(1);
    expect(clock.pending).toBe(0);
  });

  it('says less and less of what goes on and on: a line a minute in the end', () => {
    warn('a', 3600, 1000);

    const lines = log.find('warn', '').length;
    expect(lines).toBeGreaterThanOrEqual(60);
    expect(lines).toBeLessThanOrEqual(68);
    const told = log
      .find('warn', 'more')
      .map((line) => Number(/\((\d+) more/.exec(line)?.[1] ?? 1));
    clock.advance(60_000);
    expect(told.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(3400);
  });

  it('says less and less as well of what happens between its pauses', () => {
    warn('a', 120, 2500);

    expect(log.find('warn', '').length).toBeLessThan(12);
  });

  it('forgets a kind that has not happened for five minutes', () => {
    warn('a', 100, 1000);
    clock.advance(300_000);
    const before = log.find('warn', '').length;

    warn('a', 2);
    clock.advance(1000);

    expect(log.find('warn', '')).toHaveLength(before + 2);
  });

  it('tells the rest at its end, and leaves no timer', () => {
    warn('a', 5);
    warn('b', 1);

    sparing.flush();

    expect(log.find('warn', '')).toHaveLength(3);
    expect(log.find('warn', '4 more times')).toHaveLength(1);
    expect(clock.pending).toBe(0);
  });

  it('has the words of others on one line', () => {
    sparing.warn('a', HOSTILE);
    sparing.warn('a', HOSTILE);
    sparing.flush();

    for (const line of log.printed()) expect(line).not.toMatch(INVISIBLE);
    expect(log.find('warn', '')).toHaveLength(2);
  });
});
