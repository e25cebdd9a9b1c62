/** Parses PROTOCOL.md for the tests that compare the document with the code and with itself. */
import { readFile } from 'node:fs/promises';
import { expect } from '@jest/globals';
import { fromHex } from './codec/hex.js';

export const text = await readFile(new URL('../../PROTOCOL.md', import.meta.url), 'utf8');
export const lines = text.trimEnd().split('\n');

/** One frame or preface of a code block in the language `hex`. */
export interface Example {
  /** `D` or `L`. */
  readonly writer: string;
  /** The document's description of the frame. */
  readonly description: string;
  readonly octets: Buffer;
}

export function examplesIn(markdown: string): Example[] {
  return blocksMarked('hex', markdown).flatMap((block) =>
    block.split(/^(?=[DL] {2})/m).map(exampleOf),
  );
}

/** The contents of all code blocks of this language. */
export function blocksMarked(language: string, markdown: string): string[] {
  const fence = new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm');
  return [...markdown.matchAll(fence)].map(([, block = '']) => block);
}

/** The section whose heading starts with `heading`, its subsections included. */
export function sectionFrom(heading: string): string {
  const start = lines.findIndex((line) => line.startsWith(heading));
  expect(start).toBeGreaterThan(0);
  const next = new RegExp(`^#{1,${heading.indexOf(' ')}} `);
  const length = lines.slice(start + 1).findIndex((line) => next.test(line));
  return lines.slice(start, length < 0 ? undefined : start + 1 + length).join('\n');
}

/** The cells of the table whose head row starts with `heading`. The document must have exactly one such table. */
export function table(heading: string): string[][] {
  expect(lines.filter((line) => line.startsWith(heading))).toHaveLength(1);
  return tableIn(heading, text);
}

/** The cells of the first table whose head row starts with `heading`. */
export function tableIn(heading: string, markdown: string): string[][] {
  const all = markdown.split('\n');
  const start = all.findIndex((line) => line.startsWith(heading)) + 2;
  expect(start).toBeGreaterThan(1);
  const length = all.slice(start).findIndex((line) => !line.startsWith('|'));
  return all.slice(start, start + length).map((line) => line.slice(2, -2).split(' | '));
}

/** Two columns of a table as an object. */
export function numbersIn(heading: string, value = 0, name = 1): Record<string, number> {
  return Object.fromEntries(table(heading).map((row) => [row[name], Number(row[value])]));
}

/**
 * Splits Markdown into paragraphs, list items, headings and table rows. Each line of a code block is a block of its
 * own.
 */
export function blocksOf(markdown: string): string[] {
  return markdown
    .split(/\n(?=\n|- |\||#)/)
    .map((block) => block.trim())
    .filter((block) => block !== '');
}

/** Parses one example: the writer, a description of one or more lines, then lines of octets. */
function exampleOf(entry: string): Example {
  const all = entry.trimEnd().split('\n');
  const firstOctets = all.findIndex((line) => /^ {3}(?:[0-9a-f]{2}\b|\[)/.test(line));
  const words = all.slice(0, firstOctets).map((line) => line.slice(3));
  const hex = all.slice(firstOctets).map((line) => line.replace(/;.*/, ''));
  return {
    writer: entry.slice(0, 1),
    description: words.join(' '),
    octets: Buffer.concat(hex.map(octetsOf)),
  };
}

/** Parses a line of octets: `0a 0b`, or `[3 × 0a]` alone on its line. */
function octetsOf(line: string): Buffer {
  const [, count, octet] = /^\s*\[(\d+) × ([0-9a-f]{2})\]\s*$/.exec(line) ?? [];
  return octet === undefined ? fromHex(line) : Buffer.alloc(Number(count), fromHex(octet));
}
