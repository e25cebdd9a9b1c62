/** The outputs of a command. A test passes its own. */
export interface Output {
  /** Results, in whole lines. */
  readonly out: (text: string) => void;
  /** Error messages, in whole lines. */
  readonly error: (text: string) => void;
}
