/** Results for people, as they come. */
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

/** The other side's words may hold what a terminal obeys. */
export function visible(text: string): string {
  // eslint-disable-next-line no-control-regex -- these are what is looked for
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/gu, '?');
}
