/** The times for which the suite waits. */

/** Milliseconds. All cases of a run share these times. */
export interface Waits {
  /** The time within which a reaction must come. */
  readonly timeout: number;
  /**
   * The time after which a case judges that no frame came. If a DEADLINE must not pass before a handler runs, the
   * case uses this time as the DEADLINE. An application may take half of this time for a decision.
   */
  readonly patience: number;
}

export const DEFAULT_TIMEOUT = 6000;
/** PROTOCOL.md (appendix C) and `--help` name these values too. */
export const DEFAULT_PATIENCE = 400;

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
