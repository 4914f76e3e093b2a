/** Keys remembered; a read in flight for longer than so many invalidations brings nothing in. */
const KEYS_MAX = 10_000;

/** Counts what is heard, and remembers of which keys the last of it was. What is forgotten counts as heard of every key. */
export class Heard {
  readonly #byKey = new Map<string, number>();
  #count = 0;
  #forgotten = 0;

  get count(): number {
    return this.#count;
  }

  /** One more, of no key in particular. */
  next(): number {
    this.#count += 1;
    return this.#count;
  }

  of(key: string): void {
    // Anew, so that the map is in the order of the count.
    this.#byKey.delete(key);
    this.#byKey.set(key, this.next());
    if (this.#byKey.size <= KEYS_MAX) return;
    for (const [oldest, at] of this.#byKey) {
      this.#byKey.delete(oldest);
      this.#forgotten = at;
      break;
    }
  }

  hasSince(key: string, count: number): boolean {
    return count < this.#forgotten || (this.#byKey.get(key) ?? 0) > count;
  }
}
