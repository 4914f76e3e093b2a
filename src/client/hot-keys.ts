import { encodeHotReads, type FamilyReads } from '../protocol/hot-key.ts';
import type { Clock } from '../runtime/clock.ts';
import { SpaceSaving } from './space-saving.ts';

/** Where the reports go. Throws as `CacheStore` does, also past the deadline. */
export interface HotReadsSink {
  /** Appends what is told at one time: one report, or a few where it is much. */
  append(reports: readonly string[]): Promise<void>;
}

/** Counters a family. */
const COUNTERS = 1000;
/** Keys of a family in the reports of a whole fleet, and in one at least and at most: what few processes read few can tell of, and many tell enough. */
const FLEET_TOP_KEYS = 4000;
const TOP_KEYS = { min: 100, max: 1000 };
const REPORT_EVERY_MS = 5000;
/** After a report that failed: a Redis that is away, or frozen, is not to find many of them. */
const AFTER_FAILURE_MS = 30_000;
/** Samples of a family between two reports that are aimed at, and those after which its sampling is halved. */
const SAMPLES_AIM = 1000;
const SAMPLES_MAX = 1000;
/** Loads whose cost is remembered, a family. */
const COSTS = 1000;

interface Cost {
  readonly loadMs: number;
  readonly bytes: number;
}

/**
 * Counts a sample of the reads of one family. How many reads are passed over to the next sample is drawn from the geometric distribution, so that each read has
 * the same chance whatever the pattern, and all but the samples cost a decrement.
 */
export class HotKeySampler {
  readonly #random: () => number;
  readonly #sketch = new SpaceSaving(COUNTERS);
  readonly #costs = new Map<string, Cost>();
  /** One read of so many is a sample, on the average, and counts for as many. */
  #every = 1;
  #left = 1;
  #samples = 0;

  constructor(random: () => number) {
    this.#random = random;
  }

  read(key: string): void {
    this.#left -= 1;
    if (this.#left === 0) this.#sample(key);
  }

  /** What a load has cost, and its payload's length. */
  loaded(key: string, loadMs: number, bytes: number): void {
    // The oldest goes first, and what is loaded again is as new.
    this.#costs.delete(key);
    if (this.#costs.size >= COSTS) this.#costs.delete(this.#costs.keys().next().value ?? '');
    this.#costs.set(key, { loadMs, bytes });
  }

  /** What was read since the last report, of so many keys at most; undefined where nothing was seen. */
  report(keysMax: number): FamilyReads | undefined {
    const reads = this.#sketch.total;
    const keys = this.#sketch.top(keysMax).map(({ key, count, error }) => {
      const { loadMs, bytes } = this.#costs.get(key) ?? { loadMs: 0, bytes: 0 };
      // Of a key that took another's counter only what came after is its own.
      return { key, reads: count - error, loadMs, bytes };
    });
    this.#sketch.clear();
    this.#every = Math.max(1, Math.round(reads / SAMPLES_AIM));
    this.#samples = 0;
    this.#left = this.#next();
    return reads === 0 ? undefined : { reads, keys };
  }

  #sample(key: string): void {
    this.#sketch.add(key, this.#every);
    this.#samples += 1;
    if (this.#samples >= SAMPLES_MAX) {
      this.#samples = 0;
      this.#every *= 2;
    }
    this.#left = this.#next();
  }

  #next(): number {
    if (this.#every === 1) return 1;
    // A small whole number, which costs no more to count down than it must.
    return (1 + Math.log(1 - this.#random()) / Math.log(1 - 1 / this.#every)) | 0;
  }
}

export interface HotKeysParts {
  readonly sink: HotReadsSink;
  readonly process: string;
  readonly clock: Clock;
  readonly random: () => number;
  /** Processes that share the region's cache. */
  readonly fleet: () => number;
  /** Whether Redis seems not to be there: then nothing is sent. */
  readonly isAway: () => boolean;
}

/** What the families of a cache read most, told to the region every few seconds. Nobody waits for it, and nothing fails with it. */
export class HotKeys {
  readonly #parts: HotKeysParts;
  readonly #samplers = new Map<string, HotKeySampler>();

  constructor(parts: HotKeysParts) {
    this.#parts = parts;
  }

  of(family: string): HotKeySampler {
    const known = this.#samplers.get(family);
    if (known !== undefined) return known;
    const sampler = new HotKeySampler(this.#parts.random);
    this.#samplers.set(family, sampler);
    return sampler;
  }

  /** Reports until the signal, and once more at the end. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#parts;
    let sinceMs = clock.monotonicMs();
    let isFine = true;
    while (!signal.aborted) {
      // Not all processes of a fleet in one moment.
      await clock.sleep((isFine ? REPORT_EVERY_MS : AFTER_FAILURE_MS) * (0.9 + random() / 5), signal);
      if (signal.aborted && !isFine) return;
      const nowMs = clock.monotonicMs();
      isFine = await this.#report((nowMs - sinceMs) / 1000);
      sinceMs = nowMs;
    }
  }

  async #report(seconds: number): Promise<boolean> {
    const { sink, process, fleet, isAway } = this.#parts;
    const keysMax = Math.max(TOP_KEYS.min, Math.min(TOP_KEYS.max, Math.floor(FLEET_TOP_KEYS / fleet())));
    const families = new Map<string, FamilyReads>();
    for (const [family, sampler] of this.#samplers) {
      const reads = sampler.report(keysMax);
      if (reads !== undefined) families.set(family, reads);
    }
    if (families.size === 0 || isAway()) return true;
    return sink.append(encodeHotReads({ process, seconds, families })).then(
      () => true,
      () => false,
    );
  }
}
