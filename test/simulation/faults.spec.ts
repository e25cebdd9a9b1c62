import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { fromSource } from '../support/from-source.js';
import { faults } from './faults.js';

/** Each fault must be found within this number of lives. */
const MOST = 10_000;

/** The output of the program: each fault, and the number of lives until it was found. */
let lines: readonly string[];

beforeAll(async () => {
  const { stdout } = await simulate('--faults', '--runs', `${MOST}`);
  lines = stdout.split('\n');
  process.stdout.write(stdout);
}, 120_000);

describe('The simulation', () => {
  it('finds nothing where little is kept, and where counters come round', async () => {
    const { stdout } = await simulate('--variants', '--runs', '400');

    expect(stdout).toMatch(/^\d+ runs, 0 violations$/m);
  }, 120_000);

  it.each(faults.map(({ name }) => ({ name })))('finds that $name', ({ name }) => {
    const line = lines.find((each) => each.startsWith(`${name}: `));

    expect(line).toMatch(/: found by life \d+$/);
  });
});

/** The output of the program. Its exit code is ignored, because the output says whether it has failed. */
async function simulate(...args: string[]): Promise<{ readonly stdout: string }> {
  const program = fileURLToPath(new URL('main.ts', import.meta.url));
  const all = [...fromSource, program, ...args];
  return promisify(execFile)(process.execPath, all).catch(
    (error: { readonly stdout: string }) => error,
  );
}
