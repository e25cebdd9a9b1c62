/** Which cases were asked for. */
import { UsageError } from '../usage-error.js';
import { GROUPS } from './cases/index.js';
import { type ConformanceCase, groupOf } from './conformance-case.js';

/**
 * The cases of the groups and with the names that were given; all of them where none was. A name may
 * leave out the group (`M24`), and the letter behind a number (`malformed/M10` is M10.a, M10.b …).
 * @throws UsageError for a group or a name that there is not
 */
export function selectCases(
  cases: readonly ConformanceCase[],
  groups: readonly string[],
  names: readonly string[],
): readonly ConformanceCase[] {
  const known: readonly string[] = GROUPS;
  for (const group of groups) {
    if (!known.includes(group)) {
      throw new UsageError(`There is no group "${group}": give one of ${GROUPS.join(', ')}.`);
    }
  }
  for (const name of names) {
    if (!cases.some((each) => isNamed(each, name))) {
      throw new UsageError(`There is no case "${name}" for this direction: --list shows them all.`);
    }
  }
  if (groups.length + names.length === 0) return cases;
  return cases.filter(
    (each) => groups.includes(groupOf(each)) || names.some((name) => isNamed(each, name)),
  );
}

function isNamed({ id }: ConformanceCase, name: string): boolean {
  const own = name.includes('/') ? id : id.slice(id.indexOf('/') + 1);
  return own === name || own.startsWith(`${name}.`);
}
