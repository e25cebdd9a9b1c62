/** The conformance suite against an application that decides later, as most do: after a turn, or after some time. */
import { describe, expect, it } from '@jest/globals';
import {
  addressText,
  dialerOf,
  failuresIn,
  ourListener,
  run,
  runAgainst,
} from './support/command.js';

describe.each([
  ['in the next turn', 0],
  ['7 ms later', 7],
])('A fixture that decides %s', (_when, delay) => {
  it('passes the suite as a listener', async () => {
    const listener = await ourListener({}, delay);

    const { code, out } = await run('conformance', addressText(listener));

    expect(failuresIn(out)).toEqual([]);
    expect(out).toMatch(/\n\d{3} passed, 0 failed, 2 skipped\n$/);
    expect(code).toBe(0);
  });

  it('passes the suite as a dialer', async () => {
    const { code, out } = await runAgainst(dialerOf({}, delay));

    expect(failuresIn(out)).toEqual([]);
    expect(out).toMatch(/\n\d{3} passed, 0 failed, 2 skipped\n$/);
    expect(code).toBe(0);
  });
});
