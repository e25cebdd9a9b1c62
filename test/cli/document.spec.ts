/** That the cases, the fixture and PROTOCOL.md speak of the same things. */
import { readFile } from 'node:fs/promises';
import { describe, expect, it } from '@jest/globals';
import { CASES, GROUPS } from '../../src/cli/conformance/cases/index.js';
import { COLUMNS, MATRIX } from '../../src/cli/conformance/cases/matrix.js';
import { groupOf } from '../../src/cli/conformance/conformance-case.js';
import { FIXTURE_LIMITS } from '../../src/cli/fixture/limits.js';

const protocol = await readFile(new URL('../../PROTOCOL.md', import.meta.url), 'utf8');
const appendix = protocol.slice(protocol.indexOf('\n## Appendix C'));

/** The rows of the table in appendix B. */
const ROWS = [...protocol.matchAll(/^\| (M\d+) \| (.*) \| (.*) \|$/gm)].map(
  ([, number = '', input = '', reaction = '']) => ({ number, input, reaction }),
);
/** Rows whose reaction no peer can observe. Appendix B says why. */
const NOT_OBSERVABLE = ['M84'];

describe('The conformance cases', () => {
  it('have names of their own, in a known group', () => {
    const names = CASES.map(({ id }) => id);

    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
    expect(new Set(CASES.map(groupOf))).toEqual(new Set(GROUPS));
  });

  it('prove clauses that there are', () => {
    const clauses = new Set([...protocol.matchAll(/\[IC-(\d+\.\d+)\]/g)].map(([, each]) => each));

    const strange = CASES.flatMap((each) => each.clauses).filter((each) => !clauses.has(each));
    expect(new Set(strange)).toEqual(new Set());
    expect(CASES.filter((each) => each.clauses.length === 0)).toEqual([]);
  });

  it('have the reactions of the matrix in §7.9', () => {
    const heading = `| frame | ${COLUMNS.join(' | ')} |`;
    const start = protocol.indexOf(heading);
    expect(start).toBeGreaterThan(0);
    const [rows = ''] = protocol.slice(start).split('\n\n', 1);
    const documented = rows
      .split('\n')
      .slice(2)
      .map((row) => row.slice(2, -2).split(' | '));

    // No session of the fixture sends a request stream.
    const shown = documented.filter(([row]) => row !== 'CREDIT with REPLY, with STREAM on SEND');
    expect(MATRIX.map(({ row, reactions }) => [row, ...reactions])).toEqual(shown);
    expect(shown).toHaveLength(documented.length - 1);
  });

  it('have a case for each row of appendix B, and for no other number', () => {
    const numbers = [...new Set(ROWS.map(({ number }) => number))];
    const named = new Set(CASES.flatMap(({ id }) => /^malformed\/(M\d+)/.exec(id)?.[1] ?? []));

    expect(numbers.filter((each) => !named.has(each))).toEqual(NOT_OBSERVABLE);
    expect([...named].filter((each) => !numbers.includes(each))).toEqual([]);
  });
});

describe('Appendix B', () => {
  it('describes each input in sentences, and each reaction without alternatives', () => {
    const isSentence = /^(?:[A-Z]|bodyLen|metaLen)[^;]* [^;]*\.$/;

    expect(ROWS.length).toBeGreaterThan(100);
    expect(ROWS.filter(({ input }) => !isSentence.test(input))).toEqual([]);
    expect(ROWS.filter(({ reaction }) => /\); [A-Z]+\(/.test(reaction))).toEqual([]);
  });

  it('says which rows have no case, and why', () => {
    const [exceptions = ''] = /^Each number has a conformance case .*?\n\n/ms.exec(protocol) ?? [];

    for (const each of NOT_OBSERVABLE) {
      expect(exceptions).toMatch(new RegExp(`except\\b[^.]*\\b${each}\\b`));
      expect(exceptions).toMatch(new RegExp(`no case can [^.]*\\b${each}\\b`));
    }
  });
});

describe('Appendix C', () => {
  it('describes every session of the fixture, and no other', async () => {
    const source = await readFile(
      new URL('../../src/cli/fixture/sessions.ts', import.meta.url),
      'utf8',
    );

    const documented = [...appendix.matchAll(/^\| `(t\.\w+)` \|/gm)].map(([, name = '']) => name);
    const served = [...source.matchAll(/'(t\.\w+)'/g)].map(([, name = '']) => name);
    expect(documented.toSorted()).toEqual(
      [...new Set(served)].filter((name) => name !== 't.back').toSorted(),
    );
  });

  it('has the limits of the fixture', () => {
    const { handshakeTimeout, idleTimeout, maxMessageSize } = FIXTURE_LIMITS;
    const { maxSessions, connectionWindow, maxUnsettled, sessionWindow } = FIXTURE_LIMITS;

    for (const row of [
      `| handshake timeout | ${handshakeTimeout} ms |`,
      `| IDLE | ${idleTimeout} ms |`,
      `| MAX_MESSAGE | ${maxMessageSize} |`,
      `| CONNECTION_CREDIT | ${maxSessions} opens, ${connectionWindow} octets |`,
      `| SESSION_CREDIT | ${maxUnsettled} messages, ${sessionWindow} octets |`,
    ]) {
      expect(appendix).toContain(row);
    }
  });
});
