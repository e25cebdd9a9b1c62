/**
 * The clauses of PROTOCOL.md: each stands at the line of code that obeys it, as a comment, and in the title of a
 * test that fails where the code does not. `[IC-4.2]`.
 */
import { readFile, readdir } from 'node:fs/promises';
import { describe, expect, it } from '@jest/globals';
import ts from 'typescript';
import { text } from '../support/protocol-document.js';

const root = new URL('../../', import.meta.url);
const clauses = new Set(marksIn(text));
const floors = ['src/wire/', 'src/protocol/', 'src/endpoint/'];

describe('Each clause of PROTOCOL.md', () => {
  it('stands at the line of code that obeys it', async () => {
    const marked = new Set((await Promise.all(floors.map(commentMarks))).flat());

    expect([...clauses].filter((clause) => !marked.has(clause))).toEqual([]);
  });

  it('stands in the title of a test that proves it', async () => {
    const marked = new Set(await titleMarks());

    expect([...clauses].filter((clause) => !marked.has(clause))).toEqual([]);
  });
});

describe('A mark of a clause', () => {
  it('names one that there is', async () => {
    const marks = (await Promise.all(['src/', 'test/'].map(allMarks))).flat();

    expect(marks.filter(([, clause]) => !clauses.has(clause))).toEqual([]);
    expect(marks.length).toBeGreaterThan(2 * clauses.size);
  });

  it('counts in code where it is a comment, and in a test where it is part of a title', () => {
    const source = [
      '// [IC-1.1]',
      '/** What it is. [IC-1.2] */',
      "const note = 'no comment [IC-1.3]';",
      'it(`is true of ${note} [IC-1.4]`, () => undefined);',
    ].join('\n');

    expect(inComments(source)).toEqual(['[IC-1.1]', '[IC-1.2]']);
    expect(inStrings(source)).toEqual(['[IC-1.3]', '[IC-1.4]']);
  });
});

function marksIn(content: string): string[] {
  return content.match(/\[IC-\d+\.\d+\]/g) ?? [];
}

async function commentMarks(folder: string): Promise<string[]> {
  const files = await contentsOf(folder, '.ts');
  return files.flatMap(([, content]) => inComments(content));
}

/** Of all tests: rows of their tables become titles as well, and so do the clauses of the vectors. */
async function titleMarks(): Promise<string[]> {
  const specs = await contentsOf('test/', '.spec.ts');
  const vectors = await contentsOf('test/vectors/', '.json');
  return [
    ...specs.flatMap(([file, content]) =>
      file === 'document/clauses.spec.ts' ? [] : inStrings(content),
    ),
    ...vectors.flatMap(([, content]) => inVectors(content)),
  ];
}

async function allMarks(folder: string): Promise<[file: string, clause: string][]> {
  const files = [...(await contentsOf(folder, '.ts')), ...(await contentsOf(folder, '.json'))];
  return files
    .filter(([file]) => file !== 'document/clauses.spec.ts')
    .flatMap(([file, content]) =>
      [...marksIn(content), ...inVectors(content)].map((mark): [string, string] => [file, mark]),
    );
}

/** What is a string and what is not, the compiler knows. */
function inStrings(source: string): string[] {
  return stringsOf(source).flatMap(marksIn);
}

function inComments(source: string): string[] {
  return marksIn(stringsOf(source).reduce((rest, each) => rest.replace(each, ''), source));
}

function stringsOf(source: string): string[] {
  if (marksIn(source).length === 0) return [];
  const strings: string[] = [];
  const visit = (node: ts.Node): void => {
    const isString = ts.isStringLiteralLike(node) || ts.isTemplateExpression(node);
    if (isString) strings.push(node.getText());
    else ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile('a.ts', source, ts.ScriptTarget.Latest, true));
  return strings.filter((each) => marksIn(each).length > 0);
}

function inVectors(content: string): string[] {
  return [...content.matchAll(/"clause": "([\d.]+)"/g)].map(([, number]) => `[IC-${number}]`);
}

async function contentsOf(
  folder: string,
  ending: string,
): Promise<(readonly [file: string, content: string])[]> {
  const files = await readdir(new URL(folder, root), { recursive: true });
  const wanted = files.filter((name) => name.endsWith(ending));
  return Promise.all(
    wanted.map(
      async (name) => [name, await readFile(new URL(folder + name, root), 'utf8')] as const,
    ),
  );
}
