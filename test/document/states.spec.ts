/**
 * The tables of states in PROTOCOL.md, §7.1 to §7.8: each row is a case of test/protocol/states, whose title is the
 * section, the state and the event, as the document has them. The matrix of §7.9 has a test of its own.
 */
import { readFile, readdir } from 'node:fs/promises';
import { describe, expect, it } from '@jest/globals';
import ts from 'typescript';
import { sectionFrom } from '../support/protocol-document.js';

const folder = new URL('../protocol/states/', import.meta.url);
const sections = ['7.1', '7.2', '7.3', '7.4', '7.5', '7.6', '7.7', '7.8'];
const HEADING = '| state | event | reaction | next |';

describe('The tables of states in PROTOCOL.md', () => {
  it.each(sections)('§%s: each row has one case, and each case has a row', async (section) => {
    const rows = rowsOf(section);
    const cases = (await titles()).filter((title) => title.startsWith(`${section} `));

    expect(rows.length).toBeGreaterThan(0);
    expect(cases.toSorted()).toEqual(rows.toSorted());
  });

  it('are one in each section, and two in those of the streams', () => {
    expect(sections.map((section) => tablesOf(section).length)).toEqual([1, 1, 1, 1, 1, 2, 2, 1]);
  });

  it('count only cases that are run', () => {
    const source = [
      "it('7.1 OPEN: one', () => undefined);",
      "it.skip('7.1 OPEN: two', () => undefined);",
      "it.each(['7.1 OPEN: three'])('%s', () => undefined);",
      "const four = '7.1 OPEN: four';",
    ].join('\n');

    expect(titlesIn(source)).toEqual(['7.1 OPEN: one']);
  });
});

/** The titles that the rows of a section ask for. */
function rowsOf(section: string): string[] {
  return tablesOf(section)
    .flat()
    .map(([state = '', event = '']) => `${section} ${state}: ${event}`);
}

/** The cells of each table of states in a section. */
function tablesOf(section: string): string[][][] {
  const [, ...tables] = sectionFrom(`### ${section} `).split(`${HEADING}\n`);
  return tables.map((table) => {
    const [, ...lines] = table.split('\n');
    const end = lines.findIndex((line) => !line.startsWith('|'));
    return lines.slice(0, end).map((line) => line.slice(2, -2).split(' | '));
  });
}

async function titles(): Promise<string[]> {
  const files = (await readdir(folder)).filter((name) => name.endsWith('.spec.ts'));
  const sources = await Promise.all(files.map((name) => readFile(new URL(name, folder), 'utf8')));
  return sources.flatMap(titlesIn);
}

/** The titles of the cases in a spec: the first argument of each call of `it`. */
function titlesIn(source: string): string[] {
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    const [title] = isCase(node) ? node.arguments : [];
    if (title !== undefined && ts.isStringLiteralLike(title)) found.push(title.text);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile('a.ts', source, ts.ScriptTarget.Latest, true));
  return found;
}

function isCase(node: ts.Node): node is ts.CallExpression {
  if (!ts.isCallExpression(node) || !ts.isIdentifier(node.expression)) return false;
  return node.expression.text === 'it';
}
