/** What holds for every document: links lead somewhere, also in the npm package, and tables can be read. */
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import {
  anchorsOf,
  cellsOf,
  codeIn,
  documentPaths,
  firstCells,
  linksOf,
  prose,
  read,
  root,
  section,
} from '../support/document.js';

const paths = documentPaths();

/** Whether npm publishes what is at a path: `files` of package.json, and what npm always takes. */
function isPublished(path: string): boolean {
  const { files }: { files: string[] } = JSON.parse(read('package.json'));
  const published = [...files, 'README.md', 'LICENSE', 'package.json'];
  return published.some((name) => path === name || path.startsWith(`${name}/`));
}

describe('the documents', () => {
  it('are those that a newcomer looks for', () => {
    expect(paths).toEqual(
      expect.arrayContaining([
        'README.md',
        'PROTOCOL.md',
        'ARCHITECTURE.md',
        'CONTRIBUTING.md',
        'SECURITY.md',
        'CHANGELOG.md',
        'src/cli/README.md',
        'src/endpoint/README.md',
        'src/nest/README.md',
        'test/README.md',
      ]),
    );
  });

  it.each(paths)('%s has links to files that exist', (path) => {
    const dead = linksOf(path, read(path)).filter((link) => !existsSync(join(root, link.path)));

    expect(dead).toEqual([]);
  });

  it.each(paths)('%s has links to headings that exist', (path) => {
    const dead = linksOf(path, read(path)).filter(
      ({ path: linked, anchor }) =>
        anchor !== undefined && linked.endsWith('.md') && !anchorsOf(read(linked)).has(anchor),
    );

    expect(dead).toEqual([]);
  });

  it.each(paths.filter(isPublished))('%s leads to nothing that npm does not publish', (path) => {
    const missing = linksOf(path, read(path)).filter((link) => !isPublished(link.path));

    expect(missing).toEqual([]);
  });

  it.each(paths.filter((path) => path !== 'PROTOCOL.md'))(
    '%s has cells that fit a line',
    (path) => {
      const long = cellsOf(read(path)).filter((cell) => cell.length > MAX_CELL);

      expect(long).toEqual([]);
    },
  );

  it.each(paths.filter((path) => path !== 'CHANGELOG.md'))('%s names files that exist', (path) => {
    expect(missingFilesIn(path, read(path))).toEqual([]);
  });

  it('are judged by rules that see a fault', () => {
    const text =
      '# A (b) `c`\n\n[x](../gone.md#y) `src/gone.ts`\n\n```\n[no](no.md)\n```\n\n# A b c\n';

    expect(linksOf('src/README.md', text)).toEqual([{ path: 'gone.md', anchor: 'y' }]);
    expect([...anchorsOf(text)]).toEqual(['a-b-c', 'a-b-c-1']);
    expect(missingFilesIn('src/README.md', text)).toEqual(['src/gone.ts']);
    expect(cellsOf('| a | `b \\| c` |\n')).toEqual(['', 'a', '`b \\| c`', '']);
  });
});

describe('README', () => {
  it('has at most 200 lines', () => {
    expect(read('README.md').split('\n').length).toBeLessThanOrEqual(200 + 1);
  });
});

describe('test/README', () => {
  it('says what each folder of tests is for', () => {
    const folders = readdirSync(join(root, 'test')).filter((name) => !name.includes('.'));

    expect(folders.filter((name) => !read('test/README.md').includes(`\`test/${name}`))).toEqual(
      [],
    );
  });
});

describe('ARCHITECTURE', () => {
  it('has a row for each floor', () => {
    const floors = firstCells(section(read('ARCHITECTURE.md'), '## The floors')).flatMap(codeIn);

    expect(floors).toEqual(
      expect.arrayContaining(readdirSync(join(root, 'src')).map((name) => `src/${name}`)),
    );
  });

  it.each(['protocol', 'endpoint'])('lists the folders of %s in the order of imports', (floor) => {
    const folders = firstCells(section(read('ARCHITECTURE.md'), `### The ${floor} floor`));
    const rules = read('.dependency-cruiser.mjs');
    const [, order = ''] = new RegExp(`^  ${floor}: \\[(.*)\\]`, 'm').exec(rules) ?? [];

    expect(folders.flatMap(codeIn)).toEqual([...order.matchAll(/\w+/g)].map(([name]) => name));
  });
});

/**
 * The files and folders that the document at `path` names and that do not exist. It may name them from the root, from
 * `src`, or from its own folder.
 */
function missingFilesIn(path: string, text: string): string[] {
  const names = /`((?:src|test|sample|\.ci|wire|protocol|endpoint|nest|cli|testing)\/[\w./-]+)`/g;
  const bases = ['.', 'src', dirname(path)];
  return [...prose(text).matchAll(names)]
    .map(([, name = '']) => name)
    .filter((name) => !bases.some((base) => existsSync(join(root, base, name))));
}

/** Characters of a cell of a table. */
const MAX_CELL = 200;
