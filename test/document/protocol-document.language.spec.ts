/** How PROTOCOL.md says what it says: citations, permissions, notes, and diagrams that show what its tables say. */
import { describe, expect, it } from '@jest/globals';
import {
  blocksMarked,
  blocksOf,
  sectionFrom,
  tableIn,
  text,
} from '../support/protocol-document.js';

const prose = text.replaceAll(/^```[\s\S]*?^```$/gm, '').replaceAll(/`[^`]*`/g, '');
const notes = blocksOf(prose).filter((block) => block.startsWith('Note:'));

describe('The words of PROTOCOL.md', () => {
  it('cite sections as § and clauses as IC, so that no number can be taken for another', () => {
    const bare = prose
      .split('\n')
      .filter((line) => !line.startsWith('#'))
      .flatMap((line) => [...line.matchAll(/(?<![\w.§-])(?:\d{1,2}|[A-C])\.\d{1,2}\b(?![.\d])/g)]);

    const allowed = bare.filter(([number]) => !/^[AC]\.\d/.test(number));
    expect(allowed.map(([number]) => number)).toEqual([]);
    expect(prose).not.toMatch(/(?<!§8 is )chapters? \d/i);
  });

  it('cite sections that there are', () => {
    const headings = new Set(
      [...text.matchAll(/^##+ (?:Appendix )?([A-C\d]+(?:\.\d+)?)/gm)].map(([, number]) => number),
    );
    const cited = [...prose.matchAll(/§([A-C]?\d*(?:\.\d+)?)/g)].map(([, number]) => number);

    expect(cited.filter((number) => number !== '' && !headings.has(number))).toEqual([]);
    expect(cited.length).toBeGreaterThan(100);
  });

  it('say MAY, MUST and SHOULD in capitals, or use other words', () => {
    const small = blocksOf(prose).filter((block) => /\b(?:may|must|should|shall)\b/.test(block));

    expect(small).toEqual([]);
  });

  it('tell of the implementation of this package in notes, which demand nothing', () => {
    expect(notes.filter((note) => /\b(?:MUST|SHOULD|MAY)\b/.test(note))).toEqual([]);
    expect(notes.length).toBeGreaterThan(5);
    const normative = blocksOf(prose.slice(0, prose.indexOf('## Appendix A')))
      .filter((block) => !block.startsWith('Note:'))
      .filter((block) => /\bthis implementation\b|implementation of this package/.test(block));
    // The note about notes.
    expect(normative).toHaveLength(1);
  });
});

describe('The diagrams of chapter 7', () => {
  const sections = sectionFrom('## 7.').split(/^(?=### )/m);
  const drawn = sections.flatMap((section) => {
    const [heading = ''] = section.split('\n');
    return section
      .split(/^(?=```mermaid$)/m)
      .slice(1)
      .map((part, at): [string, string] => [`${heading.slice(4)} (${at + 1})`, part]);
  });

  it.each(drawn)('%s: shows the steps of its table', (_name, part) => {
    const [diagram = ''] = blocksMarked('mermaid', part);
    const shown = [...diagram.matchAll(/^ {2}(\S+) --> (\S+): \S/gm)].map(
      ([, from, to]) => `${from} → ${to}`,
    );

    const steps = new Set(tableIn('| state | event |', part).flatMap(stepsOf));
    expect(shown.toSorted()).toEqual([...steps].toSorted());
  });

  it('stand beside every table of states', () => {
    expect(drawn).toHaveLength(sectionFrom('## 7.').match(/^\| state \| event \|/gm)?.length ?? 0);
  });
});

/** The steps of one row of a table of states. */
function stepsOf([state = '', , , next = '']: string[]): string[] {
  if (state.startsWith('every state')) return [];
  const from = state.split(', ').map((each) => (each === '–' ? '[*]' : each));
  const to = next.split('; ').flatMap((each) => /^[A-Z]+/.exec(each) ?? []);
  return from.flatMap((one) => to.filter((two) => two !== one).map((two) => `${one} → ${two}`));
}
