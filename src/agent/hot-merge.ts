import { HOT_BUCKETS, type HotBucket, hotBucketOf, type HotKey, type HotReads } from '../protocol/hot-key.ts';

/** After so long without a read a key counts half. */
export const HALF_LIFE_MS = 600_000;
/** A bucket is cut down to its limit when it is so much above. */
const SLACK = 1.1;
/** Of this many halvings a double still holds the half. */
const HALVINGS_MAX = 500;
/** So many buckets of a family, those with the hottest keys, are published often. */
const TOP_BUCKETS = 16;
/** Reads are told of after so long. */
const REPORT_MS = 5000;
/** As long as a whole bucket may stay unpublished, and, of the time for which reads are added up, which part: what is known of a new region changes much. */
const REPUBLISH_MS = 60_000;
const REPUBLISH_SHARE = 0.25;

interface Kept {
  /** Reads, each worth more the later it was ("forward decay": Cormode et al., ICDE 2009): nothing need be touched as time passes. */
  weight: number;
  loadMs: number;
  bytes: number;
}

interface Bucket {
  readonly keys: Map<string, Kept>;
  /** The weight of its hottest key. */
  hottest: number;
  isChanged: boolean;
  publishedAtMs: number;
}

/**
 * What a region's processes tell of their reads, added up, with exponential decay, and bounded. Its buckets are those that are published, and each is bounded
 * by itself: keys are spread over them by their hash, so that the hottest of each are all but the hottest of all. Times are those of one clock that never goes back.
 */
export class HotMerge {
  readonly #keysMax: number;
  readonly #families: ReadonlyMap<string, readonly Bucket[]>;
  #landmarkMs: number;
  /** Since when reads are added up: a rate is of no longer time. Minus infinity where it goes on from what was published. */
  #sinceMs: number;
  #addedAtMs = Number.NEGATIVE_INFINITY;

