/**
 * The rules of the house that no lint rule and no import graph can see. They read sources, not behaviour,
 * and hold for whatever part of `src` exists.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import ts from 'typescript';

const root = fileURLToPath(new URL('../..', import.meta.url));

const floors = ['wire', 'protocol', 'endpoint', 'nest', 'cli', 'testing'];

const topLevel = [
  'src test sample',
  'nest-cli.json package.json package-lock.json tsconfig.json tsconfig.build.json',
  'README.md PROTOCOL.md ARCHITECTURE.md SECURITY.md CONTRIBUTING.md CHANGELOG.md LICENSE',
].flatMap((names) => names.split(' '));

/** What the synchronous floors must not even name. */
const asynchronous = new Set(['Promise', 'PromiseLike', 'EventEmitter']);

/** The TypeScript files below a folder, as paths from the root; none where the folder is missing. */
function sources(folder: string): string[] {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !/(^|[\\/])(dist|node_modules)[\\/]/.test(name))
    .map((name) => `${folder}/${name.replaceAll('\\', '/')}`);
}

/** What is tracked at the top; in a copy without git, what lies there and was not made by a tool. */
function topLevelNames(): string[] {
  if (!existsSync(join(root, '.git'))) {
    return readdirSync(root).filter((name) => !/^(node_modules|dist|coverage)$/.test(name));
  }
  const tracked = execFileSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' });
  return [...new Set(tracked.split('\0').map((path) => path.replace(/\/.*/, '')))].filter(Boolean);
}

/** Why one node does not belong on a synchronous floor, if it does not. */
function offence(node: ts.Node): string | undefined {
  if (node.kind === ts.SyntaxKind.AsyncKeyword) return 'async';
  if (node.kind === ts.SyntaxKind.AwaitKeyword) return 'await';
  if (ts.isAwaitExpression(node)) return 'await';
  if (ts.isIdentifier(node) && asynchronous.has(node.text)) return node.text;
  if (ts.isStringLiteral(node) && node.text.startsWith('node:')) return node.text;
  return undefined;
}

/** `path:line what` for everything asynchronous in a file's code; comments and prose do not count. */
function asynchronousIn(path: string, text: string): string[] {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.ES2023);
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    const what = offence(node);
    if (what !== undefined) {
      const { line } = file.getLineAndCharacterOfPosition(node.getStart(file));
      found.push(`${path}:${line + 1} ${what}`);
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}

describe('the synchronous floors', () => {
  it.each(['src/wire', 'src/protocol'])('%s names nothing asynchronous', (folder) => {
    const found = sources(folder).flatMap((path) =>
      asynchronousIn(path, readFileSync(join(root, path), 'utf8')),
    );

    expect(found).toEqual([]);
  });

  it('are judged by a scan that sees code and overlooks comments', () => {
    const text = [
      '/** No Promise, no await here. */',
      "const note = 'await a Promise';",
      'async function a(): Promise<void> {',
      '  await b;',
      '}',
      "import { EventEmitter } from 'node:events';",
      "type Socket = import('node:net').Socket;",
      'for await (const x of y) {}',
    ].join('\n');

    expect(asynchronousIn('a.ts', text)).toEqual([
      'a.ts:3 async',
      'a.ts:3 Promise',
      'a.ts:4 await',
      'a.ts:6 EventEmitter',
      'a.ts:6 node:events',
      'a.ts:7 node:net',
      'a.ts:8 await',
    ]);
  });
});

/** `path:line` for everything that is logged without a look at whose words it has. */
function unguardedIn(path: string, text: string): string[] {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.ES2023);
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && /\blogger\.\w+$/.test(node.expression.getText(file))) {
      const [words] = node.arguments;
      const isGuarded =
        words !== undefined &&
        (ts.isStringLiteral(words) || /^(lineOf|messageOf)\(/.test(words.getText(file)));
      const { line } = file.getLineAndCharacterOfPosition(node.getStart(file));
      if (!isGuarded) found.push(`${path}:${line + 1}`);
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return found;
}

describe("Nest's log", () => {
  it('gets nothing that was not made fit for it', () => {
    const found = sources('src/nest').flatMap((path) =>
      unguardedIn(path, readFileSync(join(root, path), 'utf8')),
    );

    expect(found).toEqual([]);
  });

  it('is judged by a scan that sees what is logged', () => {
    const text = [
      "this.logger.warn('words of our own');",
      'logger.error(messageOf(error), stackOf(error));',
      'this.logger.warn(lineOf(`x ${y}`));',
      'this.logger.warn(`x ${y}`);',
      'promise.catch((error) => this.logger.error(error));',
    ].join('\n');

    expect(unguardedIn('a.ts', text)).toEqual(['a.ts:4', 'a.ts:5']);
  });
});

/** More parameters than that are an object that has no name yet. */
const MOST_PARAMETERS = 5;

/** Signatures that may be longer, each with the measurement that forbids an object. */
const measured: ReadonlyMap<string, string> = new Map();

/** `path name` for every signature in a file that has too many parameters, with their number. */
function longSignaturesIn(path: string, text: string): Map<string, number> {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true);
  const found = new Map<string, number>();
  const visit = (node: ts.Node, owners: readonly string[]): void => {
    const name = nameOf(node, file);
    const names = name === undefined ? owners : [...owners, name];
    if (ts.isFunctionLike(node) && node.parameters.length > MOST_PARAMETERS) {
      found.set(`${path} ${names.join('.')}`, node.parameters.length);
    }
    ts.forEachChild(node, (child) => visit(child, names));
  };
  visit(file, []);
  return found;
}

