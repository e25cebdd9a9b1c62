/** Results for people, as they come. */
import { printable } from '../../../wire/index.js';
import { type ConformanceCase, groupOf } from '../conformance-case.js';
import type { CaseResult, Tally } from '../runner.js';

const MARKS = { passed: '✓', failed: '✗', skipped: '–' } as const;

/** Prints results in their order, each group under its name. */
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

  /** What there is, without running it. */
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

/** As PROTOCOL.md numbers them. */
export function clausesOf({ clauses }: ConformanceCase): string[] {
  return clauses.map((clause) => `IC-${clause}`);
}

/** What an implementation under test said may steer a terminal. */
export function visible(text: string): string {
  return printable(text, MAX_SHOWN);
}

/** Characters: the last frames of a conversation fit. */
const MAX_SHOWN = 16_384;
