import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { fromSource } from '../support/from-source.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8');

describe('README', () => {
  it('explains every error code, and no other', async () => {
    const source = await readFile(
      new URL('../../src/endpoint/common/errors.ts', import.meta.url),
      'utf8',
    );
    const declared = source.slice(source.indexOf('export type ErrorCode ='));

    expect(codesIn(section('## Errors'), /^\| `(IC_ERR_\w+)`/gm)).toEqual(
      codesIn(declared.slice(0, declared.indexOf(';')), /'(IC_ERR_\w+)'/g),
    );
  });

  it('names every option of both kinds of endpoint', async () => {
    const options = await readFile(
      new URL('../../src/endpoint/common/options.ts', import.meta.url),
      'utf8',
    );
    const table = section('## Options');

    const internal = ['clock', 'agent', 'scope'];
    const names = [...options.matchAll(/^ {2}(\w+)\?: /gm)].map(([, name = '']) => name);
    const unnamed = names.filter((name) => !table.includes(`\`${name}\``));
    expect(unnamed.filter((name) => !internal.includes(name))).toStrictEqual([]);
  });

  it('has a standalone example that runs as it is printed', async () => {
    const [, example = ''] = /```ts\n([\s\S]*?)```/.exec(section('## Without Nest')) ?? [];
    const program = example.replaceAll('5000', String(await freePort()));

    const { stdout } = await promisify(execFile)(
      process.execPath,
      [...fromSource, '--input-type=module', '--eval', program],
      { cwd: root },
    );

    expect(stdout).toBe('Test message\naccepted\n');
  });
});

/** From one heading to the next. */
function section(heading: string): string {
  const start = readme.indexOf(`\n${heading}\n`);
  expect(start).toBeGreaterThan(0);
  const end = readme.indexOf('\n## ', start + 1);
  return readme.slice(start, end);
}

function codesIn(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map(([, code = '']) => code).toSorted();
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close((error) => (error === undefined ? resolve(port) : reject(error)));
    });
  });
}