/** The name of a declaration. */
function nameOf(node: ts.Node, file: ts.SourceFile): string | undefined {
  if (ts.isConstructorDeclaration(node)) return 'constructor';
  const isNamed =
    ts.isFunctionLike(node) ||
    ts.isClassLike(node) ||
    ts.isInterfaceDeclaration(node) ||
    ts.isTypeAliasDeclaration(node) ||
    ts.isVariableDeclaration(node) ||
    ts.isPropertyDeclaration(node) ||
    ts.isPropertySignature(node) ||
    ts.isPropertyAssignment(node);
  return isNamed ? node.name?.getText(file) : undefined;
}

describe('a signature', () => {
  const long = sources('src').flatMap((path) => [
    ...longSignaturesIn(path, readFileSync(join(root, path), 'utf8')).keys(),
  ]);

  it('has at most five parameters, unless a measurement forbids that', () => {
    const strange = long.filter((name) => !measured.has(name));

    expect(strange).toEqual([]);
  });

  it('is no exception without need', () => {
    expect([...measured.keys()].filter((name) => !long.includes(name))).toEqual([]);
  });

  it('is judged by a scan that counts parameters of all kinds of functions', () => {
    const text = [
      'function five(a, b, c, d, e) {}',
      'function six(a, b, c, d, e, f) {}',
      'export class A {',
      '  constructor(a, b, c, d, e, f) {}',
      '  #method({ a, b }, c, d, e, f, ...g) {}',
      '  readonly arrow = (a, b, c, d, e, f, g) => {};',
      '}',
      'interface B { method(a: 1, b: 1, c: 1, d: 1, e: 1, f: 1): void }',
      'type C = (a: 1, b: 1, c: 1, d: 1, e: 1, f: 1) => void;',
      'call({ inner: function (a, b, c, d, e, f) {} });',
    ].join('\n');

    expect([...longSignaturesIn('a.ts', text)]).toEqual([
      ['a.ts six', 6],
      ['a.ts A.constructor', 6],
      ['a.ts A.#method', 6],
      ['a.ts A.arrow', 7],
      ['a.ts B.method', 6],
      ['a.ts C', 6],
      ['a.ts inner', 6],
    ]);
  });
});

/** What the library gives, and nobody passes in: a property that is not there is not `undefined`. */
const given = new Set([
  'InterconnectHealth',
  'InterconnectRejection',
  'Outcome',
  'Rejection',
  'RejectionOrigin',
]);

/** Whether a type names `undefined` itself, or is everything. */
function takesUndefined(type: ts.TypeNode): boolean {
  if (ts.isUnionTypeNode(type)) return type.types.some(takesUndefined);
  const { SyntaxKind } = ts;
  return [SyntaxKind.UndefinedKeyword, SyntaxKind.UnknownKeyword].includes(type.kind);
}

/** `Type.property` for every optional property of an exported type that does not take `undefined`. */
function exactOptionsIn(path: string, text: string): string[] {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.ES2023);
  const found: string[] = [];
  const visit = (node: ts.Node, owner: string): void => {
    if (ts.isPropertySignature(node) && node.questionToken !== undefined) {
      const takes = node.type === undefined || takesUndefined(node.type);
      if (!takes) found.push(`${owner}.${node.name.getText(file)}`);
    }
    ts.forEachChild(node, (child) => visit(child, owner));
  };
  for (const statement of file.statements) {
    const isType = ts.isInterfaceDeclaration(statement) || ts.isTypeAliasDeclaration(statement);
    const isExported = /^\s*export\b/.test(statement.getText(file));
    if (isType && isExported && !given.has(statement.name.text)) {
      visit(statement, statement.name.text);
    }
  }
  return found;
}

describe('an option', () => {
  it.each(['src/endpoint', 'src/nest', 'src/testing'])('takes undefined, in %s', (folder) => {
    const found = sources(folder).flatMap((path) =>
      exactOptionsIn(path, readFileSync(join(root, path), 'utf8')),
    );

    // Else an application with `exactOptionalPropertyTypes` cannot pass on what its configuration may lack.
    expect(found).toEqual([]);
  });

  it('is judged by a scan that sees what takes undefined and what does not', () => {
    const text = [
      'export interface A { a?: string; b?: string | undefined; c?: unknown; d: string }',
      'export type B = { readonly e?: () => undefined } | { f?: (() => void) | undefined };',
      'interface Hidden { g?: string }',
      'export interface Outcome { h?: true }',
    ].join('\n');

    expect(exactOptionsIn('a.ts', text)).toEqual(['A.a', 'B.e']);
  });
});

describe('the repository', () => {
  it('holds at its top what a reader expects there, and nothing else', () => {
    const strange = topLevelNames().filter(
      (name) => !topLevel.includes(name) && !name.startsWith('.'),
    );

    expect(strange).toEqual([]);
  });

  it('has no folder in src that is not a floor', () => {
    const src = join(root, 'src');
    const names = existsSync(src) ? readdirSync(src) : [];

    expect(names.filter((name) => !floors.includes(name))).toEqual([]);
  });

  it.each(['src', 'sample'])('leaves nothing for later in %s', (folder) => {
    const left = sources(folder).filter((path) =>
      /\b(TODO|FIXME)\b/.test(readFileSync(join(root, path), 'utf8')),
    );

    expect(left).toEqual([]);
  });

  it('locks versions without the host they came from', () => {
    const lock = readFileSync(join(root, 'package-lock.json'), 'utf8');

    // A link to a folder of ours is no host.
    expect(lock).not.toMatch(/"resolved": "[^"]*:/);
  });

  it('asks a user of the core to install nothing', () => {
    const manifest: unknown = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

    expect(manifest).not.toHaveProperty('dependencies');
    expect(manifest).not.toHaveProperty('optionalDependencies');
  });
});
