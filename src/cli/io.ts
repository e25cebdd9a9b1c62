/** The outputs of a command. A test passes functions of its own. */
export interface Output {
  /** Prints results: one or several whole lines, without the last line feed. */
  readonly out: (text: string) => void;
  /** Prints error messages: one or several whole lines, without the last line feed. */
  readonly error: (text: string) => void;
}
