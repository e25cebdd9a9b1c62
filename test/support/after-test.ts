import { afterEach } from '@jest/globals';

const duties: (() => unknown)[] = [];

/** Does it after the test that runs, the latest first, whether or not the test passes. */
export function afterTest(duty: () => unknown): void {
  duties.push(duty);
}

afterEach(async () => {
  for (let duty = duties.pop(); duty !== undefined; duty = duties.pop()) await duty();
});
