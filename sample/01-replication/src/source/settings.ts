/** The settings of this run, for all parts of the source. */
export interface SourceSettings {
  /** Real path of the folder to replicate. */
  readonly folder: string;
  /** Whether to remove entries from the target that the source does not have. */
  readonly deleteExtraneous: boolean;
  /** Aborts if the run must end early. Its reason says why: Ctrl-C, or the replica died. */
  readonly signal: AbortSignal;
}

export const SETTINGS = Symbol('SETTINGS');
