import { afterEach } from '@jest/globals';

const duties: (() => unknown)[] = [];

/**
 * Registers work for the end of the running test. The work runs whether or not the test passes, the latest registered
 * first.
 */
export function afterTest(duty: () => unknown): void {
  duties.push(duty);
}

afterEach(async () => {
  for (let duty = duties.pop(); duty !== undefined; duty = duties.pop()) await duty();
});
