/** How long the suite waits. */

/** Milliseconds, for all cases of a run. */
export interface Waits {
  /** Until a reaction must have come. */
  readonly timeout: number;
  /**
   * Until a case judges that nothing came. A DEADLINE that must not pass before a handler runs has this length too.
   * An application may take half of it for a decision.
   */
  readonly patience: number;
}

export const DEFAULT_TIMEOUT = 6000;
/** PROTOCOL.md, appendix C, and `--help` say it too. */
export const DEFAULT_PATIENCE = 400;

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
