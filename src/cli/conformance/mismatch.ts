/** The ways in which a case ends without passing. */
import { type Code, codeName } from '../../wire/index.js';

/** The implementation under test did not do what PROTOCOL.md demands. */
export class Mismatch extends Error {
  readonly expected: string;
  readonly actual: string;

  constructor(expected: string, actual: string) {
    super(`expected ${expected}; actual: ${actual}`);
    this.expected = expected;
    this.actual = actual;
  }
}

/** The case does not apply to the implementation under test. The message says why. */
export class Skip extends Error {}

/** @throws Mismatch unless `holds`. */
export function demand(holds: boolean, expected: string, actual: string | number): asserts holds {
  if (!holds) throw new Mismatch(expected, String(actual));
}

/** @throws Mismatch unless the code is the demanded one. */
export function demandCode(
  what: string,
  code: number | undefined,
  ...demanded: (typeof Code)[keyof typeof Code][]
): void {
  const names = demanded.map(codeName).join(' or ');
  const holds = demanded.some((each) => each === code);
  demand(holds, `${what}(${names})`, `${what}(${code === undefined ? 'no code' : codeName(code)})`);
}
