/** How a case ends that does not pass. */
import { type Code, codeName } from '../../wire/index.js';

/** The implementation under test did something else than PROTOCOL.md demands. */
export class Mismatch extends Error {
  readonly expected: string;
  readonly actual: string;

  constructor(expected: string, actual: string) {
    super(`expected ${expected}; actual: ${actual}`);
    this.expected = expected;
    this.actual = actual;
  }
}

/** The case does not apply to the implementation under test; the message says why. */
export class Skip extends Error {}

/** @throws Mismatch unless `holds`. */
export function demand(holds: boolean, expected: string, actual: string | number): asserts holds {
  if (!holds) throw new Mismatch(expected, String(actual));
}

/** @throws Mismatch unless the code is the one demanded. */
export function demandCode(
  what: string,
  code: number | undefined,
  ...demanded: (typeof Code)[keyof typeof Code][]
): void {
  const names = demanded.map(codeName).join(' or ');
  const holds = demanded.some((each) => each === code);
  demand(holds, `${what}(${names})`, `${what}(${code === undefined ? 'no code' : codeName(code)})`);
}
