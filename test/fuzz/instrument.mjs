/**
 * Loads `src` with a counter in each block, so that the fuzzer sees the way of an input:
 *
 *   node --import ./test/fuzz/instrument.mjs test/fuzz/main.ts
 *
 * A counter is a call of `hit(block)` in `coverage.ts`. The compiler inlines it, so that it costs a tenth of the time
 * of an input. V8's own coverage needs no loader, but it has three faults: one query takes as long as four inputs, it
 * does not show which block followed which, and it cannot stop an endless loop.
 */
import { readFileSync } from 'node:fs';
import module from 'node:module';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const sources = new URL('../../src/', import.meta.url).href;
const counters = new URL('coverage.ts', import.meta.url).href;

/**
 * TypeScript with a counter in each function, branch, case, loop, and operand that may be skipped. The line numbers
 * stay the same. `count` is the number of counters.
 */
export function withCounters(source) {
  const file = ts.createSourceFile('source.ts', source, ts.ScriptTarget.ES2023, true);
  const insertions = [];
  let count = 0;
  const insert = (at, text) => void insertions.push({ at, text });
  const hit = () => `__hit(__first + ${count++})`;

  const visit = (node) => {
    // Text before a node is inserted on the way down, and text after a node on the way up.
    const closings = [];
    const countStatement = (statement, after = '') => {
      const isBlock = ts.isBlock(statement);
      insert(statement.getStart() + (isBlock ? 1 : 0), `${isBlock ? '' : '{'} ${hit()};`);
      closings.push([statement, (isBlock ? '' : '}') + after]);
    };
    const countValue = (value) => {
      insert(value.getStart(), `(${hit()}, `);
      closings.push([value, ')']);
    };

    if (ts.isFunctionLike(node) && node.body !== undefined) {
      if (ts.isBlock(node.body)) countStatement(node.body);
      else countValue(node.body);
    } else if (ts.isIfStatement(node)) {
      const no = node.elseStatement;
      countStatement(node.thenStatement, no === undefined ? ` else { ${hit()}; }` : '');
      if (no !== undefined && !ts.isIfStatement(no)) countStatement(no);
    } else if (ts.isConditionalExpression(node)) {
      countValue(node.whenTrue);
      countValue(node.whenFalse);
    } else if (ts.isBinaryExpression(node) && SHORT_CIRCUITS.has(node.operatorToken.kind)) {
      countValue(node.right);
    } else if (ts.isCaseOrDefaultClause(node)) {
      insert(node.statements.pos, ` ${hit()};`);
    } else if (ts.isCatchClause(node)) {
      countStatement(node.block);
    } else if (ts.isIterationStatement(node, false)) {
      countStatement(node.statement);
    }
    ts.forEachChild(node, (child) => {
      visit(child);
      for (const [closed, text] of closings) if (closed === child) insert(child.end, text);
    });
  };
  visit(file);

  let text = '';
  let from = 0;
  for (const { at, text: inserted } of insertions.toSorted((one, other) => one.at - other.at)) {
    text += source.slice(from, at) + inserted;
    from = at;
  }
  return { text: text + source.slice(from), count };
}

const SHORT_CIRCUITS = new Set([
  ts.SyntaxKind.AmpersandAmpersandToken,
  ts.SyntaxKind.BarBarToken,
  ts.SyntaxKind.QuestionQuestionToken,
]);

export function load(url, context, nextLoad) {
  if (!url.startsWith(sources) || !url.endsWith('.ts')) return nextLoad(url, context);
  const { text, count } = withCounters(readFileSync(fileURLToPath(url), 'utf8'));
  const name = JSON.stringify(url.slice(sources.length));
  const start =
    `import { hit as __hit, register as __register } from ${JSON.stringify(counters)};` +
    `const __first = __register(${name}, ${count});`;
  const { outputText } = ts.transpileModule(start + text, {
    fileName: fileURLToPath(url),
    compilerOptions: {
      module: ts.ModuleKind.ESNext,
      target: ts.ScriptTarget.ES2022,
      verbatimModuleSyntax: true,
      inlineSourceMap: true,
    },
  });
  return { format: 'module', source: outputText, shortCircuit: true };
}

// If only the older `register` exists, it loads this file again in its own thread.
const isLoadedAgain = import.meta.url.endsWith('?hooks');
// Node asks the last registered loader first, so this loader gets `src` before the one for all TypeScript.
if (!isLoadedAgain) await import('../support/typescript.mjs');
if (module.registerHooks) module.registerHooks({ load });
else if (!isLoadedAgain) module.register(`${import.meta.url}?hooks`);
