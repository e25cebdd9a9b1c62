/** The vocabulary of `src`: one word for one thing, and no phrase that a newcomer cannot read. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import ts from 'typescript';

const src = new URL('../../src/', import.meta.url);

/** A place where a word can stand: the name of a type or a class, any identifier, or a comment. */
type Place = 'type' | 'identifier' | 'comment';

/** The banned words: the place, the word, and the words to use instead. */
const BANNED: readonly (readonly [place: Place, word: RegExp, instead: string])[] = [
  ['type', /Host$/, '…Context for services from above'],
  ['type', /Owner$/, '…Context for services from above, …Effects for callbacks'],
  ['type', /Holder$/, '…Context for services from above, or a plain noun'],
  ['type', /Carrier$/, '…Context for services from above, …Effects for callbacks'],
  ['type', /Observer$/, '…Effects for callbacks'],
  ['identifier', /^isRequest$/, 'leavesReserve'],
  ['identifier', /^dispatched$/, 'running'],
  ['identifier', /^relieve$/, 'makeRoom'],
  ['identifier', /^misfitOf$/, 'tooLargeFor'],
  ['identifier', /^#host$/, '#context'],
  ['identifier', /^misfit$/, 'failure'],
  ['comment', /\bamid\b/i, 'within or during'],
  ['comment', /\bso many\b/i, 'a number'],
  ['comment', /\bfalse where\b/i, 'returns false if'],
  ['comment', /\bnobody waits\b/i, 'the noun that waits'],
  ['comment', /\bwhoever\b/i, 'the noun'],
  ['comment', /\bof now\b/i, 'current'],
  ['comment', /\bof the moment\b/i, 'current'],
  ['comment', /\bis (no )?news\b/i, 'changes something'],
];

/** The words that may stand all the same. */
const EXCEPTIONS: readonly (readonly [path: string, word: string, reason: string])[] = [
  [
    'endpoint/link/carrier.ts',
    'Carrier',
    'A class: it carries one connection from socket to socket.',
  ],
];

describe('The words of src', () => {
  it('are none of the banned ones', () => {
    const faults = sources().flatMap((path) => faultsIn(path, textOf(path)));

    expect(faults).toEqual([]);
  });

  it('have no exception that is not needed', () => {
    const unneeded = EXCEPTIONS.filter(
      ([path, word]) => !wordsIn(path, textOf(path)).some((each) => each.text === word),
    );

    expect(unneeded).toEqual([]);
  });

  it.each([
    ['interface SocketHost {}', "SocketHost: say '…Context for services from above'"],
    ['class PingObserver {}', "PingObserver: say '…Effects for callbacks'"],
    ['const isRequest = true;', "isRequest: say 'leavesReserve'"],
    ['/** The socket of\n * now. */\nf();', "of now: say 'current'"],
    ['f(); // The state of the moment.', "of the moment: say 'current'"],
    ['function f() {\n  // This is\n  // news.\n}', "is news: say 'changes something'"],
  ])('are found in %j', (text, fault) => {
    expect(faultsIn('planted.ts', text)).toEqual([`planted.ts: ${fault}`]);
  });

  it('are not looked for in strings, nor in parts of words', () => {
    const text =
      "const isRequestOpen = 'the news of now'; // This profit of nowhere is newsworthy.";

    expect(faultsIn('sound.ts', text)).toEqual([]);
  });
});

function sources(): string[] {
  return readdirSync(src, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => name.replaceAll('\\', '/'));
}

function textOf(path: string): string {
  return readFileSync(new URL(path, src), 'utf8');
}

/** `path: word: say 'instead'` for each banned word in a file. */
function faultsIn(path: string, text: string): string[] {
  return wordsIn(path, text).flatMap((each) =>
    BANNED.flatMap(([place, word, instead]) => {
      const found = each.places.includes(place) && word.exec(each.text);
      if (!found || isExcepted(path, each.text)) return [];
      const shown = place === 'comment' ? found[0] : each.text;
      return [`${path}: ${shown}: say '${instead}'`];
    }),
  );
}

function isExcepted(path: string, word: string): boolean {
  return EXCEPTIONS.some((each) => each[0] === path && each[1] === word);
}

interface Word {
  readonly places: readonly Place[];
  readonly text: string;
}

/** The identifiers and the comments of a file. All comments before one token are one text. */
function wordsIn(path: string, text: string): Word[] {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true);
  const words: Word[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isJSDoc(node)) return;
    if (ts.isIdentifier(node)) words.push({ places: placesOf(node), text: node.text });
    const children = node.getChildren(file);
    if (children.length === 0 && node.kind !== ts.SyntaxKind.SyntaxList) {
      const comment = commentBefore(node, text);
      if (comment !== '') words.push({ places: ['comment'], text: comment });
    }
    for (const child of children) visit(child);
  };
  visit(file);
  return words;
}

function placesOf(identifier: ts.Identifier): Place[] {
  const { parent } = identifier;
  const isType =
    ts.isInterfaceDeclaration(parent) ||
    ts.isTypeAliasDeclaration(parent) ||
    ts.isClassDeclaration(parent);
  return isType && parent.name === identifier ? ['type', 'identifier'] : ['identifier'];
}

/** The comments between a token and the token before it, without their marks and line breaks. */
function commentBefore(token: ts.Node, text: string): string {
  const start = token.getFullStart();
  const trailing = start === 0 ? [] : (ts.getTrailingCommentRanges(text, start) ?? []);
  const ranges = [...trailing, ...(ts.getLeadingCommentRanges(text, start) ?? [])];
  return ranges
    .map(({ pos, end }) => text.slice(pos, end))
    .join(' ')
    .replace(/^\s*\*(?!\/)|\/\*+|\*\/|\/\//gm, ' ')
    .replace(/\s+/g, ' ');
}
