/** A source of items that counts the items asked for, and how often a consumer has ended it. */
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
