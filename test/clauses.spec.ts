/** The clauses of PROTOCOL.md, and where code and tests say that they obey or prove one: `[IC-4.2]`. */
import { readFile, readdir } from 'node:fs/promises';
import { describe, expect, it } from '@jest/globals';
import { text } from './support/protocol-document.js';

const root = new URL('../', import.meta.url);
const clauses = new Set([...text.matchAll(/\[IC-[\d.]+\]/g)].map(([clause]) => clause));

describe('A mark of a clause', () => {
  it('names one that there is', async () => {
    const marks = [...(await marksIn('src/')), ...(await marksIn('test/'))];

    expect(marks.filter(({ clause }) => !clauses.has(clause))).toEqual([]);
    expect(marks.length).toBeGreaterThan(0);
  });
});

interface Mark {
  readonly file: string;
  readonly clause: string;
}

/** In comments and titles, and in the vectors, whose clauses become titles. */
async function marksIn(folder: string): Promise<Mark[]> {
  const files = await readdir(new URL(folder, root), { recursive: true });
  const marks: Mark[] = [];
  for (const file of files.filter((name) => /\.(?:ts|json)$/.test(name))) {
    const content = await readFile(new URL(`${folder}${file}`, root), 'utf8');
    for (const [clause] of content.matchAll(/\[IC-\d+\.\d+\]/g)) marks.push({ file, clause });
    for (const [, number] of content.matchAll(/"clause": "([\d.]+)"/g)) {
      marks.push({ file, clause: `[IC-${number}]` });
    }
  }
  return marks;
}
