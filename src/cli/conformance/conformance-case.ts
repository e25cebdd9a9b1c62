/** One thing that PROTOCOL.md demands, and how it is put to the test. */
import type { Role, Subject } from './subject.js';

export interface ConformanceCase {
  /** Group and name: `malformed/M24`, `flow/obeys-opens`. */
  readonly id: string;
  /** What happens, and what comes of it, in one sentence. */
  readonly sentence: string;
  /** Clauses of PROTOCOL.md that it proves: `8.1` is [IC-8.1]. */
  readonly clauses: readonly string[];
  /** What the implementation under test must be; without it, either. */
  readonly role?: Role;
  /** @throws Mismatch, Skip */
  run(subject: Subject): Promise<void>;
}

export function groupOf({ id }: ConformanceCase): string {
  return id.slice(0, id.indexOf('/'));
}
