import type { Random } from '../support/random.js';
import type { Input } from './input.js';
import type { MutatorOptions } from './mutator.js';

export interface Target {
  readonly name: string;
  readonly mutator: MutatorOptions;
  /** Inputs to begin with. */
  seeds(random: Random): Input[];
  /**
   * Runs an input. Whether more of it would still have been of use: false where it broke a rule, say.
   * @throws Error, of any kind, where the code under test is at fault.
   */
  run(input: Input): boolean;
}
