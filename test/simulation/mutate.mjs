/**
 * Loads further copies of our TypeScript beside the first one. `import('./life.ts?copy=NAME')` loads a copy whose
 * source has the changes of that name. Register the loader with all changes, as `{ name, changes }`.
 */
import { transformSync } from '@swc/core';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = new URL('../../', import.meta.url);
const { jest } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'));
const [, swcOptions] = jest.transform['\\.ts$'];
const codes = new Map();
let copies = [];

export function initialize(list) {
  copies = list;
}

/** The imports of a copy belong to the same copy. */
export function resolve(specifier, context, nextResolve) {
  const query = context.parentURL?.match(/\?copy=.*$/)?.[0];
  if (query === undefined || !specifier.startsWith('.')) return nextResolve(specifier, context);
  const url = new URL(specifier.replace(/\.js$/, '.ts'), context.parentURL);
  return { url: url.href + query, format: 'module', shortCircuit: true };
}

export function load(url, context, nextLoad) {
  const [file, name] = url.split('?copy=');
  if (name === undefined) return nextLoad(url, context);
  const copy = copies.find((each) => each.name === decodeURIComponent(name));
  if (copy === undefined) throw new Error(`Nothing is called ${name}.`);
  const changes = copy.changes.filter((each) => file === new URL(`src/${each.file}`, root).href);
  const code = changes.length > 0 ? compile(file, changed(file, changes)) : unchanged(file);
  return { format: 'module', source: code, shortCircuit: true };
}

function changed(file, changes) {
  let source = readFileSync(fileURLToPath(file), 'utf8');
  for (const { find, replace } of changes) {
    const parts = source.split(find);
    if (parts.length !== 2) {
      throw new Error(`${file} must have this once, and has it ${parts.length - 1} times: ${find}`);
    }
    source = parts.join(replace);
  }
  return source;
}

function unchanged(file) {
  if (!codes.has(file)) codes.set(file, compile(file, readFileSync(fileURLToPath(file), 'utf8')));
  return codes.get(file);
}

function compile(file, source) {
  const filename = fileURLToPath(file);
  return transformSync(source, { ...swcOptions, filename, module: { type: 'es6' } }).code;
}
