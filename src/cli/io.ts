/** Where a command writes. A test passes its own. */
export interface Output {
  /** Results, in whole lines. */
  readonly out: (text: string) => void;
  /** What went wrong, in whole lines. */
  readonly error: (text: string) => void;
}
