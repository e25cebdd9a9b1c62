/** Counts what is asked of it, and whether it was ended. */
export class CountedSource {
  asked = 0;
  returned = 0;
  async *items(count = Infinity): AsyncGenerator<Buffer> {
    try {
      while (this.asked < count) {
        this.asked += 1;
        yield Buffer.from(`${this.asked}`);
      }
    } finally {
      this.returned += 1;
    }
  }
}
