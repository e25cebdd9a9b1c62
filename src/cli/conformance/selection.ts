/** Selects the cases that the options ask for. */
import { UsageError } from '../usage-error.js';
import { GROUPS } from './cases/index.js';
import { type ConformanceCase, groupOf } from './conformance-case.js';

/**
 * Returns the cases of the given groups and with the given names. Without groups and names, returns all cases. A name
 * may leave out the group (`M24`). It may also leave out the letter after the number: `malformed/M10` selects M10.a,
 * M10.b and so on.
 * @throws UsageError if a group or a name does not exist
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