  constructor(families: Iterable<string>, keysMax: number, nowMs: number) {
    this.#keysMax = keysMax;
    this.#landmarkMs = nowMs;
    this.#sinceMs = nowMs - REPORT_MS;
    this.#families = new Map(
      [...families].map((family) => [
        family,
        Array.from({ length: HOT_BUCKETS }, () => ({
          keys: new Map<string, Kept>(),
          hottest: 0,
          isChanged: false,
          publishedAtMs: Number.NEGATIVE_INFINITY,
        })),
      ]),
    );
  }

  get keys(): number {
    let keys = 0;
    for (const buckets of this.#families.values()) for (const bucket of buckets) keys += bucket.keys.size;
    return keys;
  }

  keysOf(family: string): number {
    return (this.#families.get(family) ?? []).reduce((sum, { keys }) => sum + keys.size, 0);
  }

  /** Goes on from what was published: as if each key had been read at its rate all the time until then. */
  resume({ family, atMs, keys }: HotBucket, nowMs: number): void {
    this.#sinceMs = Number.NEGATIVE_INFINITY;
    for (const { key, readsPerSecond, loadMs, bytes } of keys) {
      const reads = (readsPerSecond * (HALF_LIFE_MS / 1000)) / Math.LN2;
      this.#add(family, key, reads * this.#worth(Math.min(atMs, nowMs)), loadMs, bytes);
    }
    // It stands there as it is.
    const bucket = keys[0] === undefined ? undefined : this.#families.get(family)?.[hotBucketOf(keys[0].key)];
    if (bucket === undefined) return;
    bucket.isChanged = false;
    bucket.publishedAtMs = nowMs;
  }

  /** Adds what one process has told. Families that the file does not have are passed over. */
  add({ families }: HotReads, nowMs: number): void {
    if ((nowMs - this.#landmarkMs) / HALF_LIFE_MS > HALVINGS_MAX) this.#rescale(nowMs);
    const worth = this.#worth(nowMs);
    this.#addedAtMs = nowMs;
    for (const [family, { keys }] of families)
      for (const { key, reads, loadMs, bytes } of keys) this.#add(family, key, reads * worth, loadMs, bytes);
  }

  /**
   * The buckets whose turn it is: those that have changed and were not published for a minute, if `withTop` those with the hottest keys, and those that have faded. They count as
   * published from now on, unless `unpublished` says otherwise. At most `limit` at a time: to sort them takes a while.
   */
  due(nowMs: number, withTop: boolean, limit = Number.POSITIVE_INFINITY): HotBucket[] {
    const due: HotBucket[] = [];
    for (const [family, buckets] of this.#families) {
      const top = withTop ? this.#topBuckets(buckets) : new Set<Bucket>();
      buckets.forEach((bucket, number) => {
        const isLate = nowMs - bucket.publishedAtMs >= this.#republishMs(number, nowMs);
        const isDue = bucket.isChanged ? isLate || top.has(bucket) : this.#hasFaded(bucket);
        if (due.length >= limit || !isDue) return;
        due.push({ family, bucket: number, atMs: nowMs, keys: this.#sorted(bucket, nowMs) });
        bucket.isChanged = false;
        bucket.publishedAtMs = nowMs;
      });
    }
    return due;
  }

  /** They could not be published: they are due again. */
  unpublished(buckets: readonly HotBucket[]): void {
    for (const { family, bucket } of buckets) {
      const one = this.#families.get(family)?.[bucket];
      if (one === undefined) continue;
      one.publishedAtMs = Number.NEGATIVE_INFINITY;
      one.isChanged = true;
    }
  }

  #add(family: string, key: string, weight: number, loadMs: number, bytes: number): void {
    const bucket = this.#families.get(family)?.[hotBucketOf(key)];
    if (bucket === undefined || weight <= 0) return;
    bucket.isChanged = true;
    const kept = bucket.keys.get(key);
    bucket.hottest = Math.max(bucket.hottest, (kept?.weight ?? 0) + weight);
    if (kept !== undefined) {
      kept.weight += weight;
      if (loadMs > 0) kept.loadMs = loadMs;
      if (bytes > 0) kept.bytes = bytes;
      return;
    }
    bucket.keys.set(key, { weight, loadMs, bytes });
    const limit = Math.max(1, Math.ceil(this.#keysMax / HOT_BUCKETS));
    if (bucket.keys.size <= limit * SLACK) return;
    const coldest = [...bucket.keys].toSorted(([, a], [, b]) => b.weight - a.weight).slice(limit);
    for (const [cold] of coldest) bucket.keys.delete(cold);
  }

  #sorted({ keys }: Bucket, nowMs: number): HotKey[] {
    // Of a key that is read at an even rate, this much of the sum that its reads would come to in the end has come together.
    const share = 1 - 2 ** ((this.#sinceMs - nowMs) / HALF_LIFE_MS);
    const perSecond = Math.LN2 / (HALF_LIFE_MS / 1000) / this.#worth(nowMs) / share;
    return [...keys]
      .map(([key, { weight, loadMs, bytes }]) => ({ key, readsPerSecond: weight * perSecond, loadMs, bytes }))
      .toSorted((a, b) => b.readsPerSecond - a.readsPerSecond);
  }

  /** What nobody reads must not seem as hot for ever as it was. In a region where nothing is read at all, all of it stays. */
  #hasFaded({ keys, publishedAtMs }: Bucket): boolean {
    return keys.size > 0 && this.#addedAtMs - publishedAtMs >= HALF_LIFE_MS;
  }

  /** Each bucket has an interval of its own, so that they are not due all in one moment. */
  #republishMs(bucket: number, nowMs: number): number {
    return Math.min(REPUBLISH_MS, (nowMs - this.#sinceMs) * REPUBLISH_SHARE) * (0.5 + bucket / HOT_BUCKETS / 2);
  }

  #topBuckets(buckets: readonly Bucket[]): Set<Bucket> {
    return new Set(buckets.toSorted((a, b) => b.hottest - a.hottest).slice(0, TOP_BUCKETS));
  }

  /** What a read at this time is worth beside one at the landmark. */
  #worth(atMs: number): number {
    return 2 ** ((atMs - this.#landmarkMs) / HALF_LIFE_MS);
  }

  #rescale(nowMs: number): void {
    const worth = this.#worth(nowMs);
    for (const buckets of this.#families.values())
      for (const bucket of buckets) {
        bucket.hottest /= worth;
        for (const kept of bucket.keys.values()) kept.weight /= worth;
      }
    this.#landmarkMs = nowMs;
  }
}
