/** One demand of PROTOCOL.md, and the conversation that tests it. */
import type { Role, Subject } from './subject.js';

export interface ConformanceCase {
  /** Group and name: `malformed/M24`, `flow/obeys-opens`. */
  readonly id: string;
  /** One sentence: the situation, and the reaction that PROTOCOL.md demands. */
  readonly sentence: string;
  /** The clauses of PROTOCOL.md that the case proves: `8.1` stands for [IC-8.1]. */
  readonly clauses: readonly string[];
  /** The role that the implementation under test must have. If it is absent, the case tests both roles. */
  readonly role?: Role;
  /** @throws Mismatch, Skip */
  run(subject: Subject): Promise<void>;
}

export function groupOf({ id }: ConformanceCase): string {
  return id.slice(0, id.indexOf('/'));
}
