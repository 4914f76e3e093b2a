export interface LatencySummary {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** All latencies of a run, in milliseconds. A demo of a minute has some tens of thousands, so each is kept. */
export class Latencies {
  #values: number[] = [];
  #isSorted = true;

  add(ms: number): void {
    this.#values.push(ms);
    this.#isSorted = false;
  }

  get count(): number {
    return this.#values.length;
  }

  /** Nearest-rank percentiles, to a hundredth of a millisecond; null before the first value. */
  summary(): LatencySummary | null {
    if (this.#values.length === 0) return null;
    if (!this.#isSorted) this.#values.sort((a, b) => a - b);
    this.#isSorted = true;
    return { p50: this.#rank(0.5), p99: this.#rank(0.99), p999: this.#rank(0.999), max: this.#rank(1) };
  }

  static merged(all: Iterable<Latencies>): Latencies {
    const merged = new Latencies();
    for (const one of all) for (const ms of one.#values) merged.add(ms);
    return merged;
  }

  #rank(quantile: number): number {
    const index = Math.max(0, Math.ceil(quantile * this.#values.length) - 1);
    return Math.round((this.#values[index] ?? 0) * 100) / 100;
  }
}
