/** What the parts of the source need to know about this run. */
export interface SourceSettings {
  /** Real path of the folder to replicate. */
  readonly folder: string;
  /** Remove from the target what the source does not have. */
  readonly deleteExtraneous: boolean;
  /** Ends the run before its time: Ctrl-C, or the replica died. Its reason says why. */
  readonly signal: AbortSignal;
}

export const SETTINGS = Symbol('SETTINGS');
