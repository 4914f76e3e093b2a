export interface Counted {
  readonly key: string;
  /** At least what was truly added, and at most that and `error`. */
  readonly count: number;
  readonly error: number;
}

/**
 * The most frequent of a stream, in a fixed number of counters: Space-Saving (Metwally, Agrawal, El Abbadi, "Efficient Computation of Frequent and Top-k
 * Elements in Data Streams", ICDT 2005). A key without a counter takes that of the lowest, and its count as its own error.
 *
 * Promise, with N added to k counters: a key with more than N/k is held; no count is below the truth, and none above it by more than N/k. The
 * counters stand in a heap, the lowest on top: one addition costs the logarithm of k at most.
 */
export class SpaceSaving {
  readonly #capacity: number;
  readonly #slots = new Map<string, number>();
  readonly #keys: string[] = [];
  readonly #counts: Float64Array;
  readonly #errors: Float64Array;
  /** Slots, each not above its children. */
  readonly #heap: Int32Array;
  readonly #placeOf: Int32Array;
  #total = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
    this.#counts = new Float64Array(capacity);
    this.#errors = new Float64Array(capacity);
    this.#heap = new Int32Array(capacity);
    this.#placeOf = new Int32Array(capacity);
  }

  /** N: the weights of all that was added. */
  get total(): number {
    return this.#total;
  }

  get size(): number {
    return this.#keys.length;
  }

  add(key: string, weight = 1): void {
    this.#total += weight;
    const known = this.#slots.get(key);
    if (known !== undefined) return this.#raise(known, weight);
    if (this.#keys.length < this.#capacity) return this.#enter(key, weight);
    const lowest = this.#heap[0] ?? 0;
    this.#slots.delete(this.#keys[lowest] ?? '');
    this.#slots.set(key, lowest);
    this.#keys[lowest] = key;
    this.#errors[lowest] = this.#counts[lowest] ?? 0;
    this.#raise(lowest, weight);
  }

  /** Those with the most that they are known to have, hottest first. */
  top(limit: number): Counted[] {
    const all = this.#keys.map((key, slot) => ({
      key,
      count: this.#counts[slot] ?? 0,
      error: this.#errors[slot] ?? 0,
    }));
    return all.toSorted((a, b) => b.count - b.error - (a.count - a.error)).slice(0, limit);
  }

  clear(): void {
    this.#slots.clear();
    this.#keys.length = 0;
    this.#total = 0;
  }

  #enter(key: string, weight: number): void {
    const slot = this.#keys.length;
    this.#keys.push(key);
    this.#slots.set(key, slot);
    this.#counts[slot] = weight;
    this.#errors[slot] = 0;
    let place = slot;
    for (;;) {
      const parent = (place - 1) >> 1;
      if (place === 0 || this.#countAt(parent) <= weight) break;
      this.#put(place, this.#heap[parent] ?? 0);
      place = parent;
    }
    this.#put(place, slot);
  }

  #raise(slot: number, weight: number): void {
    const count = (this.#counts[slot] ?? 0) + weight;
    this.#counts[slot] = count;
    let place = this.#placeOf[slot] ?? 0;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= this.#keys.length) break;
      if (child + 1 < this.#keys.length && this.#countAt(child + 1) < this.#countAt(child)) child += 1;
      if (this.#countAt(child) >= count) break;
      this.#put(place, this.#heap[child] ?? 0);
      place = child;
    }
    this.#put(place, slot);
  }

  #countAt(place: number): number {
    return this.#counts[this.#heap[place] ?? 0] ?? 0;
  }

  #put(place: number, slot: number): void {
    this.#heap[place] = slot;
    this.#placeOf[slot] = place;
  }
}
