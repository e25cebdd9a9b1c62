/** Results for programs. */
import { type ConformanceCase, groupOf } from '../conformance-case.js';
import { type CaseResult, tallyOf } from '../runner.js';
import type { Role } from '../subject.js';
import { clausesOf, visible } from './text.js';

/** One JSON document: who was tested, the counts, and every case with its outcome. */
export function toJson(results: readonly CaseResult[], role: Role, version: string): string {
  const cases = results.map(({ case: each, ...result }) => ({ ...describe(each), ...result }));
  return JSON.stringify({ version, role, ...tallyOf(results), cases }, shown, 2);
}

/** One JSON document: the cases, not run. */
export function listToJson(cases: readonly ConformanceCase[], role: Role, version: string): string {
  return JSON.stringify({ version, role, cases: cases.map(describe) }, undefined, 2);
}

/** A terminal may show the document, too. */
function shown(_key: string, value: unknown): unknown {
  return typeof value === 'string' ? visible(value) : value;
}

function describe(each: ConformanceCase): Record<string, unknown> {
  const { id, sentence } = each;
  return { id, group: groupOf(each), sentence, clauses: clausesOf(each) };
}
