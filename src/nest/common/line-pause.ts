/** The pause after a line of a log, within which further lines of its kind are left out and counted. */
export class LinePause {
  /** Milliseconds. */
  length: number;
  /** Lines that were left out since the last one that was printed. */
  leftOut = 0;
  private readonly longest: number;

  /** @param shortest The first pause, in milliseconds. */
  constructor(shortest: number, longest: number) {
    this.length = shortest;
    this.longest = longest;
  }

  /** Makes the pause twice as long, up to the longest. */
  lengthen(): void {
    this.length = Math.min(this.longest, this.length * 2);
  }

  /** The line, with the number of those that were left out. They are then no longer counted. */
  withCount(line: string): string {
    const { leftOut } = this;
    this.leftOut = 0;
    if (leftOut === 0) return line;
    const times = leftOut === 1 ? 'once more' : `${leftOut} more times`;
    return `${line} (${times} since the last such line)`;
  }
}
