/**
 * Runs TypeScript without a build, in a child process or a worker thread:
 *
 *   const execArgv = ['--conditions=interconnect-source', '--import', '<root>/test/support/typescript.mjs'];
 *   fork(file, { execArgv })        new Worker(file, { execArgv })
 *
 * `from-source.ts` beside this file exports these arguments. The swc settings are those of Jest in package.json, so
 * that decorators and their metadata work as in the tests.
 */
import { transformSync } from '@swc/core';
import { existsSync, readFileSync } from 'node:fs';
import module from 'node:module';
import { fileURLToPath } from 'node:url';

const packageFile = new URL('../../package.json', import.meta.url);
const { jest } = JSON.parse(readFileSync(packageFile, 'utf8'));
const [, swcOptions] = jest.transform['\\.ts$'];

/** `./frame.js` in a TypeScript file means `./frame.ts`, unless there really is a `.js`. */
export function resolve(specifier, context, nextResolve) {
  if (/^\.{1,2}\/.*\.js$/.test(specifier) && context.parentURL?.endsWith('.ts')) {
    const source = new URL(specifier.replace(/\.js$/, '.ts'), context.parentURL);
    if (existsSync(source)) return nextResolve(source.href, context);
  }
  return nextResolve(specifier, context);
}

export function load(url, context, nextLoad) {
  if (!url.startsWith('file:') || !url.endsWith('.ts')) return nextLoad(url, context);
  const filename = fileURLToPath(url);
  const { code } = transformSync(readFileSync(filename, 'utf8'), {
    ...swcOptions,
    filename,
    module: { type: 'es6' },
  });
  return { format: 'module', source: code, shortCircuit: true };
}

// If only the older `register` exists, it loads this file again in its own thread, for the exports alone.
if (module.registerHooks) module.registerHooks({ resolve, load });
else if (!import.meta.url.endsWith('?hooks')) module.register(`${import.meta.url}?hooks`);
