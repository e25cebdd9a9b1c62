/** Reads the Markdown documents of the repository: their sections, links, anchors and tables. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));

/** The paths of all Markdown files, relative to the root. Generated API reports are left out. */
export function documentPaths(): string[] {
  const paths = existsSync(join(root, '.git'))
    ? execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], {
        cwd: root,
        encoding: 'utf8',
      }).split('\0')
    : readdirSync(root, { recursive: true, encoding: 'utf8' }).map((path) =>
        path.replaceAll('\\', '/'),
      );
  return paths.filter(
    (path) => path.endsWith('.md') && !/(^|\/)node_modules\/|^test\/api\//.test(path),
  );
}

export function read(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

/** The text from a heading to the next heading of the same or a higher level. */
export function section(text: string, heading: string): string {
  const start = `\n${text}`.indexOf(`\n${heading}\n`);
  if (start < 0) throw new Error(`The document has no heading "${heading}".`);
  const [, level = '#'] = /^(#+) /.exec(heading) ?? [];
  const rest = text.slice(start + heading.length);
  const end = rest.search(new RegExp(`^#{1,${level.length}} `, 'm'));
  return end < 0 ? rest : rest.slice(0, end);
}

/** The first cell of each table row in a text, without the head rows. */
export function firstCells(text: string): string[] {
  return [...text.matchAll(/^\| (`[^|]*?) \|/gm)].map(([, cell = '']) => cell);
}

/** The text of each inline code span. */
export function codeIn(text: string): string[] {
  return [...text.matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code);
}

/** A document without its code blocks, which hold no headings, links or tables. */
export function prose(text: string): string {
  return text.replace(/^```[\s\S]*?^```$/gm, '');
}

/** The anchors that GitHub gives to the headings of a document. */
export function anchorsOf(text: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, heading = ''] of prose(text).matchAll(/^#+ (.*)$/gm)) {
    const words = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase();
    const anchor = words.replace(/[^\p{L}\p{N}\p{M} _-]/gu, '').replaceAll(' ', '-');
    let unique = anchor;
    for (let count = 1; anchors.has(unique); count++) unique = `${anchor}-${count}`;
    anchors.add(unique);
  }
  return anchors;
}

export interface Link {
  /** The path of the link's target, relative to the root. */
  readonly path: string;
  readonly anchor: string | undefined;
}

/** The links from the document at `path` to files of the repository. */
export function linksOf(path: string, text: string): Link[] {
  const words = prose(text).replace(/`[^`\n]*`/g, '`code`');
  return [...words.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => {
      const [file = '', anchor] = target.split('#');
      const linked = file === '' ? path : posix.join(posix.dirname(path), file);
      return { path: linked, anchor };
    });
}

/** The cells of all tables of a document. */
export function cellsOf(text: string): string[] {
  return prose(text)
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .flatMap((line) => line.split(/(?<!\\)\|/))
    .map((cell) => cell.trim());
}
