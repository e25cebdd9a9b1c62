/** Results as JUnit XML, for continuous integration. */
import { groupOf } from '../conformance-case.js';
import { type CaseResult, tallyOf } from '../runner.js';
import { clausesOf, visible } from './text.js';

/** One test suite for each group, one test case for each case. */
export function toJunit(results: readonly CaseResult[]): string {
  const groups = [...new Set(results.map(({ case: each }) => groupOf(each)))];
  const suites = groups.map((group) =>
    suiteOf(
      group,
      results.filter(({ case: each }) => groupOf(each) === group),
    ),
  );
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="interconnect conformance" ${countsOf(results)}>`,
    ...suites,
    '</testsuites>',
    '',
  ].join('\n');
}

function suiteOf(group: string, results: readonly CaseResult[]): string {
  return [
    `  <testsuite name="${quoted(group)}" ${countsOf(results)}>`,
    ...results.map(testCaseOf),
    '  </testsuite>',
  ].join('\n');
}

function countsOf(results: readonly CaseResult[]): string {
  const { failed, skipped } = tallyOf(results);
  const seconds = results.reduce((sum, { milliseconds }) => sum + milliseconds, 0) / 1000;
  return `tests="${results.length}" failures="${failed}" skipped="${skipped}" time="${seconds.toFixed(3)}"`;
}

function testCaseOf(result: CaseResult): string {
  const { id, sentence } = result.case;
  const name = quoted(`${id}: ${sentence}`);
  const time = (result.milliseconds / 1000).toFixed(3);
  const head = `    <testcase classname="${quoted(groupOf(result.case))}" name="${name}" time="${time}"`;
  switch (result.outcome) {
    case 'passed':
      return `${head}/>`;
    case 'skipped':
      return `${head}><skipped message="${quoted(result.reason)}"/></testcase>`;
    case 'failed': {
      const message = quoted(`expected ${result.expected}; actual: ${result.actual}`);
      const text = quoted(clausesOf(result.case).join(' '));
      return `${head}><failure message="${message}">${text}</failure></testcase>`;
    }
  }
}

function quoted(text: string): string {
  return visible(text)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
