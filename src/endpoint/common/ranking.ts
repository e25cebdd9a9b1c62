/** Knows which of many groups is the largest. Each change by one member takes the same time, however many there are. */
export class Ranking<Group> {
  readonly #sizes = new Map<Group, number>();
  /** The groups of each size. */
  readonly #ranks: (Set<Group> | undefined)[] = [];
  #top = 0;

  /** One of the largest groups: the one that has had this size for the longest. Undefined if all are empty. */
  get largest(): Group | undefined {
    const [first] = this.#ranks[this.#top] ?? [];
    return first;
  }

  grow(group: Group): void {
    const size = this.sizeOf(group);
    this.#move(group, size, size + 1);
    this.#top = Math.max(this.#top, size + 1);
  }

  shrink(group: Group): void {
    const size = this.sizeOf(group);
    if (size === 0) return;
    this.#move(group, size, size - 1);
    // The group itself has the next lower size now, so this is one step at most.
    if (this.#ranks[this.#top]?.size === 0) this.#top -= 1;
  }

  sizeOf(group: Group): number {
    return this.#sizes.get(group) ?? 0;
  }

  #move(group: Group, from: number, to: number): void {
    this.#ranks[from]?.delete(group);
    if (to === 0) return void this.#sizes.delete(group);
    this.#sizes.set(group, to);
    (this.#ranks[to] ??= new Set()).add(group);
  }
}
