/** The README and the guides of the floors say what the code says, and their examples run. */
import { execFile, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { transformSync } from '@swc/core';
import { afterTest } from '../support/after-test.js';
import { codeIn, firstCells, read, root, section } from '../support/document.js';
import { fromSource } from '../support/from-source.js';

const core = read('src/endpoint/README.md');
const nest = read('src/nest/README.md');

describe('README', () => {
  it('has a server and a client that run as they are printed', async () => {
    const [server = '', client = ''] = examplesIn(
      section(read('README.md'), '## A server and a client'),
    );
    const port = await freePort();
    const serving = spawn(process.execPath, argumentsFor(server, port), { cwd: root });
    afterTest(() => void serving.kill('SIGKILL'));
    for await (const chunk of serving.stdout) if (String(chunk).includes('started')) break;

    const { stdout } = await promisify(execFile)(process.execPath, argumentsFor(client, port), {
      cwd: root,
    });
    expect(stdout).toMatch(/^5 bytes$/m);

    const ended = once(serving, 'exit');
    serving.kill('SIGTERM');
    expect(await ended).toEqual([null, 'SIGTERM']);
  });
});

describe('the guide of the core', () => {
  it('has an example that runs as it is printed', async () => {
    const [example = ''] = examplesIn(section(core, '## A listener and a dialer'));
    const program = argumentsFor(example, await freePort());

    const { stdout } = await promisify(execFile)(process.execPath, program, { cwd: root });

    expect(stdout).toBe('Test message\naccepted\n');
  });

  it('explains every error code, and no other', () => {
    const source = read('src/endpoint/common/errors.ts');
    const declared = source.slice(source.indexOf('export type ErrorCode ='));
    const codes = [...declared.slice(0, declared.indexOf(';')).matchAll(/'(IC_ERR_\w+)'/g)];

    expect(firstCells(section(core, '## Errors')).toSorted()).toEqual(
      codes.map(([, code]) => `\`${code}\``).toSorted(),
    );
  });

  it.each([
    ['src/endpoint/common/options.ts', 'EndpointLimits'],
    ['src/endpoint/common/options.ts', 'EndpointOptions'],
    ['src/endpoint/api/listener-options.ts', 'ListenerOptions'],
    ['src/endpoint/api/connect.ts', 'ConnectOptions'],
  ])('names every option of %s, %s', (path, name) => {
    const named = firstCells(section(core, '## Options')).flatMap(codeIn);

    expect(membersOf(path, name).filter((option) => !named.includes(option))).toEqual([]);
  });

  it.each([
    ['Listener', 'src/endpoint/api/listener.ts'],
    ['Connection', 'src/endpoint/api/connection.ts'],
    ['Session', 'src/endpoint/api/session.ts'],
  ])('lists every event of %s, and no other', (name, path) => {
    const [, after = ''] = section(core, '## Events').split(`\n\`${name}\`:\n`);
    const table = after.slice(0, after.search(/\n\n(?!\|)/));

    expect(firstCells(table).flatMap(codeIn).toSorted()).toEqual(
      membersOf(path, `${name}Events`).toSorted(),
    );
  });
});

describe('the guide of the Nest transport', () => {
  it.each([
    ['src/nest/common/interconnect.options.ts', 'InterconnectPayloadOptions'],
    ['src/nest/common/interconnect.options.ts', 'InterconnectServerOptions'],
    ['src/nest/common/interconnect.options.ts', 'InterconnectServerConnectOptions'],
    ['src/nest/common/interconnect.options.ts', 'InterconnectClientOptions'],
    ['src/nest/interconnect.module.ts', 'InterconnectModuleOptions'],
  ])('names every option of %s, %s', (path, name) => {
    const named = codeIn(section(nest, '## Options'));

    expect(membersOf(path, name).filter((option) => !named.includes(option))).toEqual([]);
  });

  it.each([
    ['src/nest/common/interconnect.events.ts', 'InterconnectClientEvents'],
    ['src/nest/server/interconnect.server-events.ts', 'InterconnectServerEvents'],
  ])('names every event of %s, %s', (path, name) => {
    const named = codeIn(nest);
    const events = membersOf(path, name).map((event) => `'${event}'`);

    expect(events.filter((event) => !named.some((code) => code.includes(event)))).toEqual([]);
  });
});

/** The names that a public type declares, without those marked @internal. */
function membersOf(path: string, type: string): string[] {
  const source = read(path);
  const start = source.search(new RegExp(`^export (interface|type) ${type}\\b`, 'm'));
  expect(start).toBeGreaterThanOrEqual(0);
  const body = source.slice(start, source.indexOf('\n}', start));
  const shown = `${body}\n`.replace(/ {2}\/\*\* @internal[^]*?\*\/\n.*\n/g, '');
  const members = [...shown.matchAll(/^ {2}(?:readonly )?(\w+)\??:/gm)].map(
    ([, name = '']) => name,
  );
  expect(members).not.toEqual([]);
  return members;
}

/** The TypeScript examples of a text. */
function examplesIn(text: string): string[] {
  return [...text.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, example = '']) => example);
}

/** What runs an example with Node, on a port of its own. */
function argumentsFor(example: string, port: number): string[] {
  const { jest } = JSON.parse(read('package.json'));
  const [, options] = jest.transform['\\.ts$'];
  const { code } = transformSync(example.replaceAll('5000', String(port)), {
    ...options,
    sourceMaps: false,
    module: { type: 'es6' },
  });
  return [...fromSource, '--input-type=module', '--eval', code];
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
