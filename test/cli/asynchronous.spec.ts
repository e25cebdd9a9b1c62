/** The conformance suite against an application that decides later, as most do: after a turn, or after some time. */
import { describe, expect, it } from '@jest/globals';
import { DEFAULT_PATIENCE } from '../../src/cli/conformance/waits.js';
import {
  addressText,
  dialerOf,
  failuresIn,
  ourListener,
  run,
  runWith,
} from '../support/cli/command.js';

describe.each([
  { when: 'in the next turn', delay: 0, jobs: '8' },
  // Most of its cases wait and do not compute: many of them run beside each other.
  { when: '200 ms later', delay: DEFAULT_PATIENCE / 2, jobs: '32' },
])('A fixture that decides $when', ({ delay, jobs }) => {
  it('passes the suite as a listener', async () => {
    const listener = await ourListener({}, delay);

    const { code, out } = await run('conformance', addressText(listener), '--jobs', jobs);

    expect(failuresIn(out)).toEqual([]);
    expect(out).toMatch(/\n\d{3} passed, 0 failed, 3 skipped\n$/);
    expect(code).toBe(0);
  });

  it('passes the suite as a dialer', async () => {
    const { code, out } = await runWith(dialerOf({}, delay), { jobs });

    expect(failuresIn(out)).toEqual([]);
    expect(out).toMatch(/\n\d{3} passed, 0 failed, 2 skipped\n$/);
    expect(code).toBe(0);
  });
});
