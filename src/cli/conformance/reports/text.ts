/** Results as text, for people. Each result is printed as soon as it is there. */
import { printable } from '../../../wire/index.js';
import { type ConformanceCase, groupOf } from '../conformance-case.js';
import type { CaseResult, Tally } from '../runner.js';

const MARKS = { passed: '✓', failed: '✗', skipped: '–' } as const;

/** Prints results in the order of the cases, each group under its name. */
export class TextReport {
  readonly #write: (line: string) => void;
  #group = '';

  constructor(write: (line: string) => void) {
    this.#write = write;
  }

  onResult(result: CaseResult): void {
    this.#onGroup(result.case);
    const { id, sentence } = result.case;
    this.#write(`  ${MARKS[result.outcome]} ${id}  ${sentence}`);
    if (result.outcome === 'skipped') this.#write(`      skipped: ${visible(result.reason)}`);
    if (result.outcome !== 'failed') return;
    this.#write(`      clauses:  ${clausesOf(result.case).join(' ')}`);
    this.#write(`      expected: ${visible(result.expected)}`);
    this.#write(`      actual:   ${visible(result.actual)}`);
  }

  /** The closing line. */
  onEnd({ passed, failed, skipped }: Tally): void {
    this.#write('');
    this.#write(`${passed} passed, ${failed} failed, ${skipped} skipped`);
  }

  /** The list of the cases, without outcomes. */
  list(cases: readonly ConformanceCase[]): void {
    for (const each of cases) {
      this.#onGroup(each);
      this.#write(`  ${each.id}  ${each.sentence}  [${clausesOf(each).join(' ')}]`);
    }
    this.#write('');
    this.#write(`${cases.length} cases`);
  }

  #onGroup(each: ConformanceCase): void {
    const group = groupOf(each);
    if (group === this.#group) return;
    if (this.#group !== '') this.#write('');
    this.#write(group);
    this.#group = group;
  }
}

/** Clauses in the form that PROTOCOL.md uses. */
export function clausesOf({ clauses }: ConformanceCase): string[] {
  return clauses.map((clause) => `IC-${clause}`);
}

/** Escapes control characters: text from the implementation under test could send commands to the terminal. */
export function visible(text: string): string {
  return printable(text, MAX_SHOWN);
}

/** Characters. This length has room for the last frames of a conversation. */
const MAX_SHOWN = 16_384;
