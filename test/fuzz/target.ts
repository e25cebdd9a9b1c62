import type { Random } from '../support/random.js';
import type { Input } from './input.js';
import type { MutatorOptions } from './mutator.js';

export interface Target {
  readonly name: string;
  readonly mutator: MutatorOptions;
  /** The first inputs. */
  seeds(random: Random): Input[];
  /**
   * Runs an input. Returns whether the machine can go on after it. A broken rule, for example, ends the machine.
   * @throws Error of any kind if the code under test is at fault
   */
  run(input: Input): boolean;
}
