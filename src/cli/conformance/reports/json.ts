/** Results as JSON, for programs. */
import { type ConformanceCase, groupOf } from '../conformance-case.js';
import { type CaseResult, tallyOf } from '../runner.js';
import type { Role } from '../subject.js';
import { clausesOf, visible } from './text.js';

/** One JSON document: the tested implementation, the counts, and each case with its outcome. */
export function toJson(results: readonly CaseResult[], role: Role, version: string): string {
  const cases = results.map(({ case: each, ...result }) => ({ ...describe(each), ...result }));
  return JSON.stringify({ version, role, ...tallyOf(results), cases }, shown, 2);
}

/** One JSON document: the list of the cases, without outcomes. */
export function listToJson(cases: readonly ConformanceCase[], role: Role, version: string): string {
  return JSON.stringify({ version, role, cases: cases.map(describe) }, undefined, 2);
}

/** Escapes control characters, because a terminal may show the document. */
function shown(_key: string, value: unknown): unknown {
  return typeof value === 'string' ? visible(value) : value;
}

function describe(each: ConformanceCase): Record<string, unknown> {
  const { id, sentence } = each;
  return { id, group: groupOf(each), sentence, clauses: clausesOf(each) };
}
